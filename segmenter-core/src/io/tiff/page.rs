//! One page of a TIFF file: how its pixels are laid out.

use std::{
    io::{Read, Seek},
    sync::Arc,
};

use tiff::{Directory, decoder::Decoder, tags::Tag};

use super::{
    super::fault::Fault,
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
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    pub(super) big_endian: bool,
    /// Whether the first of the pixels that share a byte is in its lowest bit.
    pub(super) reversed: bool,
    /// Whether strips may end with the image; tiles never do.
    pub(super) tiled: bool,
    /// Rows and columns of a strip or tile.
    pub(super) chunk: [usize; 2],
    pub(super) offsets: Arc<[u64]>,
    pub(super) lengths: Arc<[u64]>,
    /// What JPEG strips or tiles have in common, and how their colours are coded.
    pub(super) jpeg: Option<Arc<jpeg::Tables>>,
    /// Where smaller copies of the page are described.
    pub(super) smaller: Vec<u64>,
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
    pub(super) fn is_left_out(&self, index: usize) -> bool {
        (self.offsets[index], self.lengths[index]) == (0, 0)
    }

    /// Number of bytes of all strips and tiles that are left out.
    fn left_out_bytes(&self) -> u64 {
        let count = (0..self.offsets.len().min(self.lengths.len()))
            .filter(|&index| self.is_left_out(index))
            .count();
        self.chunk_bytes().saturating_mul(count as u64)
    }

    /// Number of bytes of all pixels before they were packed, where that fits the machine.
    fn packed_bytes(&self) -> Option<usize> {
        let row = self.row_bytes(self.columns)?;
        let planes = if self.planar { self.samples } else { 1 };
        row.checked_mul(self.rows)?.checked_mul(planes)
    }

    /// Number of samples that are stored side by side.
    pub(super) fn stride(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Number of bytes in which a row of so many pixels is stored: those of one bit share bytes.
    pub(super) fn row_bytes(&self, columns: usize) -> Option<usize> {
        let samples = columns.checked_mul(self.stride())?;
        match self.pixel {
            PixelType::Bool => Some(samples.div_ceil(8)),
            pixel => samples.checked_mul(pixel.bytes()),
        }
    }

    /// Number of bytes of a strip or tile before it was packed.
    pub(super) fn chunk_bytes(&self) -> u64 {
        let bytes = self.row_bytes(self.chunk[1]).and_then(|row| row.checked_mul(self.chunk[0]));
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
    }

    /// Number of strips or tiles, down and across.
    pub(super) fn chunks(&self) -> [usize; 2] {
        [self.rows.div_ceil(self.chunk[0]), self.columns.div_ceil(self.chunk[1])]
    }

    /// Number of image rows in a row of strips or tiles.
    pub(super) fn rows_at(&self, row: usize) -> usize {
        self.chunk[0].min(self.rows - row * self.chunk[0])
    }
}
