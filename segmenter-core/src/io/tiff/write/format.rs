//! What is fixed about a file before the first block comes.

use std::sync::OnceLock;

use tiff::tags::Tag;

use super::{
    super::super::picture::{Blocks, Compression},
    directory::{Directory, Value, Width, bytes},
    file::Table,
    geometry::Level,
    pack::number,
};
use crate::{ImageKind, PixelType};

/// What is fixed about a file before the first block comes.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) width: Width,
    /// From the largest on.
    pub(super) levels: Vec<Level>,
    pub(super) channels: usize,
    /// The slices of the first channel first.
    pub(super) planes: usize,
    pub(super) pixel: PixelType,
    pub(super) kind: ImageKind,
    pub(super) compression: Compression,
    /// Whether samples may be stored as differences to the one before.
    pub(super) may_differ: bool,
    /// Whether they are, once it is known.
    pub(super) differences: OnceLock<bool>,
    pub(super) description: String,
    /// Pixels a centimetre, `[y, x]`, where they fit the format.
    pub(super) resolution: Option<[[u32; 2]; 2]>,
}

impl Format {
    /// The directory of a plane, which begins at an offset, and those of its smaller levels, which
    /// follow it.
    pub(super) fn directories<'a>(
        &'a self,
        plane: usize,
        tables: &'a [Table],
        start: u64,
    ) -> Vec<Directory<'a>> {
        let smaller: Vec<Directory<'a>> = (1..self.levels.len())
            .map(|level| Directory::new(self.width, self.entries(plane, level, &tables[level])))
            .collect();
        let full = |offsets| {
            let mut entries = self.entries(plane, 0, &tables[0]);
            if plane == 0 {
                entries.push((Tag::ImageDescription, Value::Text(&self.description)));
            }
            if !smaller.is_empty() {
                entries.push((Tag::SubIfd, Value::Offsets(offsets)));
            }
            Directory::new(self.width, entries)
        };
        let mut offset = start + bytes(full(vec![0; smaller.len()]).length());
        let offsets = smaller.iter().map(|directory| {
            let this = offset;
            offset += bytes(directory.length());
            this
        });
        let first = full(offsets.collect());
        [first].into_iter().chain(smaller).collect()
    }

    fn entries<'a>(&self, plane: usize, level: usize, table: &'a Table) -> Vec<(Tag, Value<'a>)> {
        let (bits, sample) = sample(self.pixel);
        let geometry = &self.levels[level];
        let mut entries = vec![
            (Tag::NewSubfileType, Value::Long(u32::from(level > 0))),
            (Tag::ImageWidth, long(geometry.columns)),
            (Tag::ImageLength, long(geometry.rows)),
            (Tag::BitsPerSample, Value::Short(bits)),
            (Tag::SampleFormat, Value::Short(sample)),
            (Tag::SamplesPerPixel, Value::Short(1)),
            (Tag::PhotometricInterpretation, Value::Short(1)),
            (Tag::Compression, Value::Short(number(self.compression))),
        ];
        if self.differences.get() == Some(&true) {
            entries.push((Tag::Predictor, Value::Short(2)));
        }
        if let Some([y, x]) = self.resolution.filter(|_| level == 0) {
            entries.push((Tag::XResolution, Value::Rational(x)));
            entries.push((Tag::YResolution, Value::Rational(y)));
            entries.push((Tag::ResolutionUnit, Value::Short(3)));
        }
        let blocks = plane * geometry.count()..(plane + 1) * geometry.count();
        let offsets = Value::Offsets(table.offsets[blocks.clone()].to_vec());
        let lengths = Value::Longs(&table.lengths[blocks]);
        match geometry.blocks {
            Blocks::Tiles => entries.extend([
                (Tag::TileWidth, long(geometry.block[1])),
                (Tag::TileLength, long(geometry.block[0])),
                (Tag::TileOffsets, offsets),
                (Tag::TileByteCounts, lengths),
            ]),
            Blocks::Strips => entries.extend([
                (Tag::RowsPerStrip, long(geometry.block[0])),
                (Tag::StripOffsets, offsets),
                (Tag::StripByteCounts, lengths),
            ]),
        }
        entries
    }
}

/// A size, which was found to fit when the file was made.
fn long(size: usize) -> Value<'static> {
    Value::Long(u32::try_from(size).unwrap_or(u32::MAX))
}

/// `BitsPerSample` and `SampleFormat`: TIFF 6.0, sections 4 and 19.
fn sample(pixel: PixelType) -> (u16, u16) {
    match pixel {
        PixelType::Bool | PixelType::U8 => (8, 1),
        PixelType::I8 => (8, 2),
        PixelType::U16 => (16, 1),
        PixelType::I16 => (16, 2),
        PixelType::U32 => (32, 1),
        PixelType::I32 => (32, 2),
        PixelType::U64 => (64, 1),
        PixelType::I64 => (64, 2),
        PixelType::F16 => (16, 3),
        PixelType::F32 => (32, 3),
        PixelType::F64 => (64, 3),
    }
}

/// A number as the fraction of two that is nearest among those with a power of ten below, if there
/// is one.
pub(super) fn fraction(number: f64) -> Option<[u32; 2]> {
    let fitting = (0..=6_u32).rev().find_map(|digits| {
        let below = 10_u32.pow(digits);
        let above = (number * f64::from(below)).round();
        (above >= 1.0 && above <= f64::from(u32::MAX)).then_some((above, below))
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fitting.map(|(above, below)| [above as u32, below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_a_fraction_of_what_fits() {
        assert_eq!(fraction(92_592.592_592_592_6), Some([925_925_926, 10_000]), "0.108 µm a pixel");
        assert_eq!(fraction(0.5), Some([500_000, 1_000_000]));
        assert_eq!(fraction(1e-9), None);
        assert_eq!(fraction(1e12), None);
    }
}
