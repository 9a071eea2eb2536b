//! PNG and JPEG planes, which are decoded as a whole.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read, Seek},
    sync::{Mutex, OnceLock, PoisonError},
};

use image::{ColorType, ImageDecoder, ImageError, Limits, codecs::png::PngDecoder};

use super::{
    fault::Fault,
    format::{Choice, Format},
    jpeg,
    layout::{Layout, too_large, within},
};
use crate::{PixelType, Window, Zyx};

/// A PNG or JPEG file whose header is read. Pixels are decoded when the first is wanted, and kept.
pub(super) struct Raster {
    layout: Layout,
    file: Mutex<File>,
    decode: fn(File, u64, &mut [u8]) -> Result<(), Fault>,
    /// Little-endian samples of a pixel side by side.
    pixels: OnceLock<Vec<u8>>,
}

impl fmt::Debug for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raster").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Raster {
    pub(super) fn open_png(mut file: File, choice: &Choice) -> Result<Self, Fault> {
        /// Deflate makes 1032 bytes of one at most (RFC 1951), and a byte of a PNG is 8 pixels at most.
        const MOST: u64 = 1032 * 8;
        refuse_exotic(&mut file)?;
        let decoder = png(file.try_clone()?, choice.limit)?;
        let ((pixel, channels), (columns, rows)) = (pixels(&decoder)?, decoder.dimensions());
        let size = |size: u32| usize::try_from(size).map_err(|_| too_large(choice.limit));
        let layout = Layout::plain(channels, [1, size(rows)?, size(columns)?], pixel);
        Self::new(layout, file, choice, MOST, |file, limit, pixels| {
            png(file, limit)?.read_image(pixels).map_err(fault)
        })
    }

    pub(super) fn open_jpeg(file: File, choice: &Choice) -> Result<Self, Fault> {
        let bytes = all_of(&file, choice.limit)?;
        let (extent, channels) = jpeg::describe(&bytes)?;
        let layout = Layout::plain(channels, extent, PixelType::U8);
        Self::new(layout, file, choice, jpeg::MOST_EXPANSION, |file, limit, pixels| {
            jpeg::decode(&all_of(&file, limit)?, pixels)
        })
    }

    fn new(
        layout: Layout,
        file: File,
        choice: &Choice,
        most: u64,
        decode: fn(File, u64, &mut [u8]) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        choice.only_one()?;
        refuse_lie(&layout, file.metadata()?.len(), most)?;
        Ok(Self { layout, file: Mutex::new(file), decode, pixels: OnceLock::new() })
    }

    /// All pixels, decoded once.
    fn pixels(&self, limit: u64) -> Result<&[u8], Fault> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pixels) = self.pixels.get() {
            return Ok(pixels);
        }
        let size = self.layout.pixel.bytes();
        let length = self.layout.plane()?.checked_mul(self.layout.channels * size);
        let mut pixels = vec![0; within(length, limit)?];
        file.rewind()?;
        (self.decode)(file.try_clone()?, limit, &mut pixels)?;
        if cfg!(target_endian = "big") {
            pixels.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(self.pixels.get_or_init(|| pixels))
    }
}

impl Format for Raster {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(
        &self,
        channels: &[usize],
        window: &Window<Zyx>,
        limit: u64,
        out: &mut [&mut [u8]],
    ) -> Result<(), Fault> {
        let pixels = self.pixels(limit)?;
        let size = self.layout.pixel.bytes();
        let [.., columns] = window.extent;
        let wide = self.layout.channels * size;
        for (&channel, out) in channels.iter().zip(out) {
            for (row, out) in window.range(1).zip(out.chunks_exact_mut((columns * size).max(1))) {
                let first = (row * self.layout.extent[2] + window.start[2]) * wide;
                let source = pixels[first..][..columns * wide].chunks_exact(wide);
                for (to, from) in out.chunks_exact_mut(size).zip(source) {
                    to.copy_from_slice(&from[channel * size..][..size]);
                }
            }
        }
        Ok(())
    }
}

fn png(file: File, limit: u64) -> Result<PngDecoder<BufReader<File>>, Fault> {
    PngDecoder::with_limits(BufReader::new(file), limits(limit)).map_err(fault)
}

/// The bytes of a file, if they are no more than may be decoded.
fn all_of(mut file: &File, limit: u64) -> Result<Vec<u8>, Fault> {
    let needed = file.metadata()?.len();
    if needed > limit {
        return Err(Fault::Limit { needed, limit });
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// The colours of a palette are no intensities, and its indices are not offered by the decoder. Pixels of
/// 2 and 4 bits are stretched by it to 8, and that is no longer what was measured. The header is the first
/// chunk; byte 24 of the file is its bit depth, byte 25 its colour type (PNG, section 11.2.1).
fn refuse_exotic(file: &mut File) -> Result<(), Fault> {
    let mut header = [0; 26];
    file.read_exact(&mut header)?;
    file.rewind()?;
    match header[24..] {
        [_, 3] => {
            Err(Fault::unsupported("the pixels are indices into a palette; save it as gray values"))
        }
        [bits @ (2 | 4), _] => Err(Fault::unsupported(format!(
            "the pixels have {bits} bits; save it with 8 or 16 bits"
        ))),
        _ => Ok(()),
    }
}

/// A size beyond what any packing reaches is refused before memory is taken for it.
fn refuse_lie(layout: &Layout, file_length: u64, most: u64) -> Result<(), Fault> {
    let pixels = u64::try_from(layout.plane()?).unwrap_or(u64::MAX);
    if pixels / most > file_length {
        let [_, rows, columns] = layout.extent;
        return Err(Fault::malformed(format!(
            "{file_length} bytes can't hold {columns} x {rows} pixels"
        )));
    }
    Ok(())
}

/// The type of a pixel and the number of channels. Pixels of one bit are 0 and 255, as other readers
/// have them.
fn pixels(decoder: &impl ImageDecoder) -> Result<(PixelType, usize), Fault> {
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
