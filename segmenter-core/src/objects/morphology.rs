//! Masks made larger, smaller and smoother by a ball.

use super::{Length, ObjectsError};
use crate::{Mask, Space};

/// With a ball of any radius in the same time, by [distances](Mask::distances): a voxel is in the ball if its
/// centre is no farther from the ball's than the radius. What lies beyond the image is neither inside nor
/// outside.
impl<S: Space> Mask<S> {
    /// The voxels around which the whole ball is in the mask, as far as it is in the image: SciPy's
    /// `binary_erosion` with `border_value=1`.
    ///
    /// # Errors
    /// If the radius is in µm and the voxel size is not known, or it is negative or not finite.
    pub fn eroded(&self, radius: Length) -> Result<Self, ObjectsError> {
        self.by_distance(radius, true, |square, limit| square > limit)
    }

    /// The voxels of all balls around voxels of the mask: SciPy's `binary_dilation`.
    ///
    /// # Errors
    /// As for [`eroded`](Self::eroded).
    pub fn dilated(&self, radius: Length) -> Result<Self, ObjectsError> {
        self.by_distance(radius, false, |square, limit| square <= limit)
    }

    /// The voxels of all balls that fit into the mask: [eroded](Self::eroded), then
    /// [dilated](Self::dilated). Takes away what is thinner than the ball, and rounds corners.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Mask2, objects::Length};
    ///
    /// let mask = array![[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]].mapv(|voxel| voxel == 1);
    /// let opened = Mask2::new(mask).opened(Length::Voxels(1.0))?;
    /// assert_eq!(opened.view().row(1), array![true, true, true, true, false]);
    /// # Ok::<(), segmenter_core::objects::ObjectsError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`eroded`](Self::eroded).
    pub fn opened(&self, radius: Length) -> Result<Self, ObjectsError> {
        self.eroded(radius)?.dilated(radius)
    }

    /// All but the voxels of balls that fit outside of the mask: [dilated](Self::dilated), then
    /// [eroded](Self::eroded). Closes gaps that are thinner than the ball.
    ///
    /// # Errors
    /// As for [`eroded`](Self::eroded).
    pub fn closed(&self, radius: Length) -> Result<Self, ObjectsError> {
        self.dilated(radius)?.eroded(radius)
    }

    fn by_distance(
        &self,
        radius: Length,
        inside: bool,
        keep: impl Fn(f64, f64) -> bool,
    ) -> Result<Self, ObjectsError> {
        let radius_value = radius.value("radius")?;
        let edges = radius.unit().edges(self.voxel_size())?;
        let squares = self.squared_distances(edges, inside);
        let voxels = squares.mapv(|square| keep(square, radius_value * radius_value));
        Ok(Self::new(voxels).with_voxel_size(self.voxel_size()))
    }
}
