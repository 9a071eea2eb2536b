//! Holes in a mask.

use ndarray::{Array3, ArrayView3, Axis, Zip};

use super::{ObjectsError, Volume};
use crate::{ComponentScan, Connectivity, Mask, Space, TooManyComponents, Zyx};

impl<S: Space> Mask<S> {
    /// The mask together with its holes: the voxels outside that are shut off from the border of the
    /// image, where those that share a face are connected. That of SciPy's `binary_fill_holes`.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::Mask2;
    ///
    /// let ring = array![[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]].mapv(|voxel| voxel == 1);
    /// assert_eq!(Mask2::new(ring).fill_holes()?.count(), 9);
    /// # Ok::<(), segmenter_core::TooManyComponents>(())
    /// ```
    ///
    /// # Errors
    /// If there are more holes than ids.
    pub fn fill_holes(&self) -> Result<Self, TooManyComponents> {
        self.filled(u64::MAX)
    }

    /// The mask together with those of its holes that are no larger than this.
    ///
    /// # Errors
    /// If the size is in µm and the voxel size is not known, if it is negative or not finite, or if there
    /// are more holes than ids.
    pub fn fill_holes_up_to(&self, largest: Volume) -> Result<Self, ObjectsError> {
        Ok(self.filled(largest.most_voxels(self.voxel_size())?)?)
    }

    fn filled(&self, largest: u64) -> Result<Self, TooManyComponents> {
        let volume = S::to_zyx(self.extent());
        self.map_volume(|voxels| fill(voxels, S::RANK == 3, volume, largest))
    }

    /// Does something to the voxels of a mask as a volume, of which a plane is one slice.
    pub(super) fn map_volume<E>(
        &self,
        fill: impl FnOnce(&ArrayView3<'_, bool>) -> Result<Array3<bool>, E>,
    ) -> Result<Self, E> {
        let voxels = self.view();
        let Ok(volume) = voxels.to_shape(S::to_zyx(self.extent())) else {
            unreachable!("the same voxels, in the same order")
        };
        let Ok(filled) = fill(&volume.view())?.into_shape_with_order(S::dim(self.extent())) else {
            unreachable!("as many voxels")
        };
        Ok(Self::new(filled).with_voxel_size(self.voxel_size()))
    }
}

impl Mask<Zyx> {
    /// The mask together with the holes of each slice, taken for a plane of its own: also what is a hole
    /// in one slice alone, such as a tunnel along z.
    ///
    /// # Errors
    /// If there are more holes in a slice than ids.
    pub fn fill_holes_in_slices(&self) -> Result<Self, TooManyComponents> {
        self.map_volume(|volume| {
            let mut filled = volume.to_owned();
            let [_, rows, columns] = self.extent();
            for (slice, mut place) in volume.axis_iter(Axis(0)).zip(filled.axis_iter_mut(Axis(0))) {
                let slice = slice.insert_axis(Axis(0));
                let plane = fill(&slice, false, [1, rows, columns], u64::MAX)?;
                place.assign(&plane.index_axis(Axis(0), 0));
            }
            Ok(filled)
        })
    }
}

/// The voxels, and holes of up to so many voxels. In a plane the first and the last slice are not border.
fn fill(
    voxels: &ArrayView3<'_, bool>,
    volume: bool,
    extent: [usize; 3],
    largest: u64,
) -> Result<Array3<bool>, TooManyComponents> {
    let outside = voxels.mapv(|inside| !inside);
    let mut scan = ComponentScan::new(Connectivity::Face);
    outside.axis_iter(Axis(0)).try_for_each(|slice| scan.push(&slice))?;
    let mut found = scan.finish();
    let axes = if volume { 0..3 } else { 1..3 };
    found.retain(|component| {
        let at_border =
            |axis| component.first[axis] == 0 || component.last[axis] + 1 == extent[axis];
        component.voxels as u64 <= largest && !axes.clone().any(at_border)
    });
    let (mut holes, mut painter) = (Array3::zeros(outside.raw_dim()), found.painter());
    for (slice, ids) in outside.axis_iter(Axis(0)).zip(holes.axis_iter_mut(Axis(0))) {
        painter.paint(&slice, ids);
    }
    Ok(Zip::from(voxels).and(&holes).map_collect(|&inside, &hole: &u32| inside || hole != 0))
}
