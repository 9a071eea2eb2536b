//! Writing OME-TIFF.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write},
};

use flate2::write::ZlibEncoder;
use tiff::{
    TiffResult,
    encoder::{DirectoryEncoder, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard},
    tags::Tag,
};

use super::super::picture::{Compression, Picture};
use crate::PixelType;

/// Bytes of a strip before compression: what fits a processor's cache, and tifffile's choice too.
const STRIP: usize = 1 << 18;

/// Writes one page for each plane, slices of the first channel first.
pub(in super::super) fn write(
    picture: &mut Picture<'_>,
    compression: Compression,
    file: &mut BufWriter<File>,
) -> io::Result<()> {
    let result = if is_big(picture) {
        pages(picture, compression, TiffEncoder::<_, TiffKindBig>::new_generic(file))
    } else {
        pages(picture, compression, TiffEncoder::<_, TiffKindStandard>::new_generic(file))
    };
    result.map_err(|error| match error {
        tiff::TiffError::IoError(error) => error,
        other => io::Error::other(other),
    })
}

/// Whether offsets may need more than 32 bits. How far compression gets is not known yet, and it can
/// make noise a little larger.
fn is_big(picture: &Picture<'_>) -> bool {
    let planes = picture.channels.saturating_mul(picture.extent[0]);
    let pixels = planes.saturating_mul(picture.plane());
    let bytes = pixels.saturating_mul(picture.pixel.bytes());
    let with_tags = bytes.saturating_add(bytes / 64).saturating_add(planes.saturating_mul(4096));
    u32::try_from(with_tags).is_err()
}

fn pages<K: TiffKind>(
    picture: &mut Picture<'_>,
    compression: Compression,
    encoder: TiffResult<TiffEncoder<&mut BufWriter<File>, K>>,
) -> TiffResult<()> {
    let mut encoder = encoder?;
    let mut description = Some(ome_xml(picture));
    let head = Head::new(picture, compression)?;
    for plane in picture.planes.by_ref() {
        let mut page = encoder.image_directory()?;
        if let Some(description) = description.take() {
            page.write_tag(Tag::ImageDescription, description.as_str())?;
        }
        head.write(&mut page)?;
        head.write_strips(&mut page, plane)?;
        page.finish()?;
    }
    Ok(())
}

/// What all pages have in common.
struct Head {
    rows: u32,
    columns: u32,
    pixel: PixelType,
    compression: Compression,
    differences: bool,
    rows_per_strip: u32,
}

impl Head {
    fn new(picture: &Picture<'_>, compression: Compression) -> TiffResult<Self> {
        let [_, rows, columns] = picture.extent;
        let row = columns.saturating_mul(picture.pixel.bytes()).max(1);
        Ok(Self {
            rows: u32::try_from(rows)?,
            columns: u32::try_from(columns)?,
            pixel: picture.pixel,
            compression,
            differences: picture.smooth
                && compression != Compression::None
                && narrow(picture.pixel),
            rows_per_strip: u32::try_from((STRIP / row).clamp(1, rows))?,
        })
    }

    fn write<K: TiffKind>(
        &self,
        page: &mut DirectoryEncoder<'_, &mut BufWriter<File>, K>,
    ) -> TiffResult<()> {
        let (bits, format) = sample(self.pixel);
        page.write_tag(Tag::ImageWidth, self.columns)?;
        page.write_tag(Tag::ImageLength, self.rows)?;
        page.write_tag(Tag::BitsPerSample, bits)?;
        page.write_tag(Tag::SampleFormat, format)?;
        page.write_tag(Tag::SamplesPerPixel, 1_u16)?;
        page.write_tag(Tag::PhotometricInterpretation, 1_u16)?;
        page.write_tag(Tag::Compression, number(self.compression))?;
        page.write_tag(Tag::RowsPerStrip, self.rows_per_strip)?;
        if self.differences {
            page.write_tag(Tag::Predictor, 2_u16)?;
        }
        Ok(())
    }

    fn write_strips<K: TiffKind>(
        &self,
        page: &mut DirectoryEncoder<'_, &mut BufWriter<File>, K>,
        mut plane: Vec<u8>,
    ) -> TiffResult<()> {
        let size = self.pixel.bytes();
        let row = usize::try_from(self.columns)? * size;
        if self.differences {
            plane.chunks_exact_mut(row).for_each(|row| differences(row, size));
        }
        native_order(&mut plane, size);
        let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
        for strip in plane.chunks(usize::try_from(self.rows_per_strip)? * row) {
            let packed = pack(self.compression, strip)?;
            offsets.push(K::convert_offset(page.write_data(packed.as_slice())?)?);
            lengths.push(K::convert_offset(u64::try_from(packed.len())?)?);
        }
        page.write_tag(Tag::StripOffsets, K::convert_slice(&offsets))?;
        page.write_tag(Tag::StripByteCounts, K::convert_slice(&lengths))
    }
}

/// ImageJ undoes differences of 8 and 16 bits only.
fn narrow(pixel: PixelType) -> bool {
    pixel.bytes() <= 2
}

