//! What regions do to grids: exclude, include, merge.

use crate::{
    ExtentMismatch, Labels, Mask, Region, Space, Window,
    grid::{in_order, in_order_mut},
};

impl<S: Space> Mask<S> {
    /// The mask of what is in any of these regions.
    #[must_use]
    pub fn of_regions<'a>(
        extent: S::Extent,
        regions: impl IntoIterator<Item = &'a Region>,
    ) -> Self {
        let (mut mask, whole) = (Self::none(extent), Window::<S>::whole(extent));
        for region in regions {
            region.paint(&whole, &mut mask, true);
        }
        mask
    }

    /// This mask without the region.
    ///
    /// ```
    /// use segmenter_core::{Mask3, Region};
    ///
    /// let debris = Region::polygon([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])?;
    /// let counted = Mask3::all([10, 8, 8]).excluding(&debris.through_z(4..=6));
    /// assert_eq!(counted.count(), 10 * 8 * 8 - 3 * 4);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn excluding(&self, region: &Region) -> Self {
        self.painted(region, false)
    }

    /// This mask together with the region.
    #[must_use]
    pub fn including(&self, region: &Region) -> Self {
        self.painted(region, true)
    }

    /// This mask, but what the other has inside the region.
    ///
    /// # Errors
    /// If the extents differ.
    pub fn merged_with(&self, other: &Self, region: &Region) -> Result<Self, ExtentMismatch> {
        ExtentMismatch::check(other.extent(), self.extent())?;
        let mut merged = self.clone();
        let whole = Window::<S>::whole(self.extent());
        take(in_order_mut(merged.view_mut()), in_order(&other.view()), region, &whole);
        Ok(merged)
    }

    fn painted(&self, region: &Region, value: bool) -> Self {
        let mut mask = self.clone();
        region.paint(&Window::whole(self.extent()), &mut mask, value);
        mask
    }
}

impl<S: Space> Labels<S> {
    /// This label image, but the ids of the other inside the region. Chain it for several regions.
    ///
    /// Ids are taken as they are: where both images use the same id, the two objects become one.
    /// That is of no account for training on foreground; give one of the images ids of its own
    /// where it matters.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Labels2, Region};
    ///
    /// let a = Labels2::new(array![[1, 1, 0, 2]]);
    /// let b = Labels2::new(array![[0, 5, 5, 5]]);
    /// let right = Region::polygon([(1.5, -1.0), (9.0, -1.0), (9.0, 1.0), (1.5, 1.0)])?;
    /// assert_eq!(a.merged_with(&b, &right)?.view(), array![[1, 1, 5, 5]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the extents differ.
    pub fn merged_with(&self, other: &Self, region: &Region) -> Result<Self, ExtentMismatch> {
        ExtentMismatch::check(other.extent(), self.extent())?;
        let mut merged = self.clone();
        let whole = Window::<S>::whole(self.extent());
        take(in_order_mut(merged.view_mut()), in_order(&other.view()), region, &whole);
        Ok(merged)
    }
}

/// Takes the other's voxels inside the region.
fn take<S: Space, T: Copy>(voxels: &mut [T], other: &[T], region: &Region, whole: &Window<S>) {
    region.for_each_run(whole, |run| voxels[run.clone()].copy_from_slice(&other[run]));
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::{Labels2, Labels3, Mask2, VoxelSize};

    fn square(from: f64, to: f64) -> Region {
        Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
    }

    #[test]
    fn a_merge_takes_the_other_inside_the_region_and_in_its_slices_only() {
        let (a, b) = (Array3::from_elem((4, 5, 5), 1), Array3::from_elem((4, 5, 5), 2));
        let region = square(1.0, 2.0).through_z(1..=2);
        let merged = Labels3::new(a).merged_with(&Labels3::new(b), &region).unwrap();
        for ((z, y, x), &id) in merged.view().indexed_iter() {
            let inside = (1..=2).contains(&z) && (1..=2).contains(&y) && (1..=2).contains(&x);
            assert_eq!(id, if inside { 2 } else { 1 }, "at {z}, {y}, {x}");
        }
    }

    #[test]
    fn a_merge_with_itself_changes_nothing_and_keeps_the_voxel_size() {
        let size = VoxelSize::new([0.5, 0.25]).unwrap();
        let ids = Array2::from_shape_fn((6, 7), |(y, x)| u32::try_from(y * 7 + x).unwrap());
        let a = Labels2::new(ids).with_voxel_size(size);
        assert_eq!(a.merged_with(&a, &square(1.0, 4.0)), Ok(a));
    }

    #[test]
    fn images_of_unequal_extent_are_not_merged() {
        let (a, b) = (Mask2::all([3, 4]), Mask2::all([4, 3]));
        let error = a.merged_with(&b, &square(0.0, 1.0)).unwrap_err();
        assert_eq!(error.to_string(), "extent is [4, 3], but [3, 4] is needed");
    }

    #[test]
    fn a_plane_ignores_the_slices_of_a_region() {
        let region = square(0.0, 1.0).through_z(7..=9);
        assert_eq!(Mask2::all([4, 4]).excluding(&region).count(), 12);
    }

    #[test]
    fn regions_that_overlap_are_joined() {
        let regions = [square(0.0, 2.0), square(1.0, 3.0)];
        assert_eq!(Mask2::of_regions([4, 4], &regions).count(), 9 + 9 - 4);
    }
}
