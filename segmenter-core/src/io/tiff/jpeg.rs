//! Strips and tiles that are JPEG images.
//!
//! Source: TIFF Technical Note 2 (1995). Tables that all have in common are in a tag of their own, as
//! a JPEG stream without an image; they go before the image of each.

use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::super::{fault::Fault, jpeg};

/// End of image, start of image: ITU-T T.81, table B.1.
const END: &[u8] = &[0xFF, 0xD9];
const START: &[u8] = &[0xFF, 0xD8];

/// The tables of a page, and whether its colours are coded as luma and chroma.
#[derive(Debug)]
pub(super) struct Tables {
    tables: Vec<u8>,
    colours: bool,
}

impl Tables {
    pub(super) fn new(tables: Vec<u8>, colours: bool) -> Self {
        Self { tables, colours }
    }

    /// The pixels of a strip or tile of so many rows and columns, of which the image in it may have more
    /// rows, up to so many: samples side by side.
    pub(super) fn decode(
        &self,
        packed: &[u8],
        [rows, columns]: [usize; 2],
        most_rows: usize,
        samples: usize,
    ) -> Result<Vec<u8>, Fault> {
        let broken = |error: &dyn std::fmt::Display| {
            Fault::malformed(format!("a strip or tile is no JPEG image that can be read: {error}"))
        };
        let stream = self.stream(packed);
        // Some writers fill the last strip with rows that the image has not.
        let options = jpeg::options().set_max_width(columns).set_max_height(most_rows);
        let mut decoder = jpeg::open(&stream)?;
        decoder.set_options(options);
        decoder.decode_headers().map_err(|error| broken(&error))?;
        let found = decoder.dimensions();
        if !found.is_some_and(|found| found.0 == columns && found.1 >= rows) {
            return Err(broken(&format!(
                "it has {found:?} columns and rows, but {columns} and {rows} are needed"
            )));
        }
        let space = match (samples, self.colours, decoder.input_colorspace()) {
            (1, ..) => ColorSpace::Luma,
            (3, true, _) => ColorSpace::RGB,
            // Samples that are not colours are stored as they are.
            (3, false, Some(stored)) => stored,
            _ => {
                return Err(Fault::unsupported(format!(
                    "a JPEG image of {samples} samples; save it with another compression"
                )));
            }
        };
        decoder.set_options(options.jpeg_set_out_colorspace(space));
        let mut pixels = decoder.decode().map_err(|error| broken(&error))?;
        if pixels.len() < rows * columns * samples {
            return Err(broken(&format!("it has {} bytes of pixels", pixels.len())));
        }
        pixels.truncate(rows * columns * samples);
        Ok(pixels)
    }

    /// The image of a strip or tile with the tables before it.
    fn stream(&self, packed: &[u8]) -> Vec<u8> {
        let tables = self.tables.strip_suffix(END).unwrap_or(&self.tables);
        if tables.is_empty() {
            return packed.to_vec();
        }
        [tables, packed.strip_prefix(START).unwrap_or(packed)].concat()
    }
}
