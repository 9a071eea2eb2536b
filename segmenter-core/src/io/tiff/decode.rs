//! From the strips and tiles of a page to its pixels.
//!
//! Pages are decoded strip by strip and tile by tile here and not by the `tiff` crate: its whole-image
//! calls return one plane of a planar file without a word, panic where planar tiles end beyond the
//! image (image-tiff issue 403), and invert images whose zero is white (all of version 0.11.3).

use std::{mem, ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    super::{fault::Fault, file_at::FileAt, layout::within},
    cache::Cache,
    codec::{Compression, Predictor},
    page::Page,
    scratch::{Scratch, Scratches},
};
use crate::PixelType;

/// A part of a page: rows and columns.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

/// Where strips and tiles come from.
pub(super) struct Chunks<'a> {
    pub(super) file: &'a FileAt,
    pub(super) cache: &'a Cache,
    pub(super) scratches: &'a Scratches,
    /// How many bytes one of them may take.
    pub(super) limit: u64,
}

/// Which strip or tile: that of a plane of samples, so many down and across.
#[derive(Clone, Copy, Debug)]
struct Place {
    plane: usize,
    down: usize,
    across: usize,
}

/// What one row of strips or tiles has of a part, and where it goes.
struct Band<'a> {
    plane: usize,
    down: usize,
    /// The samples that are wanted of those that are stored side by side.
    samples: Range<usize>,
    /// A place `[y, x]` for each of them.
    out: Vec<&'a mut [u8]>,
}

impl Page {
    /// Decodes these samples of a part of the page, each into a place `[y, x]`, little-endian. Only the
    /// strips or tiles that the part touches are read, each row of them on a thread of its own.
    pub(super) fn decode(
        &self,
        samples: Range<usize>,
        part: &Part,
        source: &Chunks<'_>,
        out: &mut [&mut [u8]],
    ) -> Result<(), Fault> {
        if part.rows.is_empty() || part.columns.is_empty() {
            return Ok(());
        }
        if let ([out], Some(offset)) = (&mut *out, self.plain(part)) {
            return source.file.read_into(offset, out);
        }
        let bands = self.bands(samples, part, out);
        bands.into_par_iter().try_for_each(|band| {
            source.scratches.with(|scratch| self.decode_band(band, part, source, scratch))
        })
    }

    /// Where whole rows begin in the file, if they lie there as they are wanted.
    fn plain(&self, part: &Part) -> Option<u64> {
        let size = self.pixel.bytes();
        let as_is = self.pixel != PixelType::Bool && (!self.big_endian || size == 1);
        let whole = self.samples == 1 && part.columns == (0..self.columns);
        let (start, length) =
            self.contiguous().filter(|_| as_is && whole && self.predictor == Predictor::None)?;
        let row = self.row_bytes(self.columns)?;
        let [first, last] = [part.rows.start, part.rows.end].map(|at| at.checked_mul(row));
        let [first, last] = [u64::try_from(first?).ok()?, u64::try_from(last?).ok()?];
        (last <= length).then_some(start.checked_add(first)?)
    }

