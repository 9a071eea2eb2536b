//! The directories of a TIFF file in their bytes: TIFF 6.0, section 2, and the `BigTIFF` design.
//! Everything is little-endian.

use tiff::tags::Tag;

/// Whether offsets have 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Classic,
    Big,
}

impl Width {
    /// The first bytes of a file whose first directory is at this offset.
    pub(super) fn header(self, first: u64) -> Vec<u8> {
        let mut bytes = b"II".to_vec();
        match self {
            Self::Classic => bytes.extend_from_slice(&[42, 0]),
            Self::Big => bytes.extend_from_slice(&[43, 0, 8, 0, 0, 0]),
        }
        self.push(&mut bytes, first);
        bytes
    }

    /// Bytes of an offset.
    fn size(self) -> usize {
        match self {
            Self::Classic => 4,
            Self::Big => 8,
        }
    }

    /// Bytes of the number of entries.
    fn count_size(self) -> usize {
        match self {
            Self::Classic => 2,
            Self::Big => 8,
        }
    }

    /// Appends an offset or a count. In a classic file it fits, or the file is not finished.
    fn push(self, bytes: &mut Vec<u8>, number: u64) {
        bytes.extend_from_slice(&number.to_le_bytes()[..self.size()]);
    }
}

/// The value of an entry.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Short(u16),
    Long(u32),
    Longs(&'a [u32]),
    /// Pixels a unit: a fraction.
    Rational([u32; 2]),
    Text(&'a str),
    Offsets(Vec<u64>),
}

impl Value<'_> {
    /// The number of the field type.
    fn kind(&self, width: Width) -> u16 {
        match (self, width) {
            (Self::Text(_), _) => 2,
            (Self::Short(_), _) => 3,
            (Self::Long(_) | Self::Longs(_), _) | (Self::Offsets(_), Width::Classic) => 4,
            (Self::Rational(_), _) => 5,
            (Self::Offsets(_), Width::Big) => 16,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Short(_) | Self::Long(_) | Self::Rational(_) => 1,
            Self::Longs(values) => values.len(),
            Self::Offsets(values) => values.len(),
            Self::Text(text) => text.len() + 1,
        }
    }

    fn length(&self, width: Width) -> usize {
        let size = match self {
            Self::Text(_) => 1,
            Self::Short(_) => 2,
            Self::Long(_) | Self::Longs(_) => 4,
            Self::Rational(_) => 8,
            Self::Offsets(_) => width.size(),
        };
        self.count() * size
    }

    fn bytes(&self, width: Width) -> Vec<u8> {
        match self {
            Self::Short(value) => value.to_le_bytes().to_vec(),
            Self::Long(value) => value.to_le_bytes().to_vec(),
            Self::Longs(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Rational(parts) => parts.iter().flat_map(|part| part.to_le_bytes()).collect(),
            Self::Text(text) => [text.as_bytes(), &[0]].concat(),
            Self::Offsets(offsets) => {
                let mut bytes = Vec::with_capacity(self.length(width));
                offsets.iter().for_each(|&offset| width.push(&mut bytes, offset));
                bytes
            }
        }
    }
}

/// The description of one image of a file.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    width: Width,
    entries: Vec<(Tag, Value<'a>)>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(width: Width, mut entries: Vec<(Tag, Value<'a>)>) -> Self {
        entries.sort_by_key(|(tag, _)| tag.to_u16());
        Self { width, entries }
    }

    /// Number of bytes, which does not depend on where offsets point.
    pub(super) fn length(&self) -> usize {
        let outside = self.entries.iter().map(|(_, value)| self.outside(value));
        self.table() + outside.sum::<usize>()
    }

    /// The bytes of the directory if it begins at this even offset and the next one of the chain,
    /// or 0, is there.
    pub(super) fn bytes(&self, start: u64, next: u64) -> Vec<u8> {
        let mut table = Vec::with_capacity(self.length());
        let count = self.entries.len().to_le_bytes();
        table.extend_from_slice(&count[..self.width.count_size()]);
        let mut outside = Vec::new();
        let beyond = start + bytes(self.table());
        for (tag, value) in &self.entries {
            table.extend_from_slice(&tag.to_u16().to_le_bytes());
            table.extend_from_slice(&value.kind(self.width).to_le_bytes());
            self.width.push(&mut table, bytes(value.count()));
            if self.outside(value) == 0 {
                let mut inside = value.bytes(self.width);
                inside.resize(self.width.size(), 0);
                table.extend_from_slice(&inside);
            } else {
                self.width.push(&mut table, beyond + bytes(outside.len()));
                outside.extend_from_slice(&value.bytes(self.width));
                outside.resize(outside.len().next_multiple_of(2), 0);
            }
        }
        self.width.push(&mut table, next);
        table.extend_from_slice(&outside);
        table
    }

    /// Length of the table of entries.
    fn table(&self) -> usize {
        let width = self.width;
        width.count_size() + self.entries.len() * (4 + 2 * width.size()) + width.size()
    }

    /// Bytes of a value that lie behind the table, because it does not fit in its entry. An even
    /// number.
    fn outside(&self, value: &Value<'_>) -> usize {
        match value.length(self.width) {
            length if length <= self.width.size() => 0,
            length => length.next_multiple_of(2),
        }
    }
}

/// A length in memory as one in a file.
pub(super) fn bytes(length: usize) -> u64 {
    length as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_the_bytes_of_the_specification() {
        let entries =
            || vec![(Tag::Compression, Value::Short(8)), (Tag::ImageWidth, Value::Longs(&[1, 2]))];
        let classic = Directory::new(Width::Classic, entries());
        #[rustfmt::skip]
        assert_eq!(classic.bytes(100, 0x0102), [
            2, 0,
            0, 1, 4, 0, 2, 0, 0, 0, 130, 0, 0, 0,
            3, 1, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0,
            2, 1, 0, 0,
            1, 0, 0, 0, 2, 0, 0, 0,
        ]);
        assert_eq!(classic.length(), 38);
        let big = Directory::new(Width::Big, entries());
        #[rustfmt::skip]
        assert_eq!(big.bytes(100, 0x0102), [
            2, 0, 0, 0, 0, 0, 0, 0,
            0, 1, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
            3, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
            2, 1, 0, 0, 0, 0, 0, 0,
        ]);
    }
}
