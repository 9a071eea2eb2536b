//! Errors that belong to no single operation.

use ndarray::{ArrayView, Dimension};

use crate::Pixel;

/// Two grids that had to be of equal extent were not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("extent is {found:?}, but {expected:?} is needed")]
pub struct ExtentMismatch {
    /// The extent found, slowest axis first.
    pub found: Vec<usize>,
    /// The extent needed, slowest axis first.
    pub expected: Vec<usize>,
}

impl ExtentMismatch {
    /// Compares two extents.
    ///
    /// # Errors
    /// If they differ.
    pub fn check(found: impl AsRef<[usize]>, expected: impl AsRef<[usize]>) -> Result<(), Self> {
        let (found, expected) = (found.as_ref(), expected.as_ref());
        if found == expected {
            return Ok(());
        }
        Err(Self { found: found.to_vec(), expected: expected.to_vec() })
    }
}

/// An intensity that is not a finite number.
///
/// One such voxel would spread through every layer of a network and through every statistic, so
/// training and prediction refuse it and say where it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the intensity at {index:?} (channel first) is {value}; replace it by a finite number")]
pub struct NonFinite {
    /// Channel, then the position, slowest axis first.
    pub index: Vec<usize>,
    /// NaN or an infinity.
    pub value: f32,
}

impl NonFinite {
    /// The same voxel, by its place in the image of which a part that starts here was checked.
    #[must_use]
    pub fn shifted(mut self, start: impl AsRef<[usize]>) -> Self {
        for (index, start) in self.index.iter_mut().skip(1).zip(start.as_ref()) {
            *index += start;
        }
        self
    }

    /// Checks that every intensity is a finite number. `[c, z, y, x]` or `[c, y, x]`.
    ///
    /// # Errors
    /// With the position of the first that is not.
    pub fn check<T: Pixel, D: Dimension>(pixels: &ArrayView<'_, T, D>) -> Result<(), Self> {
        let found = pixels.iter().map(|value| value.to_f32()).enumerate();
        let Some((mut offset, value)) = found.into_iter().find(|(_, value)| !value.is_finite())
        else {
            return Ok(());
        };
        let mut index = vec![0; pixels.ndim()];
        for (position, &size) in index.iter_mut().zip(pixels.shape()).rev() {
            *position = offset % size;
            offset /= size;
        }
        Err(Self { index, value })
    }
}
