//! Image stacks, label images, masks, regions and their files: the part of `segmenter` that every
//! other crate stands on, and that stands on its own. It knows nothing of neural networks.
//!
//! The axis order is the type: [`Yx`] for planes, [`Zyx`] for volumes. Mixing them is a compile
//! error, and code that serves both is generic over [`Space`].
//!
//! | type | holds | made for |
//! |---|---|---|
//! | [`Stack`] | intensities, channels leading: `[c, z, y, x]` | raw images |
//! | [`Labels`] | one id a voxel, 0 is background | instance segmentations |
//! | [`Mask`] | inside or outside | foreground, or which voxels count |
//! | [`Probability`] | 0 to 1 | what a network thinks |
//!
//! Intensities, labels, masks and probabilities are different types, so nothing interpolates a
//! label; conversions between them are named. Physical size ([`VoxelSize`], in micrometres) travels
//! with each of them through every operation and every file.
//!
//! Images larger than memory are read from a [`Source`] and written into a [`Sink`], box by box.
//!
//! # Example: from labels to a score
//!
//! ```
//! use ndarray::array;
//! use segmenter_core::{Labels2, metrics};
//!
//! let truth = Labels2::new(array![[0, 1, 1], [0, 2, 2]]).foreground();
//! let found = Labels2::new(array![[0, 7, 7], [0, 0, 7]]).foreground();
//! assert_eq!(metrics::dice(&found, &truth)?, 6.0 / 7.0);
//! # Ok::<(), segmenter_core::ExtentMismatch>(())
//! ```

mod components;
mod copy;
mod edit;
mod error;
mod grid;
pub mod io;
pub mod metrics;
#[cfg(test)]
mod mutations;
mod new_image;
pub mod objects;
pub mod pickle;
mod pixel;
mod rasterise;
mod region;
mod sample;
mod sink;
mod source;
mod space;
mod stack;
pub mod threshold;
pub mod torch;
mod voxel;
mod window;

pub use components::{
    Component, ComponentPainter, ComponentScan, Components, Connectivity, FoundComponents,
    TooManyComponents,
};
pub use copy::{CopyError, CopyProgress, copy};
pub use error::{ExtentMismatch, NonFinite};
pub use grid::{
    Labels, Labels2, Labels3, Mask, Mask2, Mask3, Probability, Probability2, Probability3,
};
pub use new_image::{ImageKind, NewImage};
pub use pixel::{Pixel, PixelType};
pub use region::{Ellipse, InvalidRegion, Region, RegionFault};
pub use sample::{Sample, SampleError};
pub use sink::{Sink, WriteError};
pub use source::{ReadError, Source};
pub use space::{Space, Yx, Zyx};
pub use stack::{Stack, Stack2, Stack3};
pub use voxel::{InvalidVoxelSize, VoxelSize};
pub use window::Window;
