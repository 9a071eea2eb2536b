//! Which objects to keep.

use std::collections::{HashMap, HashSet};

use ndarray::{ArrayView, Axis};

use super::{ObjectsError, Volume};
use crate::{Component, Connectivity, Labels, Mask, Space, TooManyComponents, components::index};

/// The sides of an image at which objects are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sides {
    /// The first and the last slice. A plane has none.
    pub z: bool,
    /// The first and the last row.
    pub y: bool,
    /// The first and the last column.
    pub x: bool,
}

impl Sides {
    /// All of them.
    pub const ALL: Self = Self { z: true, y: true, x: true };

    /// All but the first and the last slice: for volumes that are a few slices thin, in which everything
    /// touches one of the two.
    pub const LATERAL: Self = Self { z: false, y: true, x: true };

    /// Whether a component in an image of this extent, `[z, y, x]`, touches one of the sides.
    pub(super) fn touch(self, component: &Component, extent: [usize; 3]) -> bool {
        let sides = [self.z, self.y, self.x].into_iter().enumerate().filter(|(_, asked)| *asked);
        sides
            .into_iter()
            .any(|(axis, _)| component.first[axis] == 0 || component.last[axis] + 1 == extent[axis])
    }

    /// The same for an image of these axes.
    pub(super) fn of<S: Space>(self) -> Self {
        Self { z: self.z && S::RANK == 3, ..self }
    }

    /// The axes, counted as in the image.
    fn axes<S: Space>(self) -> impl Iterator<Item = usize> {
        let asked = [self.z, self.y, self.x];
        (0..S::RANK).filter(move |axis| asked[axis + 3 - S::RANK])
    }
}

impl<S: Space> Labels<S> {
    /// The objects of at least this volume.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Labels2, objects::Volume};
    ///
    /// let labels = Labels2::new(array![[1, 1, 0, 7], [1, 0, 4, 7]]);
    /// let large = labels.without_small(Volume::Voxels(2))?;
    /// assert_eq!(large.view(), array![[1, 1, 0, 7], [1, 0, 0, 7]]);
    /// # Ok::<(), segmenter_core::objects::ObjectsError>(())
    /// ```
    ///
    /// # Errors
    /// If the volume is in µm and the voxel size is not known, or it is negative or not finite.
    pub fn without_small(&self, least: Volume) -> Result<Self, ObjectsError> {
        let least = least.voxels(self.voxel_size())?;
        let counts = self.counts();
        Ok(self.keeping(|id| counts.get(&id).is_some_and(|&voxels| voxels >= least)))
    }

    /// The largest object alone; of several that are as large, the one with the lowest id.
    #[must_use]
    pub fn largest(&self) -> Self {
        let counts = self.counts().into_iter();
        let largest = counts.max_by_key(|&(id, voxels)| (voxels, std::cmp::Reverse(id)));
        self.keeping(|id| largest.is_some_and(|(largest, _)| id == largest))
    }

    /// The objects of which no voxel is at one of these sides of the image.
    #[must_use]
    pub fn without_touching(&self, sides: Sides) -> Self {
        let mut touching = HashSet::new();
        let voxels = self.view();
        for axis in sides.axes::<S>() {
            let axis = Axis(axis);
            let last = voxels.len_of(axis).checked_sub(1);
            for side in last.iter().flat_map(|&last| [0, last]) {
                touching.extend(voxels.index_axis(axis, side).iter().copied());
            }
        }
        self.keeping(|id| !touching.contains(&id))
    }

    /// The number of voxels of each object.
    pub(super) fn counts(&self) -> HashMap<u32, u64> {
        let mut counts = HashMap::new();
        for_each_run(&self.view(), |id, voxels| *counts.entry(id).or_default() += voxels);
        counts.remove(&0);
        counts
    }

    /// The objects for whose ids `keep` is true.
    fn keeping(&self, keep: impl Fn(u32) -> bool) -> Self {
        let mut last = (0, false);
        self.mapped(|id| {
            if id != last.0 {
                last = (id, keep(id));
            }
            if last.1 { id } else { 0 }
        })
    }

    /// The same image with other ids.
    pub(super) fn mapped(&self, id: impl FnMut(u32) -> u32) -> Self {
        Self::new(self.view().map(|&voxel| voxel).mapv_into(id)).with_voxel_size(self.voxel_size())
    }
}

impl<S: Space> Mask<S> {
    /// The connected components of at least this volume.
    ///
    /// # Errors
    /// If the volume is in µm and the voxel size is not known, it is negative or not finite, or there are
    /// more components than ids.
    pub fn without_small(
        &self,
        least: Volume,
        connectivity: Connectivity,
    ) -> Result<Self, ObjectsError> {
        let least = least.voxels(self.voxel_size())?;
        Ok(self.keeping(connectivity, |component| component.voxels as u64 >= least)?)
    }

    /// The largest connected component alone; of several that are as large, the first.
    ///
    /// # Errors
    /// If there are more components than ids.
    pub fn largest(&self, connectivity: Connectivity) -> Result<Self, TooManyComponents> {
        let found = self.components(connectivity)?;
        let most = found.components.iter().map(|component| component.voxels).max();
        let largest = (1..).zip(&found.components).find(|(_, c)| Some(c.voxels) == most);
        let largest = largest.map_or(0, |(id, _)| id);
        let voxels = found.labels.view().mapv(|id: u32| id != 0 && id == largest);
        Ok(Self::new(voxels).with_voxel_size(self.voxel_size()))
    }

    /// The connected components of which no voxel is at one of these sides of the image.
    ///
    /// # Errors
    /// If there are more components than ids.
    pub fn without_touching(
        &self,
        sides: Sides,
        connectivity: Connectivity,
    ) -> Result<Self, TooManyComponents> {
        let extent = S::to_zyx(self.extent());
        self.keeping(connectivity, |component| !sides.of::<S>().touch(component, extent))
    }

    fn keeping(
        &self,
        connectivity: Connectivity,
        keep: impl FnMut(&Component) -> bool,
    ) -> Result<Self, TooManyComponents> {
        let found = self.components(connectivity)?;
        let kept: Vec<bool> = found.components.iter().map(keep).collect();
        let voxels = found.labels.view().mapv(|id: u32| id != 0 && kept[index(id - 1)]);
        Ok(Self::new(voxels).with_voxel_size(self.voxel_size()))
    }
}

/// Hands over each stretch of voxels of one id, and how long it is.
pub(super) fn for_each_run<D: ndarray::Dimension>(
    ids: &ArrayView<'_, u32, D>,
    mut take: impl FnMut(u32, u64),
) {
    let voxels = crate::grid::in_order(ids);
    voxels.chunk_by(|a, b| a == b).for_each(|run| take(run[0], run.len() as u64));
}
