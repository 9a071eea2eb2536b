//! Physical size.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Space;

/// The size of one voxel in micrometres, in the axis order of its grid.
///
/// ```
/// use segmenter_core::{VoxelSize, Zyx};
///
/// let size = VoxelSize::<Zyx>::new([0.29, 0.108, 0.108])?;
/// assert_eq!(size.to_string(), "0.29 × 0.108 × 0.108 µm (z, y, x)");
/// assert!(VoxelSize::<Zyx>::new([0.29, 0.0, 0.108]).is_err());
/// # Ok::<(), segmenter_core::InvalidVoxelSize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct VoxelSize<S: Space>(S::Reals);

/// A voxel size that is not a positive, finite length along each axis.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a voxel size is one positive length in µm for each of {axes}, found {found:?}")]
pub struct InvalidVoxelSize {
    /// The axes that need a length.
    pub axes: &'static str,
    /// What was given.
    pub found: Vec<f64>,
}

impl<S: Space> VoxelSize<S> {
    /// A voxel size from lengths in micrometres.
    ///
    /// # Errors
    /// If a length is zero, negative, infinite or not a number.
    pub fn new(micrometres: S::Reals) -> Result<Self, InvalidVoxelSize> {
        let valid = micrometres.as_ref().iter().all(|&length| length.is_finite() && length > 0.0);
        if !valid {
            return Err(InvalidVoxelSize { axes: S::AXES, found: micrometres.as_ref().to_vec() });
        }
        Ok(Self(micrometres))
    }

    /// The lengths in micrometres, in axis order.
    #[must_use]
    pub fn micrometres(&self) -> S::Reals {
        self.0
    }

    /// The volume of a voxel in µm³, or the area of a pixel in µm².
    #[must_use]
    pub fn volume(&self) -> f64 {
        self.0.as_ref().iter().product()
    }

    /// How many times longer a voxel is along its longest axis than along its shortest.
    #[must_use]
    pub fn anisotropy(&self) -> f64 {
        let lengths = self.0.as_ref();
        let longest = lengths.iter().copied().fold(f64::MIN, f64::max);
        let shortest = lengths.iter().copied().fold(f64::MAX, f64::min);
        longest / shortest
    }
}

impl<S: Space> TryFrom<Vec<f64>> for VoxelSize<S> {
    type Error = InvalidVoxelSize;

    fn try_from(lengths: Vec<f64>) -> Result<Self, InvalidVoxelSize> {
        if lengths.len() != S::RANK {
            return Err(InvalidVoxelSize { axes: S::AXES, found: lengths });
        }
        Self::new(S::reals_from_fn(|axis| lengths[axis]))
    }
}

impl<S: Space> From<VoxelSize<S>> for Vec<f64> {
    fn from(size: VoxelSize<S>) -> Self {
        size.0.as_ref().to_vec()
    }
}

impl<S: Space> fmt::Display for VoxelSize<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<String> = self.0.as_ref().iter().map(f64::to_string).collect();
        let axes: Vec<String> = S::AXES.to_lowercase().chars().map(String::from).collect();
        write!(f, "{} µm ({})", lengths.join(" × "), axes.join(", "))
    }
}
