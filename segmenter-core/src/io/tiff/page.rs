//! One page of a TIFF file: how its pixels are laid out, and how to decode them.
//!
//! Pages are decoded strip by strip and tile by tile here and not by the `tiff` crate: its whole-image
//! calls return one plane of a planar file without a word, panic where planar tiles end beyond the
//! image (image-tiff issue 403), and invert images whose zero is white (all of version 0.11.3).

use std::io::{Read, Seek, SeekFrom};

use tiff::{
    Directory,
    decoder::{Decoder, ifd::Value},
    tags::Tag,
};

use super::{
    super::{fault::Fault, layout::too_large},
    codec::{Compression, Predictor},
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
    /// Whether strips may end with the image; tiles never do.
    tiled: bool,
    /// Rows and columns of a strip or tile.
    chunk: [usize; 2],
    offsets: Vec<u64>,
    lengths: Vec<u64>,
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
        let [rows, columns] = [tags.size(Tag::ImageLength, 0)?, tags.size(Tag::ImageWidth, 0)?];
        if rows == 0 || columns == 0 {
            return Err(Fault::malformed(format!("a page has {rows} rows and {columns} columns")));
        }
        let tiled = directory.contains(Tag::TileOffsets);
        let (chunk, offsets, lengths) = if tiled {
            let chunk = [tags.size(Tag::TileLength, 0)?, tags.size(Tag::TileWidth, 0)?];
            (chunk, tags.numbers(Tag::TileOffsets)?, tags.numbers(Tag::TileByteCounts)?)
        } else {
            let chunk = [tags.size(Tag::RowsPerStrip, rows)?.min(rows), columns];
            (chunk, tags.numbers(Tag::StripOffsets)?, tags.numbers(Tag::StripByteCounts)?)
        };
        let page = Self {
            rows,
            columns,
            samples: tags.size(Tag::SamplesPerPixel, 1)?,
            pixel: tags.pixel_type()?,
            planar: tags.number(Tag::PlanarConfiguration, 1)? == 2,
            compression: Compression::from_tag(tags.short(Tag::Compression, 1)?)?,
            predictor: Predictor::from_tag(tags.short(Tag::Predictor, 1)?)?,
            big_endian,
            tiled,
            chunk,
            offsets,
            lengths,
        };
        tags.refuse_exotic()?;
        page.check()?;
        Ok(Some(page))
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
        for (&offset, &length) in self.offsets.iter().zip(&self.lengths) {
            if offset != end {
                return None;
            }
            end = offset.checked_add(length)?;
        }
        plain.then(|| (self.offsets[0], end - self.offsets[0]))
    }

    /// A page that lies so many bytes behind this one.
    pub(super) fn shifted(&self, bytes: u64) -> Option<Self> {
        let mut page = self.clone();
        for offset in &mut page.offsets {
            *offset = offset.checked_add(bytes)?;
        }
        Some(page)
    }

    /// Checks that all strips and tiles lie within the file and can hold the pixels, before memory is
    /// taken for them.
    pub(super) fn check_within(&self, file_length: u64) -> Result<(), Fault> {
        let ends = self.offsets.iter().zip(&self.lengths);
        let end = ends.map(|(&offset, &length)| offset.saturating_add(length)).max().unwrap_or(0);
        if end > file_length {
            return Err(Fault::malformed(format!(
                "pixels reach up to byte {end}, but the file has {file_length} bytes"
            )));
        }
        let packed = self.lengths.iter().fold(0_u64, |sum, &length| sum.saturating_add(length));
        let most = packed.saturating_mul(self.compression.most_expansion());
        if self.bytes().is_some_and(|bytes| u64::try_from(bytes).is_ok_and(|bytes| bytes > most)) {
            return Err(Fault::malformed(format!(
                "{packed} bytes can't hold {} x {} pixels",
                self.columns, self.rows
            )));
        }
        Ok(())
    }

    /// Number of bytes of all pixels, where that fits the machine.
    fn bytes(&self) -> Option<usize> {
        [self.rows, self.columns, self.samples]
            .into_iter()
            .try_fold(self.pixel.bytes(), usize::checked_mul)
    }

    /// Number of strips or tiles, down and across.
    fn chunks(&self) -> [usize; 2] {
        [self.rows.div_ceil(self.chunk[0]), self.columns.div_ceil(self.chunk[1])]
    }

    /// Decodes one sample of every pixel, or all of them one after the other: `[sample, y, x]` in
    /// little-endian bytes.
    pub(super) fn decode<R: Read + Seek>(
        &self,
        file: &mut R,
        limit: u64,
    ) -> Result<Vec<u8>, Fault> {
        let size = self.pixel.bytes();
        let length =
            [self.rows, self.columns, self.samples].into_iter().try_fold(size, usize::checked_mul);
        let mut image = vec![0; within(length, limit)?];
        let [down, across] = self.chunks();
        let planes = if self.planar { self.samples } else { 1 };
        for plane in 0..planes {
            for row in 0..down {
                for column in 0..across {
                    let index = (plane * down + row) * across + column;
                    let chunk = self.decode_chunk(file, index, row, limit)?;
                    self.place(&chunk, [plane, row, column], &mut image);
                }
            }
        }
        Ok(image)
    }

    /// Unpacks one strip or tile. All of a tile is stored, also beyond the edge of the image.
    fn decode_chunk<R: Read + Seek>(
        &self,
        file: &mut R,
        index: usize,
        row: usize,
        limit: u64,
    ) -> Result<Vec<u8>, Fault> {
        let rows = if self.tiled { self.chunk[0] } else { self.rows_at(row) };
        let stride = if self.planar { 1 } else { self.samples };
        let size = self.pixel.bytes();
        let row_length = self.chunk[1].checked_mul(stride).and_then(|row| row.checked_mul(size));
        let length = within(row_length.and_then(|row| row.checked_mul(rows)), limit)?;
        let packed = read_at(file, self.offsets[index], self.lengths[index])?;
        let mut bytes = self.compression.unpack(packed, length)?;
        for row in bytes.chunks_exact_mut(length / rows) {
            self.predictor.restore(row, stride, size, self.big_endian);
        }
        Ok(bytes)
    }

    /// Number of image rows in a row of strips or tiles.
    fn rows_at(&self, row: usize) -> usize {
        self.chunk[0].min(self.rows - row * self.chunk[0])
    }

    /// Copies the part of a strip or tile that lies within the image to its place.
    fn place(&self, chunk: &[u8], [plane, row, column]: [usize; 3], image: &mut [u8]) {
        let size = self.pixel.bytes();
        let stride = if self.planar { 1 } else { self.samples };
        let left = column * self.chunk[1];
        let columns = self.chunk[1].min(self.columns - left);
        for y in 0..self.rows_at(row) {
            let source = &chunk[y * self.chunk[1] * stride * size..][..columns * stride * size];
            for sample in 0..stride {
                let line = (plane + sample) * self.rows + row * self.chunk[0] + y;
                let target = &mut image[(line * self.columns + left) * size..][..columns * size];
                spread(source, sample, stride, target, size);
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

fn within(bytes: Option<usize>, limit: u64) -> Result<usize, Fault> {
    let bytes = bytes.ok_or_else(|| too_large(limit))?;
    match u64::try_from(bytes) {
        Ok(needed) if needed <= limit => Ok(bytes),
        needed => Err(Fault::Limit { needed: needed.unwrap_or(u64::MAX), limit }),
    }
}

/// Memory grows with what the file has, not with what it claims.
fn read_at<R: Read + Seek>(file: &mut R, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|found| found == length) {
        return Ok(bytes);
    }
    Err(Fault::malformed(format!("a strip or tile of {length} bytes at byte {offset} is cut off")))
}

/// The tags of one page.
pub(super) struct Tags<'a, R: Read + Seek> {
    pub(super) decoder: &'a mut Decoder<R>,
    pub(super) directory: &'a Directory,
}

impl<R: Read + Seek> Tags<'_, R> {
    pub(super) fn value(&mut self, tag: Tag) -> Result<Option<Value>, Fault> {
        Ok(self.decoder.read_directory_tags(self.directory).find_tag(tag)?)
    }

    fn numbers(&mut self, tag: Tag) -> Result<Vec<u64>, Fault> {
        Ok(self.value(tag)?.map(Value::into_u64_vec).transpose()?.unwrap_or_default())
    }

    /// The first number of a tag, as some writers repeat one for each sample.
    fn number(&mut self, tag: Tag, default: u64) -> Result<u64, Fault> {
        Ok(self.numbers(tag)?.first().copied().unwrap_or(default))
    }

    fn short(&mut self, tag: Tag, default: u16) -> Result<u16, Fault> {
        let number = self.number(tag, default.into())?;
        u16::try_from(number).map_err(|_| bad(tag, number))
    }

    fn size(&mut self, tag: Tag, default: usize) -> Result<usize, Fault> {
        let Some(&number) = self.numbers(tag)?.first() else { return Ok(default) };
        usize::try_from(number).map_err(|_| bad(tag, number))
    }

    /// Samples of a page are of one type: mixed ones are refused.
    fn pixel_type(&mut self) -> Result<PixelType, Fault> {
        let [bits, formats] = [Tag::BitsPerSample, Tag::SampleFormat].map(|tag| self.numbers(tag));
        let (bits, formats) = (bits?, formats?);
        if bits.windows(2).chain(formats.windows(2)).any(|pair| pair[0] != pair[1]) {
            return Err(Fault::unsupported("samples of a pixel are of different types"));
        }
        let bits = bits.first().copied().unwrap_or(1);
        Ok(match (formats.first().copied().unwrap_or(1), bits) {
            (1 | 4, 8) => PixelType::U8,
            (2, 8) => PixelType::I8,
            (1 | 4, 16) => PixelType::U16,
            (2, 16) => PixelType::I16,
            (1 | 4, 32) => PixelType::U32,
            (3, 32) => PixelType::F32,
            (format, bits) => {
                let name = sample_name(format, bits);
                return Err(Fault::unsupported(format!(
                    "the pixels are {name}; convert them to u8, i8, u16, i16, u32 or f32"
                )));
            }
        })
    }

    /// Refuses what would change the pixels if it were ignored.
    fn refuse_exotic(&mut self) -> Result<(), Fault> {
        if self.number(Tag::FillOrder, 1)? == 2 {
            return Err(Fault::unsupported("the bits of each byte are in reverse order"));
        }
        // TileDepth and ImageDepth of libtiff: tiles that are boxes.
        for tag in [Tag::Unknown(32_997), Tag::Unknown(32_998)] {
            if self.number(tag, 1)? > 1 {
                return Err(Fault::unsupported(
                    "one page holds a volume (SGI image depth); save one page for each slice",
                ));
            }
        }
        Ok(())
    }
}

fn bad(tag: Tag, number: u64) -> Fault {
    Fault::malformed(format!("the tag {tag:?} is {number}, which is out of range"))
}

/// `SampleFormat` as in TIFF 6.0, section 19.
fn sample_name(format: u64, bits: u64) -> String {
    match (format, bits) {
        (1 | 4, 1) => "bits (bool)".to_owned(),
        (1 | 4, bits) => format!("u{bits}"),
        (2, bits) => format!("i{bits}"),
        (3, bits) => format!("f{bits}"),
        (5 | 6, bits) => format!("complex numbers of {bits} bits"),
        (format, bits) => format!("of sample format {format} with {bits} bits"),
    }
}
