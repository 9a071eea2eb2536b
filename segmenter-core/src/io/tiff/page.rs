//! One page of a TIFF file: how its pixels are laid out, and how to decode them.
//!
//! Pages are decoded strip by strip and tile by tile here and not by the `tiff` crate: its whole-image
//! calls return one plane of a planar file without a word, panic where planar tiles end beyond the
//! image (image-tiff issue 403), and invert images whose zero is white (all of version 0.11.3).

use std::{
    io::{Read, Seek},
    ops::Range,
    sync::Arc,
};

use rayon::prelude::*;

use tiff::{Directory, decoder::Decoder, tags::Tag};

use super::{
    super::{fault::Fault, file_at::FileAt, layout::within},
    cache::Cache,
    codec::{Compression, Predictor},
    jpeg,
    tags::Tags,
};
use crate::PixelType;

/// How the pixels of a page are stored.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Samples a pixel: 3 for RGB.
    pub(super) samples: usize,
    pub(super) pixel: PixelType,
    /// Whether each sample has strips or tiles of its own.
    pub(super) planar: bool,
    compression: Compression,
    predictor: Predictor,
    big_endian: bool,
    /// Whether the first of the pixels that share a byte is in its lowest bit.
    reversed: bool,
    /// Whether strips may end with the image; tiles never do.
    tiled: bool,
    /// Rows and columns of a strip or tile.
    chunk: [usize; 2],
    offsets: Arc<[u64]>,
    lengths: Arc<[u64]>,
    /// What JPEG strips or tiles have in common, and how their colours are coded.
    jpeg: Option<Arc<jpeg::Tables>>,
    /// Where smaller copies of the page are described.
    pub(super) smaller: Vec<u64>,
}

