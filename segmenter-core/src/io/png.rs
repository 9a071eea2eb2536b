//! Reading and writing PNG planes.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek},
};

use image::{
    ColorType, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, Limits,
    codecs::png::{PngDecoder, PngEncoder},
};

use super::{fault::Fault, layout::Layout, picture::Picture};
use crate::{PixelType, Space};

/// A PNG file whose header is read.
pub(super) struct Png {
    decoder: Option<Box<PngDecoder<BufReader<File>>>>,
    layout: Layout,
}

impl std::fmt::Debug for Png {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Png").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Png {
    pub(super) fn open(mut file: File, scene: Option<usize>, limit: u64) -> Result<Self, Fault> {
        if let Some(asked) = scene.filter(|&asked| asked > 0) {
            return Err(Fault::Scene { asked, scenes: 1 });
        }
        let file_length = file.metadata()?.len();
        refuse_palette(&mut file)?;
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(limit);
        let decoder = PngDecoder::with_limits(BufReader::new(file), limits).map_err(fault)?;
        let (pixel, channels) = pixels(&decoder)?;
        let (columns, rows) = decoder.dimensions();
        let size = |size: u32| usize::try_from(size).map_err(|_| super::layout::too_large(limit));
        let layout = Layout {
            time_points: 1,
            channels,
            extent: [1, size(rows)?, size(columns)?],
            pixel,
            spacing: [None; 3],
            channel_names: vec![None; channels],
        };
        refuse_lie(&layout, file_length)?;
        Ok(Self { decoder: Some(Box::new(decoder)), layout })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Decodes the image and hands over the channels asked for, as little-endian bytes.
    pub(super) fn each_plane(
        &mut self,
        channels: &[usize],
        mut take: impl FnMut(usize, usize, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(decoder) = self.decoder.take() else {
            return Err(Fault::malformed("was already read to its end"));
        };
        let size = self.layout.pixel.bytes();
        let length = self.layout.pixels_within(self.layout.channels, size, u64::MAX)?;
        let mut bytes = vec![0; length * size];
        (*decoder).read_image(&mut bytes).map_err(fault)?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        for &channel in channels {
            let samples = bytes.chunks_exact(size).skip(channel).step_by(self.layout.channels);
            take(channel, 0, &samples.flatten().copied().collect::<Vec<u8>>())?;
        }
        Ok(())
    }
}

/// The colours of a palette are no intensities, and its indices are not offered by the decoder.
/// The header is the first chunk; its colour type is byte 25 of the file (PNG, section 11.2.1).
fn refuse_palette(file: &mut File) -> Result<(), Fault> {
    let mut header = [0; 26];
    file.read_exact(&mut header)?;
    file.rewind()?;
    if header[25] == 3 {
        return Err(Fault::unsupported(
            "the pixels are indices into a palette; save it as gray values",
        ));
    }
    Ok(())
}

/// Deflate makes 1032 bytes of one at most (RFC 1951), and a byte of a PNG is 8 pixels at most: a
/// size beyond that is refused before memory is taken for it.
fn refuse_lie(layout: &Layout, file_length: u64) -> Result<(), Fault> {
    let pixels = u64::try_from(layout.plane()?).unwrap_or(u64::MAX);
    if pixels / (1032 * 8) > file_length {
        let [_, rows, columns] = layout.extent;
        return Err(Fault::malformed(format!(
            "{file_length} bytes can't hold {columns} x {rows} pixels"
        )));
    }
    Ok(())
}

/// The type of a pixel and the number of channels. Pixels of one bit are 0 and 255, as other readers
/// have them; 2 and 4 bits would be stretched likewise, and that is no longer what was measured.
fn pixels(decoder: &impl ImageDecoder) -> Result<(PixelType, usize), Fault> {
    if let stored @ (ExtendedColorType::L2 | ExtendedColorType::L4) = decoder.original_color_type()
    {
        return Err(Fault::unsupported(format!(
            "the pixels have {} bits; save it with 8 or 16 bits",
            stored.bits_per_pixel()
        )));
    }
    match decoder.color_type() {
        ColorType::L8 => Ok((PixelType::U8, 1)),
        ColorType::La8 => Ok((PixelType::U8, 2)),
        ColorType::Rgb8 => Ok((PixelType::U8, 3)),
        ColorType::Rgba8 => Ok((PixelType::U8, 4)),
        ColorType::L16 => Ok((PixelType::U16, 1)),
        ColorType::La16 => Ok((PixelType::U16, 2)),
        ColorType::Rgb16 => Ok((PixelType::U16, 3)),
        ColorType::Rgba16 => Ok((PixelType::U16, 4)),
        other => Err(Fault::unsupported(format!("the pixels are {other:?}"))),
    }
}

fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::IoError(error) => error.into(),
        ImageError::Unsupported(error) => Fault::unsupported(error.to_string()),
        other => Fault::malformed(other.to_string()),
    }
}

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