/// `BitsPerSample` and `SampleFormat`: TIFF 6.0, sections 4 and 19.
fn sample(pixel: PixelType) -> (u16, u16) {
    match pixel {
        PixelType::U8 => (8, 1),
        PixelType::I8 => (8, 2),
        PixelType::U16 => (16, 1),
        PixelType::I16 => (16, 2),
        PixelType::U32 => (32, 1),
        PixelType::F32 => (32, 3),
    }
}

fn number(compression: Compression) -> u16 {
    match compression {
        Compression::None => 1,
        Compression::Deflate => 8,
        Compression::Zstd => 50_000,
    }
}

fn pack(compression: Compression, strip: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(strip.to_vec()),
        Compression::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(strip)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(strip, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// Replaces each little-endian sample by its difference to the one before it, wrapping around.
fn differences(row: &mut [u8], size: usize) {
    if size == 1 {
        for here in (1..row.len()).rev() {
            row[here] = row[here].wrapping_sub(row[here - 1]);
        }
        return;
    }
    let (samples, _) = row.as_chunks_mut::<2>();
    for here in (1..samples.len()).rev() {
        let [left, right] = [here - 1, here].map(|sample| u16::from_le_bytes(samples[sample]));
        samples[here] = right.wrapping_sub(left).to_le_bytes();
    }
}

/// The header says that the file is in the machine's byte order.
fn native_order(plane: &mut [u8], size: usize) {
    if cfg!(target_endian = "big") {
        plane.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// The description, in the order of the elements that the schema 2016-06 demands.
fn ome_xml(picture: &Picture<'_>) -> String {
    let [slices, rows, columns] = picture.extent;
    let mut xml = String::from(concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        r#"<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06""#,
        r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
        r#" xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06"#,
        r#" http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">"#,
        r#"<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT""#,
    ));
    let channels = picture.channels;
    push(&mut xml, format_args!(r#" Type="{}""#, ome_type(picture.pixel)));
    push(&mut xml, format_args!(r#" SizeX="{columns}" SizeY="{rows}" SizeZ="{slices}""#));
    push(&mut xml, format_args!(r#" SizeC="{channels}" SizeT="1""#));
    for (size, axis) in picture.spacing.iter().zip(['Z', 'Y', 'X']) {
        if let Some(size) = size {
            push(&mut xml, format_args!(r#" PhysicalSize{axis}="{size}""#));
            push(&mut xml, format_args!(r#" PhysicalSize{axis}Unit="&#181;m""#));
        }
    }
    xml.push('>');
    for (channel, name) in picture.channel_names.iter().enumerate() {
        push(&mut xml, format_args!(r#"<Channel ID="Channel:0:{channel}""#));
        if let Some(name) = name {
            push(&mut xml, format_args!(r#" Name="{}""#, escaped(name)));
        }
        xml.push_str(r#" SamplesPerPixel="1"/>"#);
    }
    let planes = channels * slices;
    push(&mut xml, format_args!(r#"<TiffData IFD="0" PlaneCount="{planes}"/>"#));
    xml.push_str("</Pixels></Image></OME>");
    xml
}

fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = xml.write_fmt(text);
}

/// `PixelType` of the schema.
fn ome_type(pixel: PixelType) -> &'static str {
    match pixel {
        PixelType::U8 => "uint8",
        PixelType::I8 => "int8",
        PixelType::U16 => "uint16",
        PixelType::I16 => "int16",
        PixelType::U32 => "uint32",
        PixelType::F32 => "float",
    }
}

/// An attribute's value in ASCII, as a TIFF description has to be.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' if !matches!(character, '<' | '>' | '&' | '"' | '\'') => {
                escaped.push(character);
            }
            other => push(&mut escaped, format_args!("&#{};", u32::from(other))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;
    use crate::{Stack3, Zyx, io::write_whole};

    #[test]
    fn offsets_of_64_bits_are_taken_only_where_they_may_be_needed() {
        let pixels = Array3::<u8>::zeros((2, 3, 4));
        let view = pixels.view();
        let mut picture = Picture::new::<Zyx, _, _, _>(&view, [2, 3, 4], None, |value: u8| value);
        assert!(!is_big(&picture));
        picture.extent = [2, 45_000, 45_000];
        assert!(!is_big(&picture), "3.77 GiB");
        picture.extent = [2, 46_341, 46_341];
        assert!(is_big(&picture), "4 GiB less 60 kB, and tags");
    }

    #[test]
    fn a_bigtiff_is_read_back() {
        let stack = Stack3::new(array![[[1_u16, 2], [3, 4]], [[5, 6], [7, 65_535]]]);
        let view = stack.view();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big.tif");
        let mut picture =
            Picture::new::<Zyx, _, _, _>(&view, stack.extent(), None, |value: u16| value);
        write_whole(&path, crate::io::Existing::Refuse, |file| {
            let encoder = TiffEncoder::<_, TiffKindBig>::new_generic(file);
            pages(&mut picture, Compression::Deflate, encoder).map_err(io::Error::other)
        })
        .unwrap();
        assert!(std::fs::read(&path).unwrap()[2..4].contains(&43), "the version is not 42");
        assert_eq!(Stack3::open(&path).unwrap(), stack);
    }
}
