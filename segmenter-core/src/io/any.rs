//! Images whose axes and pixels are known at run time only.

use std::path::Path;

use half::f16;

use super::{Axes, Dataset, OpenError, OpenOptions};
use crate::{Pixel, PixelType, Space, Stack, VoxelSize, Yx, Zyx};

/// An image of any axes and any pixels.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{PixelType, Stack2, io::{AnyStack, Axes}};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cells.png");
/// Stack2::new(array![[1_u16, 2], [3, 40]]).save(&path)?;
///
/// let image = AnyStack::open(&path)?;
/// assert_eq!((image.axes(), image.pixel_type()), (Axes::Yx, PixelType::U16));
/// assert_eq!(image.range(), Some((1.0, 40.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum AnyStack {
    /// A plane.
    Yx(AnyPixels<Yx>),
    /// A volume.
    Zyx(AnyPixels<Zyx>),
}

/// An image of known axes and any pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyPixels<S: Space> {
    /// Yes or no.
    Bool(Stack<S, bool>),
    /// Unsigned, 8 bits.
    U8(Stack<S, u8>),
    /// Signed, 8 bits.
    I8(Stack<S, i8>),
    /// Unsigned, 16 bits.
    U16(Stack<S, u16>),
    /// Signed, 16 bits.
    I16(Stack<S, i16>),
    /// Unsigned, 32 bits.
    U32(Stack<S, u32>),
    /// Signed, 32 bits.
    I32(Stack<S, i32>),
    /// Unsigned, 64 bits.
    U64(Stack<S, u64>),
    /// Signed, 64 bits.
    I64(Stack<S, i64>),
    /// Floating point, 16 bits.
    F16(Stack<S, f16>),
    /// Floating point, 32 bits.
    F32(Stack<S, f32>),
    /// Floating point, 64 bits.
    F64(Stack<S, f64>),
}

/// Does the same for each pixel type.
macro_rules! each {
    ($any:expr, $stack:ident => $what:expr) => {
        match $any {
            AnyPixels::Bool($stack) => $what,
            AnyPixels::U8($stack) => $what,
            AnyPixels::I8($stack) => $what,
            AnyPixels::U16($stack) => $what,
            AnyPixels::I16($stack) => $what,
            AnyPixels::U32($stack) => $what,
            AnyPixels::I32($stack) => $what,
            AnyPixels::U64($stack) => $what,
            AnyPixels::I64($stack) => $what,
            AnyPixels::F16($stack) => $what,
            AnyPixels::F32($stack) => $what,
            AnyPixels::F64($stack) => $what,
        }
    };
}

impl<S: Space> AnyPixels<S> {
    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        each!(self, stack => stack.extent())
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        each!(self, stack => stack.channels())
    }

    /// The channels' names, in order, where they have one.
    #[must_use]
    pub fn channel_names(&self) -> &[Option<String>] {
        each!(self, stack => stack.channel_names())
    }

    /// The size of a voxel in micrometres, if it is known.
    #[must_use]
    pub fn voxel_size(&self) -> Option<VoxelSize<S>> {
        each!(self, stack => stack.voxel_size())
    }

    /// The type of a pixel.
    #[must_use]
    pub fn pixel_type(&self) -> PixelType {
        match self {
            Self::Bool(_) => PixelType::Bool,
            Self::U8(_) => PixelType::U8,
            Self::I8(_) => PixelType::I8,
            Self::U16(_) => PixelType::U16,
            Self::I16(_) => PixelType::I16,
            Self::U32(_) => PixelType::U32,
            Self::I32(_) => PixelType::I32,
            Self::U64(_) => PixelType::U64,
            Self::I64(_) => PixelType::I64,
            Self::F16(_) => PixelType::F16,
            Self::F32(_) => PixelType::F32,
            Self::F64(_) => PixelType::F64,
        }
    }

    /// The smallest and the largest intensity, or `None` if there is none. What is not a number is
    /// passed over.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        each!(self, stack => range(stack))
    }

    /// Hands over all pixels as little-endian bytes in the order c, z, y, x, in pieces of at most a
    /// megabyte: what a checksum over the pixels is made of.
    pub fn visit_le_bytes(&self, visit: impl FnMut(&[u8])) {
        each!(self, stack => visit_le_bytes(stack, visit));
    }

    /// The image in `f32`; see [`Pixel::to_f32`] for what is exact.
    #[must_use]
    pub fn to_f32(&self) -> Stack<S, f32> {
        each!(self, stack => stack.to_f32())
    }

    fn read(dataset: &Dataset) -> Result<Self, OpenError> {
        Ok(match dataset.layout().pixel {
            PixelType::Bool => Self::Bool(dataset.stack()?),
            PixelType::U8 => Self::U8(dataset.stack()?),
            PixelType::I8 => Self::I8(dataset.stack()?),
            PixelType::U16 => Self::U16(dataset.stack()?),
            PixelType::I16 => Self::I16(dataset.stack()?),
            PixelType::U32 => Self::U32(dataset.stack()?),
            PixelType::I32 => Self::I32(dataset.stack()?),
            PixelType::U64 => Self::U64(dataset.stack()?),
            PixelType::I64 => Self::I64(dataset.stack()?),
            PixelType::F16 => Self::F16(dataset.stack()?),
            PixelType::F32 => Self::F32(dataset.stack()?),
            PixelType::F64 => Self::F64(dataset.stack()?),
        })
    }
}

