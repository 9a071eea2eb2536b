//! Peaks of an image.

use std::collections::{HashMap, VecDeque};

use ndarray::{Array3, ArrayView, Axis};

use super::{ObjectsError, watershed::index_of};
use crate::{Pixel, Space};

/// The peaks of an image: voxels that no other is higher than in the box of so many voxels to each side,
/// and that are higher than the lowest voxel of the image.
///
/// Those of scikit-image's `peak_local_max` without labels, in the same order: the highest first, of those
/// that are as high the first in memory. Of peaks as high that are in the box of one another the first stays.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Yx, objects::Peaks};
///
/// let image = array![[0_u8, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 5]];
/// assert_eq!(Peaks::new(1).find::<Yx, _>(&image.view())?, [[1, 1]], "the other is at the border");
/// assert_eq!(Peaks::new(1).with_border(0).find::<Yx, _>(&image.view())?, [[2, 3], [1, 1]]);
/// # Ok::<(), segmenter_core::objects::ObjectsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    distance: usize,
    border: usize,
    above: Option<f64>,
    above_share: Option<f64>,
    at_most: usize,
}

impl Peaks {
    /// Peaks this far apart, in voxels, and as far from the border of the image.
    #[must_use]
    pub fn new(distance: usize) -> Self {
        let (above, above_share) = (None, None);
        Self { distance, border: distance, above, above_share, at_most: usize::MAX }
    }

    /// How many voxels at each side of the image have no peaks.
    #[must_use]
    pub fn with_border(mut self, border: usize) -> Self {
        self.border = border;
        self
    }

    /// Peaks above this value alone.
    #[must_use]
    pub fn above(mut self, value: f64) -> Self {
        self.above = Some(value);
        self
    }

    /// Peaks above this share of the highest value alone.
    #[must_use]
    pub fn above_share(mut self, share: f64) -> Self {
        self.above_share = Some(share);
        self
    }

    /// The highest so many peaks alone.
    #[must_use]
    pub fn at_most(mut self, peaks: usize) -> Self {
        self.at_most = peaks;
        self
    }

    /// The positions of the peaks.
    ///
    /// # Errors
    /// If a value is not a number.
    pub fn find<S: Space, T: Pixel>(
        &self,
        image: &ArrayView<'_, T, S::Dim>,
    ) -> Result<Vec<S::Extent>, ObjectsError> {
        let extent = S::extent_of(&image.raw_dim());
        // Adding 0 makes one zero of the two that there are.
        let values: Vec<f64> = image.iter().map(|value| value.to_f64() + 0.0).collect();
        if let Some(at) = values.iter().position(|value| value.is_nan()) {
            return Err(ObjectsError::NotANumber { index: index_of::<S>(at, extent) });
        }
        let mut peaks = self.candidates::<S>(&values, extent);
        peaks.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let mut kept = Kept { cells: HashMap::new(), distance: self.distance };
        let peaks = peaks.into_iter().map(|peak| {
            let index = index_of::<S>(peak, extent);
            S::extent_from_fn(|axis| index[axis])
        });
        Ok(peaks.filter(|&peak| kept.add(S::to_zyx(peak))).take(self.at_most).collect())
    }

    /// The places in memory of all voxels that are highest in their box.
    fn candidates<S: Space>(&self, values: &[f64], extent: S::Extent) -> Vec<usize> {
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut threshold = self.above.unwrap_or(lowest);
        threshold = self.above_share.map_or(threshold, |share| threshold.max(share * highest));
        let boxes = self.highest_around::<S>(values, extent);
        let single = self.distance == 0 || values.len() == 1;
        let flat = values == boxes && !single;
        let inside = |index: &[usize]| {
            let axes = index.iter().zip(extent.as_ref());
            axes.into_iter()
                .all(|(&at, &size)| at >= self.border && at < size.saturating_sub(self.border))
        };
        let is_peak = |&at: &usize| {
            (single || values[at] == boxes[at])
                && values[at] > threshold
                && inside(&index_of::<S>(at, extent))
        };
        if flat { Vec::new() } else { (0..values.len()).filter(is_peak).collect() }
    }

    /// The highest value in the box around each voxel.
    fn highest_around<S: Space>(&self, values: &[f64], extent: S::Extent) -> Vec<f64> {
        let Ok(mut boxes) = Array3::from_shape_vec(S::to_zyx(extent), values.to_vec()) else {
            unreachable!("as many values as voxels")
        };
        for axis in 3 - S::RANK..3 {
            for mut lane in boxes.lanes_mut(Axis(axis)) {
                let highest = sliding_maximum(&lane.to_vec(), self.distance);
                lane.iter_mut().zip(highest).for_each(|(place, value)| *place = value);
            }
        }
        boxes.into_raw_vec_and_offset().0
    }
}

/// The peaks that were found so far, by the cells of a lattice as wide as they are apart: none has two.
struct Kept {
    cells: HashMap<[usize; 3], [usize; 3]>,
    distance: usize,
}

impl Kept {
    /// Adds a peak unless another is too close. Returns whether it was added.
    fn add(&mut self, peak: [usize; 3]) -> bool {
        if self.distance < 2 {
            return true;
        }
        let cell = peak.map(|at| at / self.distance);
        let is_close = |other: &[usize; 3]| {
            peak.iter().zip(other).all(|(a, b)| a.abs_diff(*b) < self.distance)
        };
        let mut near = (0..27).map(|at| [at / 9, at / 3 % 3, at % 3]);
        let is_near = |step: [usize; 3]| {
            let cell = std::array::from_fn(|axis| (cell[axis] + step[axis]).wrapping_sub(1));
            self.cells.get(&cell).is_some_and(is_close)
        };
        let added = !near.any(is_near);
        if added {
            self.cells.insert(cell, peak);
        }
        added
    }
}

/// The highest of the values up to `reach` before and after each.
fn sliding_maximum(values: &[f64], reach: usize) -> Vec<f64> {
    // Places of values that are followed by no higher one; the first is the highest.
    let mut falling = VecDeque::<usize>::new();
    let mut next = 0;
    let highest = (0..values.len()).map(|at| {
        while next < values.len() && next <= at.saturating_add(reach) {
            while falling.back().is_some_and(|&last| values[last] <= values[next]) {
                falling.pop_back();
            }
            falling.push_back(next);
            next += 1;
        }
        while falling.front().is_some_and(|&first| first < at.saturating_sub(reach)) {
            falling.pop_front();
        }
        falling.front().map_or(values[at], |&first| values[first])
    });
    highest.collect()
}
