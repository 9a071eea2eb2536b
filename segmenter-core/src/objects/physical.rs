//! Lengths and volumes, in voxels or in micrometres.

use crate::{ExtentMismatch, Space, TooManyComponents, VoxelSize};

/// In what distances are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Voxels, as if each were a cube of edge 1.
    Voxels,
    /// Micrometres, by the voxel size.
    Micrometres,
}

/// A length: of a radius, a distance, a height on a distance map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// In voxels, as if each were a cube of edge 1.
    Voxels(f64),
    /// In µm.
    Micrometres(f64),
}

/// The volume of an object, or its area in a plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Volume {
    /// A number of voxels.
    Voxels(u64),
    /// In µm³; in a plane in µm².
    Micrometres(f64),
}

/// Micrometres were asked for where nobody knows how large a voxel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size in µm needs an image of known voxel size; set one, or ask for voxels")]
pub struct NoVoxelSize;

/// A length or volume that is negative, infinite or not a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the {what} is a finite number that is not negative, found {found}")]
pub struct InvalidSize {
    /// What it is the size of.
    pub what: &'static str,
    /// What was given.
    pub found: f64,
}

/// Why a mask or label image was not turned into what was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// µm without a voxel size.
    #[error(transparent)]
    NoVoxelSize(#[from] NoVoxelSize),
    /// A size that is none.
    #[error(transparent)]
    InvalidSize(#[from] InvalidSize),
    /// More objects than ids.
    #[error(transparent)]
    TooManyComponents(#[from] TooManyComponents),
    /// Two grids that belong together differ in extent.
    #[error(transparent)]
    Extent(#[from] ExtentMismatch),
    /// A height that can't be compared with others.
    #[error("the height at {index:?} is not a number")]
    NotANumber {
        /// Its position, slowest axis first.
        index: Vec<usize>,
    },
}

impl Unit {
    /// The edges of a voxel in this unit, slowest axis first.
    pub(super) fn edges<S: Space>(
        self,
        size: Option<VoxelSize<S>>,
    ) -> Result<S::Reals, NoVoxelSize> {
        match self {
            Self::Voxels => Ok(S::reals_from_fn(|_| 1.0)),
            Self::Micrometres => Ok(size.ok_or(NoVoxelSize)?.micrometres()),
        }
    }
}

impl Length {
    /// The unit.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Voxels(_) => Unit::Voxels,
            Self::Micrometres(_) => Unit::Micrometres,
        }
    }

    /// The number, checked.
    pub(super) fn value(self, what: &'static str) -> Result<f64, InvalidSize> {
        let (Self::Voxels(value) | Self::Micrometres(value)) = self;
        valid(what, value)
    }
}

impl Volume {
    /// The least number of voxels that make up this volume.
    pub(super) fn voxels<S: Space>(self, size: Option<VoxelSize<S>>) -> Result<u64, ObjectsError> {
        match self {
            Self::Voxels(voxels) => Ok(voxels),
            Self::Micrometres(volume) => {
                let voxel = size.ok_or(NoVoxelSize)?.volume();
                Ok(least(valid("volume", volume)?, voxel))
            }
        }
    }

    /// The greatest number of voxels that are no more than this volume.
    pub(super) fn most_voxels<S: Space>(
        self,
        size: Option<VoxelSize<S>>,
    ) -> Result<u64, ObjectsError> {
        match self {
            Self::Voxels(voxels) => Ok(voxels),
            Self::Micrometres(volume) => {
                let voxel = size.ok_or(NoVoxelSize)?.volume();
                Ok(most(valid("volume", volume)?, voxel))
            }
        }
    }
}

fn valid(what: &'static str, value: f64) -> Result<f64, InvalidSize> {
    let is_valid = value.is_finite() && value >= 0.0;
    if is_valid { Ok(value) } else { Err(InvalidSize { what, found: value }) }
}

/// The greatest `n` for which `n` voxels are at most this volume, as the product is rounded.
#[allow(clippy::cast_precision_loss, reason = "beyond 2^53 the nearest will do")]
fn most(volume: f64, voxel: f64) -> u64 {
    let least = least(volume, voxel);
    if least as f64 * voxel <= volume { least } else { least.saturating_sub(1) }
}

/// The least `n` for which `n` voxels are at least this volume, as the product is rounded.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the number is not negative, and beyond 2^53 the nearest will do"
)]
fn least(volume: f64, voxel: f64) -> u64 {
    let about = (volume / voxel).floor() as u64;
    let from = about.saturating_sub(1);
    (from..=about).find(|&n| n as f64 * voxel >= volume).unwrap_or(about.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Yx, Zyx};

    #[test]
    fn a_volume_is_the_least_number_of_voxels_that_fill_it() {
        let size = VoxelSize::<Zyx>::new([0.5, 0.1, 0.1]).ok();
        let voxels = |volume| Volume::Micrometres(volume).voxels(size).unwrap();
        assert_eq!(voxels(0.0), 0);
        assert_eq!(voxels(0.005), 1, "one voxel");
        assert_eq!(voxels(0.0051), 2);
        assert_eq!(voxels(0.015), 3, "0.5 * 0.1 * 0.1 * 3 is rounded up");
        assert_eq!(Volume::Voxels(7).voxels::<Yx>(None), Ok(7));
    }

    #[test]
    fn micrometres_without_a_voxel_size_and_sizes_that_are_none_are_refused() {
        let missing = Volume::Micrometres(1.0).voxels::<Zyx>(None);
        assert_eq!(missing, Err(ObjectsError::NoVoxelSize(NoVoxelSize)));
        let size = VoxelSize::<Yx>::new([1.0, 1.0]).ok();
        let negative = Volume::Micrometres(-1.0).voxels(size).unwrap_err();
        assert_eq!(
            negative.to_string(),
            "the volume is a finite number that is not negative, found -1"
        );
        assert!(Length::Voxels(f64::NAN).value("radius").is_err());
    }
}
