//! Where voxels are read from.

use std::sync::Arc;

use ndarray::{Array, Axis};

use crate::{Labels, Mask, Pixel, Space, Stack, VoxelSize, Window};

/// Something whose voxels can be read box by box: a grid in memory, a file, or a computation over
/// other sources such as a merge of two segmentations.
///
/// This trait is what passes between curation, training and prediction, so that none of them has to
/// know where the voxels come from, and an application can bring its own images.
pub trait Source<S: Space, T>: Send + Sync {
    /// Number of voxels along each spatial axis, slowest first.
    fn extent(&self) -> S::Extent;

    /// Number of channels; 1 for label images and masks.
    fn channels(&self) -> usize;

    /// The size of a voxel in micrometres, if it is known.
    fn voxel_size(&self) -> Option<VoxelSize<S>>;

    /// The voxels of a box, all channels: `[c, z, y, x]` or `[c, y, x]`.
    ///
    /// # Errors
    /// If the box leaves the source, or what lies behind the source can't be read.
    fn read(&self, window: &Window<S>) -> Result<Array<T, S::ChannelDim>, ReadError>;
}

/// Why a box of voxels could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The box is not wholly inside.
    #[error("a window from {start:?} of extent {window:?} leaves a grid of extent {grid:?}")]
    Outside {
        /// First voxel asked for.
        start: Vec<usize>,
        /// Extent asked for.
        window: Vec<usize>,
        /// Extent that there is.
        grid: Vec<usize>,
    },
    /// What lies behind the source failed.
    #[error("voxels can't be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ReadError {
    /// Checks that a window lies within a grid.
    ///
    /// # Errors
    /// If it does not.
    pub fn check<S: Space>(window: &Window<S>, grid: S::Extent) -> Result<(), Self> {
        if window.fits(grid) {
            return Ok(());
        }
        Err(Self::Outside {
            start: window.start.as_ref().to_vec(),
            window: window.extent.as_ref().to_vec(),
            grid: grid.as_ref().to_vec(),
        })
    }
}

impl<S: Space, T, A: Source<S, T> + ?Sized> Source<S, T> for Arc<A> {
    fn extent(&self) -> S::Extent {
        self.as_ref().extent()
    }

    fn channels(&self) -> usize {
        self.as_ref().channels()
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.as_ref().voxel_size()
    }

    fn read(&self, window: &Window<S>) -> Result<Array<T, S::ChannelDim>, ReadError> {
        self.as_ref().read(window)
    }
}

impl<S: Space, T: Pixel> Source<S, f32> for Stack<S, T> {
    fn extent(&self) -> S::Extent {
        self.extent()
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.voxel_size()
    }

    fn read(&self, window: &Window<S>) -> Result<Array<f32, S::ChannelDim>, ReadError> {
        ReadError::check(window, self.extent())?;
        Ok(window.view_channels(&self.view()).mapv(T::to_f32))
    }
}

macro_rules! grid_source {
    ($grid:ident of $voxel:ty) => {
        impl<S: Space> Source<S, $voxel> for $grid<S> {
            fn extent(&self) -> S::Extent {
                self.extent()
            }

            fn channels(&self) -> usize {
                1
            }

            fn voxel_size(&self) -> Option<VoxelSize<S>> {
                self.voxel_size()
            }

            fn read(&self, window: &Window<S>) -> Result<Array<$voxel, S::ChannelDim>, ReadError> {
                ReadError::check(window, self.extent())?;
                let voxels = self.view();
                Ok(window.view(&voxels).to_owned().insert_axis(Axis(0)))
            }
        }
    };
}

grid_source!(Labels of u32);
grid_source!(Mask of bool);
