//! What is said about a page: its tags, as numbers.

use std::{
    io::{Read, Seek},
    sync::Arc,
};

use tiff::{
    Directory,
    decoder::{Decoder, ifd::Value},
    tags::Tag,
};

use super::{super::fault::Fault, codec::Compression, jpeg};
use crate::PixelType;

/// The tags of one page.
pub(super) struct Tags<'a, R: Read + Seek> {
    pub(super) decoder: &'a mut Decoder<R>,
    pub(super) directory: &'a Directory,
}

impl<R: Read + Seek> Tags<'_, R> {
    pub(super) fn value(&mut self, tag: Tag) -> Result<Option<Value>, Fault> {
        Ok(self.decoder.read_directory_tags(self.directory).find_tag(tag)?)
    }

    pub(super) fn numbers(&mut self, tag: Tag) -> Result<Vec<u64>, Fault> {
        Ok(self.value(tag)?.map(Value::into_u64_vec).transpose()?.unwrap_or_default())
    }

    /// The first number of a tag, as some writers repeat one for each sample.
    pub(super) fn number(&mut self, tag: Tag, default: u64) -> Result<u64, Fault> {
        Ok(self.numbers(tag)?.first().copied().unwrap_or(default))
    }

    pub(super) fn short(&mut self, tag: Tag, default: u16) -> Result<u16, Fault> {
        let number = self.number(tag, default.into())?;
        u16::try_from(number).map_err(|_| bad(tag, number))
    }

    pub(super) fn size(&mut self, tag: Tag, default: usize) -> Result<usize, Fault> {
        let Some(&number) = self.numbers(tag)?.first() else { return Ok(default) };
        usize::try_from(number).map_err(|_| bad(tag, number))
    }

    /// Samples of a page are of one type: mixed ones are refused.
    pub(super) fn pixel_type(&mut self) -> Result<PixelType, Fault> {
        let [bits, formats] = [Tag::BitsPerSample, Tag::SampleFormat].map(|tag| self.numbers(tag));
        let (bits, formats) = (bits?, formats?);
        if bits.windows(2).chain(formats.windows(2)).any(|pair| pair[0] != pair[1]) {
            return Err(Fault::unsupported("samples of a pixel are of different types"));
        }
        let bits = bits.first().copied().unwrap_or(1);
        Ok(match (formats.first().copied().unwrap_or(1), bits) {
            (1 | 4, 1) => PixelType::Bool,
            (1 | 4, 8) => PixelType::U8,
            (2, 8) => PixelType::I8,
            (1 | 4, 16) => PixelType::U16,
            (2, 16) => PixelType::I16,
            (1 | 4, 32) => PixelType::U32,
            (2, 32) => PixelType::I32,
            (1 | 4, 64) => PixelType::U64,
            (2, 64) => PixelType::I64,
            (3, 16) => PixelType::F16,
            (3, 32) => PixelType::F32,
            (3, 64) => PixelType::F64,
            (format, bits) => {
                let name = sample_name(format, bits);
                return Err(Fault::unsupported(format!(
                    "the pixels are {name}; convert them to whole numbers of 8 to 64 bits, or to \
                     floating point of 16 to 64"
                )));
            }
        })
    }

    /// What JPEG strips and tiles have in common, if that is how the page is packed.
    pub(super) fn jpeg(
        &mut self,
        compression: Compression,
    ) -> Result<Option<Arc<jpeg::Tables>>, Fault> {
        if compression != Compression::Jpeg {
            return Ok(None);
        }
        let mut tables = Vec::new();
        for byte in self.numbers(Tag::JPEGTables)? {
            tables.push(u8::try_from(byte).map_err(|_| bad(Tag::JPEGTables, byte))?);
        }
        // YCbCr of the specification is turned into what it stands for.
        let colours = self.number(Tag::PhotometricInterpretation, 1)? == 6;
        Ok(Some(Arc::new(jpeg::Tables::new(tables, colours))))
    }

    /// Refuses what would change the pixels if it were ignored.
    pub(super) fn refuse_exotic(&mut self) -> Result<(), Fault> {
        let jpeg = self.number(Tag::Compression, 1)? == 7;
        match self.number(Tag::PhotometricInterpretation, 1)? {
            3 => {
                return Err(Fault::unsupported(
                    "the pixels are indices into a palette; save it as gray values",
                ));
            }
            5 => {
                return Err(Fault::unsupported(
                    "the colours are CMYK; save it as gray values or RGB",
                ));
            }
            6 if !jpeg => {
                return Err(Fault::unsupported(
                    "the colours are YCbCr; save it as gray values or RGB",
                ));
            }
            8..=10 => {
                return Err(Fault::unsupported(
                    "the colours are CIE L*a*b*; save it as gray values or RGB",
                ));
            }
            _ => {}
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
        (1 | 4, bits) => format!("u{bits}"),
        (2, bits) => format!("i{bits}"),
        (3, bits) => format!("f{bits}"),
        (5 | 6, bits) => format!("complex numbers of {bits} bits"),
        (format, bits) => format!("of sample format {format} with {bits} bits"),
    }
}
