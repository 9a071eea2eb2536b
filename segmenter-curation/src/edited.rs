//! Volumes that are merged and masked as they are read.

use ndarray::{Array, Zip};
use segmenter_core::{ExtentMismatch, Mask, ReadError, Region, Source, Space, VoxelSize, Window};

/// One source, but another inside of regions. The other is read only where a region is.
#[derive(Clone, Debug)]
pub struct Merged<A, B> {
    base: A,
    other: B,
    regions: Vec<Region>,
}

/// Two sources that can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Their extents differ.
    #[error("segmentations of unequal extent can't be merged")]
    Extent(#[source] ExtentMismatch),
    /// Their numbers of channels differ.
    #[error("a source of {other} channels can't be merged into one of {base}; choose one of each")]
    Channels {
        /// Channels of the base.
        base: usize,
        /// Channels of the other.
        other: usize,
    },
}

impl<A, B> Merged<A, B> {
    /// A merge of two sources of equal extent and equally many channels.
    ///
    /// # Errors
    /// If they differ in either.
    pub fn new<S: Space, T>(
        base: A,
        other: B,
        regions: impl IntoIterator<Item = Region>,
    ) -> Result<Self, MergeError>
    where
        A: Source<S, T>,
        B: Source<S, T>,
    {
        ExtentMismatch::check(other.extent(), base.extent()).map_err(MergeError::Extent)?;
        if base.channels() != other.channels() {
            let (base, other) = (base.channels(), other.channels());
            return Err(MergeError::Channels { base, other });
        }
        Ok(Self { base, other, regions: regions.into_iter().collect() })
    }
}

impl<S: Space, T: Copy, A: Source<S, T>, B: Source<S, T>> Source<S, T> for Merged<A, B> {
    fn extent(&self) -> S::Extent {
        self.base.extent()
    }

    fn channels(&self) -> usize {
        self.base.channels()
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.base.voxel_size()
    }

    fn read(&self, window: &Window<S>) -> Result<Array<T, S::ChannelDim>, ReadError> {
        let mut voxels = self.base.read(window)?;
        let inside = inside(&self.regions, window);
        if inside.count() == 0 {
            return Ok(voxels);
        }
        let other = self.other.read(window)?;
        for (channel, other) in voxels.outer_iter_mut().zip(other.outer_iter()) {
            let voxels = Zip::from(channel).and(other).and(inside.view());
            voxels.for_each(|voxel, &other, &inside| *voxel = if inside { other } else { *voxel });
        }
        Ok(voxels)
    }
}

/// Which voxels count when those inside of regions don't.
#[derive(Clone, Debug)]
pub struct Excluded<S: Space> {
    extent: S::Extent,
    voxel_size: Option<VoxelSize<S>>,
    regions: Vec<Region>,
}

impl<S: Space> Excluded<S> {
    /// All voxels of this extent but those inside of the regions.
    #[must_use]
    pub fn new(extent: S::Extent, regions: impl IntoIterator<Item = Region>) -> Self {
        Self { extent, voxel_size: None, regions: regions.into_iter().collect() }
    }

    /// The same with this voxel size, or with none.
    #[must_use]
    pub fn with_voxel_size(mut self, size: impl Into<Option<VoxelSize<S>>>) -> Self {
        self.voxel_size = size.into();
        self
    }
}

impl<S: Space> Source<S, bool> for Excluded<S> {
    fn extent(&self) -> S::Extent {
        self.extent
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.voxel_size
    }

    fn read(&self, window: &Window<S>) -> Result<Array<bool, S::ChannelDim>, ReadError> {
        ReadError::check(window, self.extent)?;
        let counted = inside(&self.regions, window).inverted();
        counted.read(&Window::whole(window.extent))
    }
}

/// The voxels of a box that are in any of the regions.
fn inside<S: Space>(regions: &[Region], window: &Window<S>) -> Mask<S> {
    let mut inside = Mask::none(window.extent);
    for region in regions {
        inside.view_mut().zip_mut_with(&region.rasterise_window(window).view(), |a, b| *a |= b);
    }
    inside
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Axis};
    use segmenter_core::{Labels3, Mask2, Mask3, Stack2, Zyx};

    use super::*;

    fn square(from: f64, to: f64) -> Region {
        Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
    }

    fn labels(first: u32) -> Labels3 {
        let ids = (first..).take(6 * 7 * 8).collect();
        Labels3::new(Array3::from_shape_vec((6, 7, 8), ids).unwrap())
    }

    /// A source that must not be read.
    struct Sealed;

    impl Source<Zyx, u32> for Sealed {
        fn extent(&self) -> [usize; 3] {
            [6, 7, 8]
        }

        fn channels(&self) -> usize {
            1
        }

        fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
            None
        }

        fn read(&self, _: &Window<Zyx>) -> Result<Array<u32, ndarray::Ix4>, ReadError> {
            Err(ReadError::Source("read".into()))
        }
    }

    #[test]
    fn a_box_of_a_merge_is_the_box_of_the_merged_image() {
        let (a, b) = (labels(0), labels(1000));
        let regions = [square(1.0, 3.0).through_z(1..=3), square(2.0, 5.0).through_z(3..=9)];
        let whole = a.merged_with(&b, &regions[0]).unwrap().merged_with(&b, &regions[1]).unwrap();
        let merged = Merged::new(a, b, regions).unwrap();
        let window = Window::<Zyx>::new([1, 2, 0], [4, 3, 6]);
        let found = merged.read(&window).unwrap();
        assert_eq!(found.index_axis(Axis(0), 0), window.view(&whole.view()));
    }

    #[test]
    fn the_other_is_not_read_where_there_is_no_region() {
        let merged = Merged::new(labels(0), Sealed, [square(0.0, 2.0).through_z(4..=5)]).unwrap();
        assert!(merged.read(&Window::new([0, 0, 0], [4, 7, 8])).is_ok());
        assert!(merged.read(&Window::new([0, 0, 0], [5, 7, 8])).is_err());
    }

    #[test]
    fn sources_of_unequal_shape_are_not_merged() {
        let error = Merged::new(Mask2::all([2, 3]), Mask2::all([3, 2]), []).unwrap_err();
        assert!(matches!(error, MergeError::Extent(_)));
        let two = Stack2::<u8>::from_channels(Array3::zeros((2, 4, 4)));
        let one = Stack2::<u8>::new(Array2::zeros((4, 4)));
        let error = Merged::new::<_, f32>(two, one, []).unwrap_err();
        assert_eq!(error, MergeError::Channels { base: 2, other: 1 });
    }

    #[test]
    fn a_box_of_an_exclusion_is_the_box_of_the_mask() {
        let region = square(1.0, 3.0).through_z(1..=3);
        let whole = Mask3::all([6, 7, 8]).excluding(&region);
        let window = Window::<Zyx>::new([1, 2, 0], [4, 3, 6]);
        let excluded = Excluded::new([6, 7, 8], [region]);
        let found = excluded.read(&window).unwrap();
        assert_eq!(found.index_axis(Axis(0), 0), window.view(&whole.view()));
        assert!(excluded.read(&Window::new([5, 0, 0], [2, 1, 1])).is_err(), "leaves the grid");
    }
}
