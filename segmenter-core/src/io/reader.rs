//! A file that is open, whatever its format.

use std::{
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
};

use super::{
    OpenError,
    fault::{Fault, guarded},
    layout::{Layout, too_large},
    png::Png,
    tiff::Tiff,
};
use crate::{Pixel, PixelType};

/// A file whose layout is known and whose pixels can be decoded.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Tiff(Tiff),
    Png(Png),
}

impl Reader {
    /// Opens a file and reads everything but its pixels. The format is told by the first bytes.
    pub(super) fn open(path: &Path, scene: Option<usize>, limit: u64) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        file.by_ref().take(8).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        let format = match start.as_slice() {
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => {
                Format::Tiff(guarded(path, || Tiff::open(file, path, scene))?)
            }
            b"\x89PNG\r\n\x1a\n" => Format::Png(guarded(path, || Png::open(file, scene, limit))?),
            other => {
                let found = unknown(other);
                return Err(OpenError::NotAnImage { path: path.to_owned(), found });
            }
        };
        Ok(Self { path: path.to_owned(), format })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn layout(&self) -> &Layout {
        match &self.format {
            Format::Tiff(tiff) => tiff.layout(),
            Format::Png(png) => png.layout(),
        }
    }

    /// Decodes these channels into `[c, z, y, x]`, plane by plane through `convert`.
    pub(super) fn decode<T: Default + Clone>(
        &mut self,
        channels: &[usize],
        limit: u64,
        convert: Convert<T>,
    ) -> Result<Vec<T>, OpenError> {
        let path = self.path.clone();
        guarded(&path, || self.decode_unguarded(channels, limit, convert))
    }

    fn decode_unguarded<T: Default + Clone>(
        &mut self,
        channels: &[usize],
        limit: u64,
        convert: Convert<T>,
    ) -> Result<Vec<T>, Fault> {
        let layout = self.layout();
        let plane = layout.plane()?;
        let slices = layout.extent[0];
        let length = layout.pixels_within(channels.len(), size_of::<T>(), limit)?;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(length).map_err(|_| too_large(limit))?;
        pixels.resize(length, T::default());
        let take = |channel: usize, slice: usize, bytes: &[u8]| {
            if let Some(place) = channels.iter().position(|&wanted| wanted == channel) {
                convert(bytes, &mut pixels[(place * slices + slice) * plane..][..plane]);
            }
            Ok(())
        };
        match &mut self.format {
            Format::Tiff(tiff) => tiff.each_plane(channels, limit, take)?,
            Format::Png(png) => png.each_plane(channels, take)?,
        }
        Ok(pixels)
    }
}

/// Turns the little-endian bytes of a plane into values.
pub(super) type Convert<T> = fn(&[u8], &mut [T]);

/// Takes values as they are.
pub(super) fn same<T: Pixel>(bytes: &[u8], pixels: &mut [T]) {
    convert::<T, T>(bytes, pixels, |value| value);
}

/// Takes values of any type as `f32`.
pub(super) fn to_f32(pixel: PixelType) -> Convert<f32> {
    match pixel {
        PixelType::U8 => |bytes, pixels| convert(bytes, pixels, u8::to_f32),
        PixelType::I8 => |bytes, pixels| convert(bytes, pixels, i8::to_f32),
        PixelType::U16 => |bytes, pixels| convert(bytes, pixels, u16::to_f32),
        PixelType::I16 => |bytes, pixels| convert(bytes, pixels, i16::to_f32),
        PixelType::U32 => |bytes, pixels| convert(bytes, pixels, u32::to_f32),
        PixelType::F32 => |bytes, pixels| convert(bytes, pixels, f32::to_f32),
    }
}

/// Takes values of any type as 1 where they are above 0, and as 0 elsewhere.
pub(super) fn to_inside(pixel: PixelType) -> Convert<u8> {
    match pixel {
        PixelType::U8 => inside::<u8>,
        PixelType::I8 => inside::<i8>,
        PixelType::U16 => inside::<u16>,
        PixelType::I16 => inside::<i16>,
        PixelType::U32 => inside::<u32>,
        PixelType::F32 => inside::<f32>,
    }
}

fn inside<T: Pixel>(bytes: &[u8], pixels: &mut [u8]) {
    convert::<T, u8>(bytes, pixels, |value| u8::from(value > T::default()));
}

fn convert<P: Pixel, T>(bytes: &[u8], pixels: &mut [T], f: impl Fn(P) -> T) {
    for (pixel, bytes) in pixels.iter_mut().zip(bytes.chunks_exact(P::TYPE.bytes())) {
        if let Some(value) = P::from_le_slice(bytes) {
            *pixel = f(value);
        }
    }
}

fn unknown(start: &[u8]) -> &'static str {
    match start {
        [] => "is empty",
        [0xFF, 0xD8, 0xFF, ..] => "is a JPEG image, whose pixels are not the measured ones",
        [b'G', b'I', b'F', b'8', ..] => "is a GIF image",
        [b'P', b'K', 3, 4, ..] => "is a zip archive",
        [0x89, b'H', b'D', b'F', ..] => "is an HDF5 file",
        _ => "is of an unknown format",
    }
}