/// Does the same for planes and volumes.
macro_rules! both {
    ($any:expr, $pixels:ident => $what:expr) => {
        match $any {
            AnyStack::Yx($pixels) => $what,
            AnyStack::Zyx($pixels) => $what,
        }
    };
}

impl AnyStack {
    /// Opens an image file, whatever its axes and pixels, up to 16 GiB of them.
    ///
    /// # Errors
    /// If the file can't be read, is damaged, holds what is not read here, is a time series, holds
    /// several scenes, or is larger than 16 GiB.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open_any(path)
    }

    /// The spatial axes.
    #[must_use]
    pub fn axes(&self) -> Axes {
        match self {
            Self::Yx(_) => Axes::Yx,
            Self::Zyx(_) => Axes::Zyx,
        }
    }

    /// Number of voxels along each spatial axis, slowest first: `[y, x]` or `[z, y, x]`.
    #[must_use]
    pub fn extent(&self) -> Vec<usize> {
        both!(self, pixels => pixels.extent().to_vec())
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        both!(self, pixels => pixels.channels())
    }

    /// The channels' names, in order, where they have one.
    #[must_use]
    pub fn channel_names(&self) -> &[Option<String>] {
        both!(self, pixels => pixels.channel_names())
    }

    /// The size of a voxel in micrometres along each spatial axis, slowest first, if it is known.
    #[must_use]
    pub fn voxel_size(&self) -> Option<Vec<f64>> {
        both!(self, pixels => pixels.voxel_size().map(Vec::from))
    }

    /// The type of a pixel.
    #[must_use]
    pub fn pixel_type(&self) -> PixelType {
        both!(self, pixels => pixels.pixel_type())
    }

    /// The smallest and the largest intensity; see [`AnyPixels::range`].
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        both!(self, pixels => pixels.range())
    }

    /// Hands over all pixels as bytes; see [`AnyPixels::visit_le_bytes`].
    pub fn visit_le_bytes(&self, visit: impl FnMut(&[u8])) {
        both!(self, pixels => pixels.visit_le_bytes(visit));
    }
}

impl OpenOptions {
    /// Opens an image, whatever its axes and pixels.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for axes and pixel type.
    pub fn open_any(&self, path: impl AsRef<Path>) -> Result<AnyStack, OpenError> {
        let dataset = self.open_dataset(path)?;
        match dataset.layout().axes() {
            Axes::Yx => AnyPixels::read(&dataset).map(AnyStack::Yx),
            Axes::Zyx => AnyPixels::read(&dataset).map(AnyStack::Zyx),
        }
    }
}

fn range<S: Space, T: Pixel>(stack: &Stack<S, T>) -> Option<(f64, f64)> {
    let values = stack.view();
    let mut numbers = values.iter().map(|&value| value.to_f64()).filter(|value| !value.is_nan());
    let first = numbers.next()?;
    Some(numbers.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}

fn visit_le_bytes<S: Space, T: Pixel>(stack: &Stack<S, T>, mut visit: impl FnMut(&[u8])) {
    const PIECE: usize = 1 << 20;
    let mut bytes = Vec::with_capacity(PIECE);
    for &value in stack.view() {
        value.extend_le_bytes(&mut bytes);
        if bytes.len() >= PIECE {
            visit(&bytes);
            bytes.clear();
        }
    }
    if !bytes.is_empty() {
        visit(&bytes);
    }
}
