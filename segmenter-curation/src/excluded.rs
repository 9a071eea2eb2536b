//! Which voxels count, computed as they are read.

use ndarray::Array;
use segmenter_core::{ReadError, Region, Source, Space, VoxelSize, Window};

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
        let mut counted = Array::from_elem(S::channel_dim(1, window.extent), true);
        if let Some(counted) = counted.as_slice_mut() {
            for region in &self.regions {
                region.for_each_run(window, |run| counted[run].fill(false));
            }
        }
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use segmenter_core::{Mask3, Zyx};

    use super::*;

    #[test]
    fn a_box_of_an_exclusion_is_the_box_of_the_mask() {
        let region = Region::polygon([(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)])
            .unwrap()
            .through_z(1..=3);
        let whole = Mask3::all([6, 7, 8]).excluding(&region);
        let window = Window::<Zyx>::new([1, 2, 0], [4, 3, 6]);
        let excluded = Excluded::new([6, 7, 8], [region]);
        let found = excluded.read(&window).unwrap();
        assert_eq!(found.index_axis(Axis(0), 0), window.view(&whole.view()));
        assert!(excluded.read(&Window::new([5, 0, 0], [2, 1, 1])).is_err(), "leaves the grid");
    }
}
