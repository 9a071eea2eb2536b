//! Ids that stay the same.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet, hash_map::Entry},
};

use super::ObjectsError;
use crate::{ExtentMismatch, Labels, Space, TooManyComponents, grid::in_order};

impl<S: Space> Labels<S> {
    /// The same objects with the ids 1, 2, 3 and so on, in the order of their first voxels.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::Labels2;
    ///
    /// let labels = Labels2::new(array![[0, 9, 9], [4, 4, 9]]);
    /// assert_eq!(labels.sequential().view(), array![[0, 1, 1], [2, 2, 1]]);
    /// ```
    #[must_use]
    pub fn sequential(&self) -> Self {
        let (mut ids, mut next) = (HashMap::from([(0, 0)]), 0);
        self.mapped(|id| {
            *ids.entry(id).or_insert_with(|| {
                next += 1;
                next
            })
        })
    }

    /// The same objects with the ids of an earlier segmentation of the same image, where they are the same
    /// objects: pairs are formed in the order of how many voxels both share, the largest overlap first,
    /// and each object is in one pair at most. (Of overlaps that are as large, that of the lower earlier id
    /// comes first, then that of the lower id here.) Objects that are left get new ids, above all
    /// earlier ones, in the order of their first voxels.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::Labels2;
    ///
    /// let earlier = Labels2::new(array![[5, 5, 5, 0, 3, 0]]);
    /// let now = Labels2::new(array![[1, 1, 2, 2, 3, 4]]);
    /// assert_eq!(now.with_ids_of(&earlier)?.view(), array![[5, 5, 6, 6, 3, 7]]);
    /// # Ok::<(), segmenter_core::objects::ObjectsError>(())
    /// ```
    ///
    /// # Errors
    /// If the extents differ, or no number is left for a new id.
    pub fn with_ids_of(&self, earlier: &Self) -> Result<Self, ObjectsError> {
        ExtentMismatch::check(earlier.extent(), self.extent())?;
        let mut ids = self.pairs(earlier);
        ids.insert(0, 0);
        let mut highest = in_order(&earlier.view()).iter().copied().max().unwrap_or(0);
        let now = self.view();
        for run in in_order(&now).chunk_by(|a, b| a == b) {
            if let Entry::Vacant(entry) = ids.entry(run[0]) {
                highest = highest.checked_add(1).ok_or(TooManyComponents)?;
                entry.insert(highest);
            }
        }
        Ok(self.mapped(|id| ids[&id]))
    }

    /// The earlier id of each object that has one.
    fn pairs(&self, earlier: &Self) -> HashMap<u32, u32> {
        let mut overlaps = HashMap::<(u32, u32), u64>::new();
        let (now, before) = (self.view(), earlier.view());
        for (&now, &before) in in_order(&now).iter().zip(in_order(&before)) {
            if now != 0 && before != 0 {
                *overlaps.entry((before, now)).or_default() += 1;
            }
        }
        let mut overlaps: Vec<_> = overlaps.into_iter().collect();
        overlaps.sort_unstable_by_key(|&(pair, voxels)| (Reverse(voxels), pair));
        let (mut ids, mut taken) = (HashMap::new(), HashSet::new());
        for ((before, now), _) in overlaps {
            if !ids.contains_key(&now) && taken.insert(before) {
                ids.insert(now, before);
            }
        }
        ids
    }
}
