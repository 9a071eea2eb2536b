//! Images in `.npy` files.

use std::{fs::File, path::Path, sync::OnceLock};

use super::{NpyError, header::Header};
use crate::{
    PixelType, Window, Zyx,
    io::{
        fault::Fault,
        file_at::FileAt,
        format::{Choice, Format},
        layout::Layout,
    },
};

/// An array of two to four axes, `[y, x]`, `[z, y, x]` or `[c, z, y, x]`.
#[derive(Debug)]
pub(in crate::io) struct NpyImage {
    file: FileAt,
    layout: Layout,
    /// Where the values begin.
    start: u64,
    big_endian: bool,
    /// Whether the first axis is the fastest.
    fortran_order: bool,
    /// All values in the order of the axes, where they are stored in another.
    sorted: OnceLock<Vec<u8>>,
}

/// A header is text for people and as long as it needs to be; one of megabytes is none.
const LONGEST_HEADER: u64 = 1 << 20;

impl NpyImage {
    pub(in crate::io) fn open(file: File, path: &Path, choice: &Choice) -> Result<Self, Fault> {
        choice.only_one()?;
        let file = FileAt::new(file)?;
        let mut start = Vec::new();
        file.read(0, file.len().min(LONGEST_HEADER), &mut start)?;
        let (header, rest) = Header::split(&start, path).map_err(|error| match error {
            NpyError::Header { reason, .. } => Fault::malformed(reason),
            other => Fault::malformed(other.to_string()),
        })?;
        let start = (start.len() - rest.len()) as u64;
        let (pixel, big_endian) = pixel(&header.descr)?;
        let layout = layout(&header.shape, pixel)?;
        let bytes = header.count().and_then(|count| count.checked_mul(pixel.bytes()));
        let found = file.len() - start;
        if bytes.and_then(|bytes| u64::try_from(bytes).ok()) != Some(found) {
            return Err(Fault::malformed(format!(
                "{:?} values of type {pixel} do not fill the {found} bytes there",
                header.shape
            )));
        }
        let fortran_order = header.fortran_order;
        Ok(Self { file, layout, start, big_endian, fortran_order, sorted: OnceLock::new() })
    }

    /// Bytes of the values in the order of the axes, from a place on.
    fn read_into(&self, offset: usize, limit: u64, out: &mut [u8]) -> Result<(), Fault> {
        if !self.fortran_order {
            return self.file.read_into(self.start + offset as u64, out);
        }
        let sorted = match self.sorted.get() {
            Some(sorted) => sorted,
            None => {
                let sorted = self.sort(limit)?;
                self.sorted.get_or_init(|| sorted)
            }
        };
        out.copy_from_slice(&sorted[offset..][..out.len()]);
        Ok(())
    }

    /// Rows of a plane, or what is wanted of each of them.
    fn read_rows(
        &self,
        plane: usize,
        window: &Window<Zyx>,
        limit: u64,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let size = self.layout.pixel.bytes();
        let [_, rows, columns] = self.layout.extent;
        let first = ((plane * rows + window.start[1]) * columns + window.start[2]) * size;
        let row_bytes = window.extent[2] * size;
        if window.extent[2] == columns {
            return self.read_into(first, limit, out);
        }
        // What lies between the parts of rows is read too, and left out.
        let span = window.extent[1].saturating_sub(1) * columns + window.extent[2];
        let mut bytes = vec![0; span * size];
        self.read_into(first, limit, &mut bytes)?;
        for (row, out) in bytes.chunks(columns * size).zip(out.chunks_exact_mut(row_bytes)) {
            out.copy_from_slice(&row[..row_bytes]);
        }
        Ok(())
    }

    /// All values, the last axis fastest.
    fn sort(&self, limit: u64) -> Result<Vec<u8>, Fault> {
        let stored = self.file.len() - self.start;
        if stored > limit {
            return Err(Fault::Limit { needed: stored, limit });
        }
        let mut bytes = Vec::new();
        self.file.read(self.start, stored, &mut bytes)?;
        let stored = bytes;
        let size = self.layout.pixel.bytes();
        let [slices, rows, columns] = self.layout.extent;
        let channels = self.layout.channels;
        let mut sorted = Vec::with_capacity(stored.len());
        for c in 0..channels {
            for z in 0..slices {
                for y in 0..rows {
                    for x in 0..columns {
                        let at = ((x * rows + y) * slices + z) * channels + c;
                        sorted.extend_from_slice(&stored[at * size..][..size]);
                    }
                }
            }
        }
        Ok(sorted)
    }
}

impl Format for NpyImage {
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
        let size = self.layout.pixel.bytes();
        let plane_bytes = window.extent[1] * window.extent[2] * size;
        if plane_bytes == 0 {
            return Ok(());
        }
        for (&channel, out) in channels.iter().zip(out) {
            for (slice, out) in window.range(0).zip(out.chunks_exact_mut(plane_bytes)) {
                self.read_rows(channel * self.layout.extent[0] + slice, window, limit, out)?;
            }
            if self.big_endian {
                out.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
        }
        Ok(())
    }
}

/// The type of a value, and whether its bytes are in big-endian order.
fn pixel(descr: &str) -> Result<(PixelType, bool), Fault> {
    let (order, kind) = descr.split_at_checked(1).unwrap_or_default();
    let pixel = match kind {
        "b1" => PixelType::Bool,
        "u1" => PixelType::U8,
        "i1" => PixelType::I8,
        "u2" => PixelType::U16,
        "i2" => PixelType::I16,
        "u4" => PixelType::U32,
        "i4" => PixelType::I32,
        "u8" => PixelType::U64,
        "i8" => PixelType::I64,
        "f2" => PixelType::F16,
        "f4" => PixelType::F32,
        "f8" => PixelType::F64,
        _ => {
            return Err(Fault::unsupported(format!(
                "the values are of type {descr:?}; convert them to booleans, whole numbers or \
                 floating point"
            )));
        }
    };
    match order {
        "<" | "|" => Ok((pixel, false)),
        ">" => Ok((pixel, true)),
        _ => Err(Fault::malformed(format!("the byte order of {descr:?} is unknown"))),
    }
}

fn layout(shape: &[usize], pixel: PixelType) -> Result<Layout, Fault> {
    let (channels, extent) = match *shape {
        [y, x] => (1, [1, y, x]),
        [z, y, x] => (1, [z, y, x]),
        [c, z, y, x] => (c, [z, y, x]),
        _ => {
            return Err(Fault::unsupported(format!(
                "the shape is {shape:?}; an image has the axes y and x, z, y and x, or c, z, y and x"
            )));
        }
    };
    if shape.contains(&0) {
        return Err(Fault::malformed(format!("the shape is {shape:?}, which has no pixels")));
    }
    Ok(Layout::plain(channels, extent, pixel))
}