    fn bands<'a>(
        &self,
        samples: Range<usize>,
        part: &Part,
        out: &'a mut [&mut [u8]],
    ) -> Vec<Band<'a>> {
        let downs = part.rows.start / self.chunk[0]..part.rows.end.div_ceil(self.chunk[0]);
        let row_bytes = part.columns.len() * self.pixel.bytes();
        let mut bands: Vec<Band<'a>> = Vec::new();
        for (sample, out) in samples.clone().zip(out) {
            if self.planar || bands.is_empty() {
                let samples = if self.planar { 0..1 } else { samples.clone() };
                bands.extend(downs.clone().map(|down| Band {
                    plane: if self.planar { sample } else { 0 },
                    down,
                    samples: samples.clone(),
                    out: Vec::with_capacity(samples.len()),
                }));
            }
            let first = bands.len() - downs.len();
            let mut rest = &mut **out;
            for band in &mut bands[first..] {
                let rows = self.rows_of(band.down, part).len();
                let (place, after) = mem::take(&mut rest).split_at_mut(rows * row_bytes);
                band.out.push(place);
                rest = after;
            }
        }
        bands
    }

    /// The rows of a part that one row of strips or tiles has.
    fn rows_of(&self, down: usize, part: &Part) -> Range<usize> {
        let top = down * self.chunk[0];
        part.rows.start.max(top)..part.rows.end.min(top.saturating_add(self.chunk[0]))
    }

    fn decode_band(
        &self,
        mut band: Band<'_>,
        part: &Part,
        source: &Chunks<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let columns = part.columns.start / self.chunk[1]..part.columns.end.div_ceil(self.chunk[1]);
        for across in columns {
            let place = Place { plane: band.plane, down: band.down, across };
            if self.is_covered(place, part) || self.is_left_out(self.index(place)) {
                self.decode_chunk(place, source, scratch)?;
                self.copy(&scratch.pixels, place, part, &mut band);
            } else {
                let chunk = self.kept_chunk(place, source, scratch)?;
                self.copy(&chunk, place, part, &mut band);
            }
        }
        Ok(())
    }

    /// Number of a strip or tile among those of the page.
    fn index(&self, Place { plane, down, across }: Place) -> usize {
        let [downs, acrosses] = self.chunks();
        (plane * downs + down) * acrosses + across
    }

    /// Whether all pixels of a strip or tile are wanted now.
    fn is_covered(&self, place: Place, part: &Part) -> bool {
        let left = place.across * self.chunk[1];
        let right = self.columns.min(left.saturating_add(self.chunk[1]));
        self.rows_of(place.down, part).len() == self.rows_at(place.down)
            && part.columns.start <= left
            && part.columns.end >= right
    }

    /// A strip or tile of which more may be wanted later.
    fn kept_chunk(
        &self,
        place: Place,
        source: &Chunks<'_>,
        scratch: &mut Scratch,
    ) -> Result<Arc<Vec<u8>>, Fault> {
        source.cache.get(self.offsets[self.index(place)], || {
            self.decode_chunk(place, source, scratch)?;
            Ok(Arc::new(mem::take(&mut scratch.pixels)))
        })
    }

    /// Unpacks one strip or tile. All of a tile is stored, also beyond the edge of the image.
    fn decode_chunk(
        &self,
        place: Place,
        source: &Chunks<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let rows = if self.tiled { self.chunk[0] } else { self.rows_at(place.down) };
        let (stride, size) = (self.stride(), self.pixel.bytes());
        let row_bytes = self.row_bytes(self.chunk[1]);
        let length = within(row_bytes.and_then(|row| row.checked_mul(rows)), source.limit)?;
        let index = self.index(place);
        if self.is_left_out(index) {
            scratch.pixels.clear();
            scratch.pixels.resize(rows * self.chunk[1] * stride * size, 0);
            return Ok(());
        }
        let stored = self.stored_bytes(index, length, source.limit)?;
        let Scratch { packed, pixels, codecs } = scratch;
        source.file.read(self.offsets[index], stored, packed)?;
        if let Some(tables) = &self.jpeg {
            *pixels = tables.decode(packed, [rows, self.chunk[1]], self.chunk[0], stride)?;
            return Ok(());
        }
        if self.compression == Compression::None {
            mem::swap(packed, pixels);
        } else {
            codecs.unpack(self.compression, packed, length, pixels)?;
        }
        if pixels.len() < length {
            return Err(Fault::malformed(format!(
                "a strip or tile holds {} bytes, but {length} are needed",
                pixels.len()
            )));
        }
        pixels.truncate(length);
        if self.pixel == PixelType::Bool {
            *pixels = self.unpack_bits(pixels, length / rows);
            return Ok(());
        }
        self.predictor.restore(pixels, length / rows, [stride, size], self.big_endian);
        Ok(())
    }

    /// How many bytes of the file are read for a strip or tile of so many bytes.
    fn stored_bytes(&self, index: usize, length: usize, limit: u64) -> Result<u64, Fault> {
        match (self.compression, self.lengths[index]) {
            // A last strip may be padded.
            (Compression::None, stored) => Ok(stored.min(length as u64)),
            (_, needed) if needed > limit => Err(Fault::Limit { needed, limit }),
            (_, stored) => Ok(stored),
        }
    }

    /// A byte for each bit; rows begin with a byte.
    fn unpack_bits(&self, packed: &[u8], row_bytes: usize) -> Vec<u8> {
        let pixels = self.chunk[1] * self.stride();
        let first = |bit: usize| if self.reversed { bit } else { 7 - bit };
        let rows = packed.chunks_exact(row_bytes);
        rows.flat_map(|row| (0..pixels).map(move |at| row[at / 8] >> first(at % 8) & 1)).collect()
    }

    /// Copies what a strip or tile has of a part to its place.
    fn copy(&self, chunk: &[u8], place: Place, part: &Part, band: &mut Band<'_>) {
        let (size, stride) = (self.pixel.bytes(), self.stride());
        let (top, left) = (place.down * self.chunk[0], place.across * self.chunk[1]);
        let first = part.columns.start.max(left);
        let last = part.columns.end.min(left.saturating_add(self.chunk[1]));
        let rows = self.rows_of(place.down, part);
        let (skipped, width) = (first - part.columns.start, last - first);
        for (sample, out) in band.samples.clone().zip(&mut band.out) {
            let lines = out.chunks_exact_mut(part.columns.len() * size);
            for (y, line) in rows.clone().zip(lines) {
                let start = ((y - top) * self.chunk[1] + first - left) * stride * size;
                let from = &chunk[start..][..width * stride * size];
                spread(from, sample, stride, &mut line[skipped * size..][..width * size], size);
            }
        }
    }
}

/// Copies every `stride`-th sample.
fn spread(source: &[u8], sample: usize, stride: usize, target: &mut [u8], size: usize) {
    if stride == 1 {
        target.copy_from_slice(source);
        return;
    }
    let samples = source.chunks_exact(size).skip(sample).step_by(stride);
    for (to, from) in target.chunks_exact_mut(size).zip(samples) {
        to.copy_from_slice(from);
    }
}
