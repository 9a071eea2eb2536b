//! Grids without channels: label images, masks and probabilities.

use ndarray::{Array, ArrayView, ArrayViewMut, Dimension};

use crate::{ReadError, Space, VoxelSize, Window, Yx, Zyx};

/// What the three grids have in common.
macro_rules! grid {
    ($(#[$doc:meta])* $name:ident of $voxel:ty, $plane:ident, $volume:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name<S: Space> {
            voxels: Array<$voxel, S::Dim>,
            voxel_size: Option<VoxelSize<S>>,
        }

        #[doc = concat!("[`", stringify!($name), "`] over a plane, `[y, x]`.")]
        pub type $plane = $name<Yx>;

        #[doc = concat!("[`", stringify!($name), "`] over a volume, `[z, y, x]`.")]
        pub type $volume = $name<Zyx>;

        impl<S: Space> $name<S> {
            /// Number of voxels along each axis, slowest first.
            #[must_use]
            pub fn extent(&self) -> S::Extent {
                S::extent_of(&self.voxels.raw_dim())
            }

            /// The size of a voxel in micrometres, if it is known.
            #[must_use]
            pub fn voxel_size(&self) -> Option<VoxelSize<S>> {
                self.voxel_size
            }

            /// The same grid with this voxel size, or with none.
            #[must_use]
            pub fn with_voxel_size(mut self, size: impl Into<Option<VoxelSize<S>>>) -> Self {
                self.voxel_size = size.into();
                self
            }

            /// The voxels, slowest axis first.
            #[must_use]
            pub fn view(&self) -> ArrayView<'_, $voxel, S::Dim> {
                self.voxels.view()
            }

            /// The part of the grid that a window covers.
            ///
            /// # Errors
            /// If the window leaves the grid.
            pub fn crop(&self, window: &Window<S>) -> Result<Self, ReadError> {
                ReadError::check(window, self.extent())?;
                let voxels = window.view(&self.view()).as_standard_layout().into_owned();
                Ok(Self { voxels, voxel_size: self.voxel_size })
            }

            /// The voxels without the grid around them.
            #[must_use]
            pub fn into_array(self) -> Array<$voxel, S::Dim> {
                self.voxels
            }
        }
    };
}

grid! {
    /// A label image: one id for each voxel, where 0 is background and every other number is an
    /// object. Ids need not be consecutive.
    Labels of u32, Labels2, Labels3
}

grid! {
    /// A yes or no for each voxel: foreground, or whether the voxel counts in training.
    Mask of bool, Mask2, Mask3
}

grid! {
    /// A number from 0 to 1 for each voxel: how sure a network is that it is foreground.
    Probability of f32, Probability2, Probability3
}

impl<S: Space> Labels<S> {
    /// A label image over these ids, of unknown voxel size.
    #[must_use]
    pub fn new(ids: Array<u32, S::Dim>) -> Self {
        Self { voxels: contiguous(ids), voxel_size: None }
    }

    /// The voxels that belong to any object.
    #[must_use]
    pub fn foreground(&self) -> Mask<S> {
        Mask::new(self.voxels.mapv(|id| id != 0)).with_voxel_size(self.voxel_size)
    }

    /// The ids for writing.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, u32, S::Dim> {
        self.voxels.view_mut()
    }
}

impl<S: Space> Mask<S> {
    /// A mask over these voxels, of unknown voxel size.
    #[must_use]
    pub fn new(voxels: Array<bool, S::Dim>) -> Self {
        Self { voxels: contiguous(voxels), voxel_size: None }
    }

    /// A mask of this extent with every voxel in it.
    #[must_use]
    pub fn all(extent: S::Extent) -> Self {
        Self::new(Array::from_elem(S::dim(extent), true))
    }

    /// A mask of this extent with no voxel in it.
    #[must_use]
    pub fn none(extent: S::Extent) -> Self {
        Self::new(Array::from_elem(S::dim(extent), false))
    }

    /// Number of voxels in the mask.
    #[must_use]
    pub fn count(&self) -> usize {
        self.voxels.iter().filter(|&&inside| inside).count()
    }

    /// The voxels outside this mask.
    #[must_use]
    pub fn inverted(&self) -> Self {
        Self { voxels: self.voxels.mapv(|inside| !inside), voxel_size: self.voxel_size }
    }

    /// The voxels for writing.
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, bool, S::Dim> {
        self.voxels.view_mut()
    }
}

impl<S: Space> Probability<S> {
    /// Probabilities over these voxels, of unknown voxel size. Values are taken as they are; they
    /// are meant to lie between 0 and 1.
    #[must_use]
    pub fn new(voxels: Array<f32, S::Dim>) -> Self {
        Self { voxels: contiguous(voxels), voxel_size: None }
    }

    /// The voxels whose probability is above the threshold.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::Probability2;
    ///
    /// let found = Probability2::new(array![[0.1, 0.5, 0.9]]).threshold(0.5);
    /// assert_eq!(found.view(), array![[false, false, true]], "strictly above");
    /// ```
    #[must_use]
    pub fn threshold(&self, threshold: f32) -> Mask<S> {
        Mask { voxels: self.voxels.mapv(|p| p > threshold), voxel_size: self.voxel_size }
    }
}

/// The array in the order of its axes, copied only if it is not yet.
pub(crate) fn contiguous<T: Clone, D: Dimension>(array: Array<T, D>) -> Array<T, D> {
    if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() }
}

/// The voxels of a grid as they lie in memory.
pub(crate) fn in_order<'a, T, D: Dimension>(grid: &ArrayView<'a, T, D>) -> &'a [T] {
    grid.to_slice().expect("grids are contiguous")
}

/// The voxels of a grid as they lie in memory, for writing.
pub(crate) fn in_order_mut<T, D: Dimension>(grid: ArrayViewMut<'_, T, D>) -> &mut [T] {
    grid.into_slice().expect("grids are contiguous")
}
