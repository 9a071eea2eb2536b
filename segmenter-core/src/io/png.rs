//! Writing PNG planes.

use std::{
    fs::File,
    io::{self, BufWriter},
};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::picture::Picture;
use crate::{PixelType, Space};

/// Why an image does not go into a PNG file, if it does not.
pub(super) fn refusal<S: Space>(
    channels: usize,
    extent: S::Extent,
    pixel: PixelType,
) -> Option<String> {
    let use_tiff = "save it as .ome.tiff";
    let [slices, rows, columns] = S::to_zyx(extent);
    if slices != 1 {
        return Some(format!("a PNG file holds a plane, not a volume; {use_tiff}"));
    }
    if colours(pixel, channels).is_none() {
        return Some(format!(
            "a PNG file holds u8 or u16 pixels of 1, 3 or 4 channels, not {pixel} of {channels}; \
             {use_tiff}"
        ));
    }
    // PNG, section 11.2.1: sizes have 31 bits.
    let fits = |size: usize| i32::try_from(size).is_ok();
    (!fits(rows) || !fits(columns))
        .then(|| format!("{rows} x {columns} pixels are more than a PNG file can hold; {use_tiff}"))
}

fn colours(pixel: PixelType, channels: usize) -> Option<ExtendedColorType> {
    match (pixel, channels) {
        (PixelType::U8, 1) => Some(ExtendedColorType::L8),
        (PixelType::U8, 3) => Some(ExtendedColorType::Rgb8),
        (PixelType::U8, 4) => Some(ExtendedColorType::Rgba8),
        (PixelType::U16, 1) => Some(ExtendedColorType::L16),
        (PixelType::U16, 3) => Some(ExtendedColorType::Rgb16),
        (PixelType::U16, 4) => Some(ExtendedColorType::Rgba16),
        _ => None,
    }
}

/// Writes a picture that was not refused.
pub(super) fn write(picture: &Picture, file: &mut BufWriter<File>) -> io::Result<()> {
    let colours = colours(picture.pixel, picture.channels).ok_or(io::ErrorKind::Unsupported)?;
    let [_, rows, columns] = picture.extent;
    let size = picture.pixel.bytes();
    let plane = rows * columns * size;
    let mut bytes = Vec::with_capacity(picture.pixels.len());
    for pixel in (0..plane).step_by(size) {
        for samples in picture.pixels.chunks_exact(plane) {
            bytes.extend_from_slice(&samples[pixel..][..size]);
        }
    }
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    let [rows, columns] = [rows, columns].map(|size| u32::try_from(size).map_err(io::Error::other));
    PngEncoder::new(file).write_image(&bytes, columns?, rows?, colours).map_err(io::Error::other)
}
