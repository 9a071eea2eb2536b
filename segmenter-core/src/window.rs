//! Boxes of voxels.

use std::ops::Range;

use ndarray::{ArrayView, ArrayViewMut, Axis, Dimension, Slice};

use crate::Space;

/// An axis-aligned box of voxels: where it starts, and its extent.
///
/// ```
/// use segmenter_core::{Window, Yx};
///
/// let window = Window::<Yx>::new([2, 3], [4, 5]);
/// assert_eq!(window.range(0), 2..6);
/// assert!(window.fits([6, 8]) && !window.fits([6, 7]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window<S: Space> {
    /// The first voxel, in axis order.
    pub start: S::Extent,
    /// The number of voxels along each axis.
    pub extent: S::Extent,
}

impl<S: Space> Window<S> {
    /// A window from its first voxel and its extent.
    #[must_use]
    pub fn new(start: S::Extent, extent: S::Extent) -> Self {
        Self { start, extent }
    }

    /// The window that is all of a grid.
    #[must_use]
    pub fn whole(extent: S::Extent) -> Self {
        Self { start: S::extent_from_fn(|_| 0), extent }
    }

    /// The slices of a volume or the rows of a plane, one window each: a grid of any size is walked
    /// with little of it in memory.
    pub fn slices(extent: S::Extent) -> impl Iterator<Item = Self> {
        (0..extent.as_ref()[0]).map(move |index| {
            let mut slice = Self::whole(extent);
            slice.start.as_mut()[0] = index;
            slice.extent.as_mut()[0] = 1;
            slice
        })
    }

    /// The blocks of a grid, one window each, the last axis fastest: cells of a lattice that begins
    /// at the first voxel, cut off at the ends of the grid.
    ///
    /// ```
    /// use segmenter_core::{Window, Yx};
    ///
    /// let blocks: Vec<_> = Window::<Yx>::blocks([3, 5], [2, 4]).collect();
    /// assert_eq!(blocks[1], Window::new([0, 4], [2, 1]));
    /// assert_eq!(blocks[2], Window::new([2, 0], [1, 4]));
    /// assert_eq!(blocks.len(), 4);
    /// ```
    ///
    /// # Panics
    /// If a block has no voxels.
    pub fn blocks(grid: S::Extent, block: S::Extent) -> impl Iterator<Item = Self> {
        let counts = S::extent_from_fn(|axis| grid.as_ref()[axis].div_ceil(block.as_ref()[axis]));
        let cells = counts.as_ref().iter().product();
        (0..cells).map(move |cell: usize| {
            let mut rest = cell;
            let mut start = S::extent_from_fn(|_| 0);
            for axis in (0..S::RANK).rev() {
                start.as_mut()[axis] = rest % counts.as_ref()[axis] * block.as_ref()[axis];
                rest /= counts.as_ref()[axis];
            }
            let left = |axis: usize| grid.as_ref()[axis] - start.as_ref()[axis];
            let extent = S::extent_from_fn(|axis| block.as_ref()[axis].min(left(axis)));
            Self { start, extent }
        })
    }

    /// The voxels covered along one axis.
    #[must_use]
    pub fn range(&self, axis: usize) -> Range<usize> {
        let start = self.start.as_ref()[axis];
        start..start + self.extent.as_ref()[axis]
    }

    /// Whether the window lies within a grid of this extent.
    #[must_use]
    pub fn fits(&self, grid: S::Extent) -> bool {
        let ends = self.start.as_ref().iter().zip(self.extent.as_ref());
        ends.zip(grid.as_ref()).all(|((&start, &size), &limit)| {
            start.checked_add(size).is_some_and(|end| end <= limit)
        })
    }

    /// The part of a spatial array that the window covers.
    ///
    /// # Panics
    /// If the window does not [fit](Self::fits).
    #[must_use]
    pub fn view<'a, T>(&self, array: &'a ArrayView<'_, T, S::Dim>) -> ArrayView<'a, T, S::Dim> {
        array.slice_each_axis(|axis| Slice::from(self.range(axis.axis.index())))
    }

    /// The part of an array with a leading channel axis that the window covers, all channels.
    ///
    /// # Panics
    /// If the window does not [fit](Self::fits).
    #[must_use]
    pub fn view_channels<'a, T>(
        &self,
        array: &'a ArrayView<'_, T, S::ChannelDim>,
    ) -> ArrayView<'a, T, S::ChannelDim> {
        debug_assert_eq!(array.raw_dim().ndim(), S::RANK + 1, "channels lead");
        array.slice_each_axis(|axis| self.channels_and_range(axis.axis))
    }

    /// The part of a spatial array that the window covers, for writing.
    ///
    /// # Panics
    /// If the window does not [fit](Self::fits).
    #[must_use]
    pub fn view_mut<'a, T>(
        &self,
        array: &'a mut ArrayViewMut<'_, T, S::Dim>,
    ) -> ArrayViewMut<'a, T, S::Dim> {
        array.slice_each_axis_mut(|axis| Slice::from(self.range(axis.axis.index())))
    }

    /// The part of an array with a leading channel axis that the window covers, all channels, for
    /// writing.
    ///
    /// # Panics
    /// If the window does not [fit](Self::fits).
    #[must_use]
    pub fn view_channels_mut<'a, T>(
        &self,
        array: &'a mut ArrayViewMut<'_, T, S::ChannelDim>,
    ) -> ArrayViewMut<'a, T, S::ChannelDim> {
        array.slice_each_axis_mut(|axis| self.channels_and_range(axis.axis))
    }

    fn channels_and_range(&self, axis: Axis) -> Slice {
        match axis {
            Axis(0) => Slice::from(..),
            Axis(spatial) => Slice::from(self.range(spatial - 1)),
        }
    }
}