/// A part of a page: rows and columns.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Page {
    /// Reads the tags of a page, or `None` if it is a thumbnail, a smaller copy or a transparency
    /// mask of another page.
    pub(super) fn read<R: Read + Seek>(
        decoder: &mut Decoder<R>,
        directory: &Directory,
        big_endian: bool,
    ) -> Result<Option<Self>, Fault> {
        let mut tags = Tags { decoder, directory };
        if tags.number(Tag::NewSubfileType, 0)? & 0b101 != 0 {
            return Ok(None);
        }
        Self::of_tags(&mut tags, big_endian).map(Some)
    }

    /// Reads the tags of a page that is a smaller copy of another.
    pub(super) fn read_smaller<R: Read + Seek>(
        decoder: &mut Decoder<R>,
        directory: &Directory,
        big_endian: bool,
    ) -> Result<Self, Fault> {
        Self::of_tags(&mut Tags { decoder, directory }, big_endian)
    }

    fn of_tags<R: Read + Seek>(tags: &mut Tags<'_, R>, big_endian: bool) -> Result<Self, Fault> {
        let [rows, columns] = [tags.size(Tag::ImageLength, 0)?, tags.size(Tag::ImageWidth, 0)?];
        if rows == 0 || columns == 0 {
            return Err(Fault::malformed(format!("a page has {rows} rows and {columns} columns")));
        }
        tags.refuse_exotic()?;
        let tiled = tags.directory.contains(Tag::TileOffsets);
        let (chunk, offsets, lengths) = if tiled {
            let chunk = [tags.size(Tag::TileLength, 0)?, tags.size(Tag::TileWidth, 0)?];
            (chunk, tags.numbers(Tag::TileOffsets)?, tags.numbers(Tag::TileByteCounts)?)
        } else {
            let chunk = [tags.size(Tag::RowsPerStrip, rows)?.min(rows), columns];
            (chunk, tags.numbers(Tag::StripOffsets)?, tags.numbers(Tag::StripByteCounts)?)
        };
        let compression = Compression::from_tag(tags.short(Tag::Compression, 1)?)?;
        let page = Self {
            rows,
            columns,
            samples: tags.size(Tag::SamplesPerPixel, 1)?,
            pixel: tags.pixel_type()?,
            planar: tags.number(Tag::PlanarConfiguration, 1)? == 2,
            compression,
            predictor: Predictor::from_tag(tags.short(Tag::Predictor, 1)?)?,
            big_endian,
            reversed: tags.number(Tag::FillOrder, 1)? == 2,
            tiled,
            chunk,
            offsets: offsets.into(),
            lengths: lengths.into(),
            jpeg: tags.jpeg(compression)?,
            smaller: tags.numbers(Tag::SubIfd)?,
        };
        page.check()?;
        if page.predictor == Predictor::Float && !page.pixel.is_float() {
            return Err(Fault::malformed(format!(
                "the predictor is that of floating point, but the pixels are {}",
                page.pixel
            )));
        }
        Ok(page)
    }

    /// Checks that the page has as many strips or tiles as its size needs.
    fn check(&self) -> Result<(), Fault> {
        if self.chunk.contains(&0) || self.samples == 0 {
            return Err(Fault::malformed("a page has empty strips, tiles or pixels"));
        }
        let [down, across] = self.chunks();
        let planes = if self.planar { self.samples } else { 1 };
        let needed = down.checked_mul(across).and_then(|chunks| chunks.checked_mul(planes));
        let found = [self.offsets.len(), self.lengths.len()];
        if needed.is_none_or(|needed| found.iter().any(|&found| found < needed)) {
            return Err(Fault::malformed(format!(
                "a page of {} x {} pixels needs {} strips or tiles, but {} are listed",
                self.columns,
                self.rows,
                needed.map_or("too many".to_owned(), |needed| needed.to_string()),
                found[0].min(found[1]),
            )));
        }
        Ok(())
    }

    /// Whether a page looks the same as another, so that both can be slices of one image.
    pub(super) fn matches(&self, other: &Self) -> bool {
        let key = |page: &Self| (page.rows, page.columns, page.samples, page.pixel);
        key(self) == key(other)
    }

    /// If the pixels lie in the file as in memory: where they begin, and how many bytes they are.
    pub(super) fn contiguous(&self) -> Option<(u64, u64)> {
        let plain = self.compression == Compression::None && !self.tiled;
        let mut end = *self.offsets.first()?;
        for (&offset, &length) in self.offsets.iter().zip(self.lengths.iter()) {
            if offset != end {
                return None;
            }
            end = offset.checked_add(length)?;
        }
        plain.then(|| (self.offsets[0], end - self.offsets[0]))
    }

    /// A page that lies so many bytes behind this one.
    pub(super) fn shifted(&self, bytes: u64) -> Option<Self> {
        let offsets = self.offsets.iter().map(|offset| offset.checked_add(bytes));
        Some(Self { offsets: offsets.collect::<Option<_>>()?, ..self.clone() })
    }

    /// Checks that all strips and tiles lie within the file and can hold the pixels, before memory is
    /// taken for them.
    pub(super) fn check_within(&self, file_length: u64) -> Result<(), Fault> {
        let ends = self.offsets.iter().zip(self.lengths.iter());
        let end = ends.map(|(&offset, &length)| offset.saturating_add(length)).max().unwrap_or(0);
        if end > file_length {
            return Err(Fault::malformed(format!(
                "pixels reach up to byte {end}, but the file has {file_length} bytes"
            )));
        }
        let packed = self.lengths.iter().fold(0_u64, |sum, &length| sum.saturating_add(length));
        let most = packed.saturating_mul(self.compression.most_expansion());
        let left_out = self.left_out_bytes();
        let bytes = self.packed_bytes().and_then(|bytes| u64::try_from(bytes).ok());
        let held = bytes.map_or(u64::MAX, |bytes| bytes.saturating_sub(left_out));
        // What is left out costs a file nothing, but no more of it is believed than deflate could pack.
        if held > most || left_out > file_length.saturating_mul(1032) {
            return Err(Fault::malformed(format!(
                "{packed} bytes can't hold {} x {} pixels",
                self.columns, self.rows
            )));
        }
        Ok(())
    }

    /// Whether a strip or tile was left out, as its pixels are all 0: GDAL's sparse files and tifffile's
    /// say that it is at byte 0 and has no bytes.
    fn is_left_out(&self, index: usize) -> bool {
        (self.offsets[index], self.lengths[index]) == (0, 0)
    }

    /// Number of bytes of all strips and tiles that are left out.
    fn left_out_bytes(&self) -> u64 {
        let count = (0..self.offsets.len().min(self.lengths.len()))
            .filter(|&index| self.is_left_out(index))
            .count();
        let chunk = self.row_bytes(self.chunk[1]).and_then(|row| row.checked_mul(self.chunk[0]));
        let bytes = chunk.and_then(|chunk| chunk.checked_mul(count));
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
    }

    /// Number of bytes of all pixels before they were packed, where that fits the machine.
    fn packed_bytes(&self) -> Option<usize> {
        let row = self.row_bytes(self.columns)?;
        let planes = if self.planar { self.samples } else { 1 };
        row.checked_mul(self.rows)?.checked_mul(planes)
    }

    /// Number of samples that are stored side by side.
    fn stride(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Number of bytes in which a row of so many pixels is stored: those of one bit share bytes.
    fn row_bytes(&self, columns: usize) -> Option<usize> {
        let samples = columns.checked_mul(self.stride())?;
        match self.pixel {
            PixelType::Bool => Some(samples.div_ceil(8)),
            pixel => samples.checked_mul(pixel.bytes()),
        }
    }

    /// Number of strips or tiles, down and across.
    fn chunks(&self) -> [usize; 2] {
        [self.rows.div_ceil(self.chunk[0]), self.columns.div_ceil(self.chunk[1])]
    }

    /// Decodes these samples of a part of the page into `[sample, y, x]`, little-endian. Only the strips
    /// or tiles that the part touches are read.
    pub(super) fn decode(
        &self,
        samples: Range<usize>,
        part: &Part,
        source: &Chunks<'_>,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let [down, across] =
            [part.rows.clone(), part.columns.clone()].map(|range| range.is_empty());
        if down || across {
            return Ok(());
        }
        if let Some(offset) = self.plain(part) {
            return source.file.read_into(offset, out);
        }
        let planes = if self.planar { samples.clone() } else { 0..1 };
        let rows = part.rows.start / self.chunk[0]..part.rows.end.div_ceil(self.chunk[0]);
        let columns = part.columns.start / self.chunk[1]..part.columns.end.div_ceil(self.chunk[1]);
        let places: Vec<[usize; 3]> = planes
            .flat_map(|plane| {
                let columns = columns.clone();
                rows.clone()
                    .flat_map(move |row| columns.clone().map(move |column| [plane, row, column]))
            })
            .collect();
        // Few at a time, so that no more than these are in memory beside the result.
        for places in places.chunks(4 * rayon::current_num_threads()) {
            let chunks = places
                .par_iter()
                .map(|&place| self.chunk_at(place, part, source))
                .collect::<Result<Vec<_>, Fault>>()?;
            for (chunk, &place) in chunks.iter().zip(places) {
                self.place(chunk, place, &samples, part, out);
            }
        }
        Ok(())
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

    /// A strip or tile, from the cache if only a part of it is wanted now.
    fn chunk_at(
        &self,
        [plane, row, column]: [usize; 3],
        part: &Part,
        source: &Chunks<'_>,
    ) -> Result<Arc<Vec<u8>>, Fault> {
        let [down, across] = self.chunks();
        let index = (plane * down + row) * across + column;
        let decode = || Ok(Arc::new(self.decode_chunk(source, index, row)?));
        let (top, left) = (row * self.chunk[0], column * self.chunk[1]);
        let whole = part.rows.start <= top
            && part.rows.end >= self.rows.min(top + self.chunk[0])
            && part.columns.start <= left
            && part.columns.end >= self.columns.min(left + self.chunk[1]);
        if whole { decode() } else { source.cache.get(self.offsets[index], decode) }
    }

    /// Unpacks one strip or tile. All of a tile is stored, also beyond the edge of the image.
    fn decode_chunk(
        &self,
        source: &Chunks<'_>,
        index: usize,
        row: usize,
    ) -> Result<Vec<u8>, Fault> {
        let rows = if self.tiled { self.chunk[0] } else { self.rows_at(row) };
        let (stride, size) = (self.stride(), self.pixel.bytes());
        let row_bytes = self.row_bytes(self.chunk[1]);
        let length = within(row_bytes.and_then(|row| row.checked_mul(rows)), source.limit)?;
        if self.is_left_out(index) {
            return Ok(vec![0; rows * self.chunk[1] * stride * size]);
        }
        let (offset, packed) = (self.offsets[index], self.lengths[index]);
        let packed = source.file.read(offset, packed)?;
        if let Some(tables) = &self.jpeg {
            return tables.decode(&packed, [rows, self.chunk[1]], self.chunk[0], stride);
        }
        let mut bytes = self.compression.unpack(packed, length)?;
        if self.pixel == PixelType::Bool {
            return Ok(self.unpack_bits(&bytes, length / rows));
        }
        for row in bytes.chunks_exact_mut(length / rows) {
            self.predictor.restore(row, stride, size, self.big_endian);
        }
        Ok(bytes)
    }

    /// A byte for each bit; rows begin with a byte.
    fn unpack_bits(&self, packed: &[u8], row_bytes: usize) -> Vec<u8> {
        let pixels = self.chunk[1] * self.stride();
        let first = |bit: usize| if self.reversed { bit } else { 7 - bit };
        let rows = packed.chunks_exact(row_bytes);
        rows.flat_map(|row| (0..pixels).map(move |at| row[at / 8] >> first(at % 8) & 1)).collect()
    }

    /// Number of image rows in a row of strips or tiles.
    fn rows_at(&self, row: usize) -> usize {
        self.chunk[0].min(self.rows - row * self.chunk[0])
    }

    /// Copies what a strip or tile has of a part of the page to its place.
    fn place(
        &self,
        chunk: &[u8],
        [plane, row, column]: [usize; 3],
        samples: &Range<usize>,
        part: &Part,
        out: &mut [u8],
    ) {
        let (size, stride) = (self.pixel.bytes(), self.stride());
        let [rows, columns] = [part.rows.len(), part.columns.len()];
        let (top, left) = (row * self.chunk[0], column * self.chunk[1]);
        let (first, last) =
            (part.columns.start.max(left), part.columns.end.min(left + self.chunk[1]));
        let wanted = if self.planar { plane..plane + 1 } else { samples.clone() };
        for y in part.rows.start.max(top)..part.rows.end.min(top + self.chunk[0]) {
            let start = ((y - top) * self.chunk[1] + first - left) * stride * size;
            let source = &chunk[start..][..(last - first) * stride * size];
            for sample in wanted.clone() {
                let line = (sample - samples.start) * rows + y - part.rows.start;
                let target = (line * columns + first - part.columns.start) * size;
                let target = &mut out[target..][..(last - first) * size];
                let offset = if self.planar { 0 } else { sample };
                spread(source, offset, stride, target, size);
            }
        }
    }
}

/// Where strips and tiles come from.
pub(super) struct Chunks<'a> {
    pub(super) file: &'a FileAt,
    pub(super) cache: &'a Cache,
    /// How many bytes one of them may take.
    pub(super) limit: u64,
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
