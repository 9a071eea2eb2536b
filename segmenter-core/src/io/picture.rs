//! What goes into a file, and how it is divided and packed there.

use ndarray::ArrayView;

use crate::{NewImage, Pixel, PixelType, Space};

/// How pixels are packed in a TIFF file. A PNG file is always packed with deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate, also called zlib, at level 3: every reader opens it.
    Deflate,
    /// Zstandard at level 3: several times faster and as small, but ImageJ without Bio-Formats does
    /// not open it.
    #[default]
    Zstd,
}

/// How the planes of a TIFF file are divided into the blocks that are read and written as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocks {
    /// Tiles of 256 x 256 pixels; planes below that have a tile that is as small, to the next
    /// multiple of 16. A small part of a plane is read without the rest.
    #[default]
    Tiles,
    /// Strips of whole rows, 256 KiB each: ImageJ opens no others without Bio-Formats.
    Strips,
}

/// An image of which all pixels are at hand, for formats that take nothing less.
pub(super) struct Picture {
    pub(super) channels: usize,
    /// `[z, y, x]`, where a plane has one slice.
    pub(super) extent: [usize; 3],
    pub(super) pixel: PixelType,
    /// Little-endian pixels, `[c, z, y, x]`.
    pub(super) pixels: Vec<u8>,
}

impl Picture {
    /// An image, each value of which is stored through `convert`.
    pub(super) fn new<S: Space, V: Copy, T: Pixel>(
        image: &NewImage<S, T>,
        values: &ArrayView<'_, V, S::ChannelDim>,
        convert: impl Fn(V) -> T,
    ) -> Self {
        let mut pixels = Vec::with_capacity(values.len() * T::TYPE.bytes());
        T::extend_all_le_bytes(values.iter().map(|&value| convert(value)), &mut pixels);
        let extent = S::to_zyx(image.extent());
        Self { channels: image.channels(), extent, pixel: T::TYPE, pixels }
    }
}
