//! How well a segmentation agrees with the truth.

use ndarray::Zip;

use crate::{ExtentMismatch, Mask, Space};

/// Twice the shared voxels over the voxels of both: 2·|A ∩ B| / (|A| + |B|), from 0 to 1
/// (Dice 1945). Two empty masks agree: 1.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Mask2, metrics};
///
/// let found = Mask2::new(array![[true, true, false, false]]);
/// let truth = Mask2::new(array![[false, true, true, true]]);
/// assert_eq!(metrics::dice(&found, &truth)?, 0.4);
/// assert_eq!(metrics::iou(&found, &truth)?, 0.25);
/// # Ok::<(), segmenter_core::ExtentMismatch>(())
/// ```
///
/// # Errors
/// If the extents differ.
pub fn dice<S: Space>(found: &Mask<S>, truth: &Mask<S>) -> Result<f64, ExtentMismatch> {
    Ok(Overlap::of(found, truth, None)?.dice())
}

/// Intersection over union: |A ∩ B| / |A ∪ B|, from 0 to 1 (Jaccard 1912). Two empty masks agree: 1.
///
/// # Errors
/// If the extents differ.
pub fn iou<S: Space>(found: &Mask<S>, truth: &Mask<S>) -> Result<f64, ExtentMismatch> {
    Ok(Overlap::of(found, truth, None)?.iou())
}

/// How many voxels two masks have, and how many they share. Overlaps of several images add up, so a
/// score over all of them is one `dice()` of the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Voxels in the mask that was found.
    pub found: u64,
    /// Voxels in the mask that is right.
    pub truth: u64,
    /// Voxels in both.
    pub shared: u64,
}

impl Overlap {
    /// Counts the voxels of two masks, inside a third where one is given: a voxel that does not
    /// count in training does not count in a score.
    ///
    /// # Errors
    /// If the extents differ.
    pub fn of<S: Space>(
        found: &Mask<S>,
        truth: &Mask<S>,
        counted: Option<&Mask<S>>,
    ) -> Result<Self, ExtentMismatch> {
        ExtentMismatch::check(found.extent(), truth.extent())?;
        let mut overlap = Self::default();
        let mut add = |found: bool, truth: bool| {
            overlap.found += u64::from(found);
            overlap.truth += u64::from(truth);
            overlap.shared += u64::from(found && truth);
        };
        let pair = Zip::from(found.view()).and(truth.view());
        match counted {
            None => pair.for_each(|&found, &truth| add(found, truth)),
            Some(counted) => {
                ExtentMismatch::check(counted.extent(), truth.extent())?;
                pair.and(counted.view())
                    .for_each(|&found, &truth, &counts| add(found && counts, truth && counts));
            }
        }
        Ok(overlap)
    }

    /// See [`dice`].
    #[must_use]
    pub fn dice(&self) -> f64 {
        ratio(2 * self.shared, self.found + self.truth)
    }

    /// See [`iou`].
    #[must_use]
    pub fn iou(&self) -> f64 {
        ratio(self.shared, self.found + self.truth - self.shared)
    }
}

impl std::ops::Add for Overlap {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            truth: self.truth + other.truth,
            shared: self.shared + other.shared,
        }
    }
}

impl std::iter::Sum for Overlap {
    fn sum<I: Iterator<Item = Self>>(overlaps: I) -> Self {
        overlaps.fold(Self::default(), std::ops::Add::add)
    }
}

/// The counts of one image are far below 2⁵³, so their ratio is exact to the last bit of `f64`.
#[allow(clippy::cast_precision_loss, reason = "voxel counts are far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::Mask2;

    #[test]
    fn two_empty_masks_agree_and_an_empty_one_misses_everything() {
        let empty = Mask2::none([2, 2]);
        assert_eq!(dice(&empty, &empty), Ok(1.0));
        assert_eq!(iou(&empty, &empty), Ok(1.0));
        assert_eq!(dice(&empty, &Mask2::all([2, 2])), Ok(0.0));
    }

    #[test]
    fn voxels_that_do_not_count_do_not_score() {
        let found = Mask2::new(array![[true, true, false]]);
        let truth = Mask2::new(array![[true, false, true]]);
        let counted = Mask2::new(array![[true, true, false]]);
        let overlap = Overlap::of(&found, &truth, Some(&counted)).unwrap();
        assert_eq!(overlap, Overlap { found: 2, truth: 1, shared: 1 });
    }

    #[test]
    fn masks_of_unequal_extent_are_refused() {
        let error = dice(&Mask2::all([2, 3]), &Mask2::all([3, 2])).unwrap_err();
        assert_eq!(error.to_string(), "extent is [2, 3], but [3, 2] is needed");
    }
}
