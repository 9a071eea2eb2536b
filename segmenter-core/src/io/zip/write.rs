//! Writing zip archives of stored entries.

use std::io::{self, Write};

use flate2::Crc;

/// Where PyTorch lets the contents begin, so that they can be mapped into memory.
const ALIGNMENT: u64 = 64;

const LOCAL_HEADER: u64 = 30;

/// An archive under way, in the format of APPNOTE.TXT 6.3.10 without its 64-bit extensions. Its bytes
/// depend on nothing but the names and contents of its entries.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    output: W,
    offset: u64,
    directory: Vec<u8>,
    entries: u16,
}

impl<W: Write> ArchiveWriter<W> {
    /// An archive without entries.
    pub fn new(output: W) -> Self {
        Self { output, offset: 0, directory: Vec::new(), entries: 0 }
    }

    /// Adds an entry, stored as it is, whose content begins at a multiple of 64 bytes.
    ///
    /// # Errors
    /// If the output fails, or the archive would have more than 4 GiB or 65535 entries.
    pub fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let padding = self.padding(name);
        let fields = Fields::new(name, content, padding.len())?;
        let offset = limited(self.offset, "the archive")?;
        self.write(&[b"PK\x03\x04", &fields.shared[..], name.as_bytes(), &padding, content])?;
        // Made on MS-DOS as far as attributes go: the entry has none.
        self.directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        self.directory.extend_from_slice(&fields.shared[..24]);
        // No extra field here, no comment, first disk, no attributes.
        self.directory.extend_from_slice(&[0; 12]);
        self.directory.extend_from_slice(&offset.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.entries = self.entries.checked_add(1).ok_or_else(|| too_large("the archive"))?;
        Ok(())
    }

    /// Writes the directory.
    ///
    /// # Errors
    /// If the output fails, or the directory is too large.
    pub fn finish(mut self) -> io::Result<()> {
        let start = limited(self.offset, "the archive")?;
        let length = limited(self.directory.len() as u64, "the directory")?;
        let directory = std::mem::take(&mut self.directory);
        let count = self.entries.to_le_bytes();
        let (start, length) = (start.to_le_bytes(), length.to_le_bytes());
        let end = [&[0; 4][..], &count, &count, &length, &start, &[0; 2]].concat();
        self.write(&[&directory, b"PK\x05\x06", &end])?;
        self.output.flush()
    }

    /// An extra field as PyTorch's (`FB`, a length, `Z`s) that moves the content to its place.
    fn padding(&self, name: &str) -> Vec<u8> {
        const SMALLEST: u64 = 4;
        let end = self.offset + LOCAL_HEADER + name.len() as u64 + SMALLEST;
        let fill = end.next_multiple_of(ALIGNMENT) - end;
        let mut padding = b"FB".to_vec();
        padding.extend((0..2).map(|byte| fill.to_le_bytes()[byte]));
        padding.extend((0..fill).map(|_| b'Z'));
        padding
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.output.write_all(part)?;
            self.offset += part.len() as u64;
        }
        Ok(())
    }
}

/// The fields that an entry's header shares with the directory.
struct Fields {
    shared: [u8; 26],
}

impl Fields {
    fn new(name: &str, content: &[u8], extra: usize) -> io::Result<Self> {
        let length = limited(content.len() as u64, name)?.to_le_bytes();
        let name_length = u16::try_from(name.len()).map_err(|_| too_large(name))?.to_le_bytes();
        let extra = u16::try_from(extra).map_err(|_| too_large(name))?.to_le_bytes();
        let mut crc = Crc::new();
        crc.update(content);
        // Version 2.0, UTF-8 names, stored, at midnight of 1 January 1980: what is written depends
        // on nothing but the content.
        let before = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
        let parts = [&before[..], &crc.sum().to_le_bytes(), &length, &length, &name_length, &extra]
            .concat();
        let mut shared = [0; 26];
        shared.copy_from_slice(&parts);
        Ok(Self { shared })
    }
}

fn limited(length: u64, what: &str) -> io::Result<u32> {
    // The largest number means that the real one is in a 64-bit extension.
    u32::try_from(length).ok().filter(|&length| length < u32::MAX).ok_or_else(|| too_large(what))
}

fn too_large(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} is too large for a zip archive"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::io::zip::Archive;

    #[test]
    fn entries_are_read_back_and_begin_where_they_can_be_mapped() {
        let mut bytes = Vec::new();
        let mut writer = ArchiveWriter::new(&mut bytes);
        writer.add("a/data.pkl", b"first").unwrap();
        writer.add("a/data/0", &[7; 100]).unwrap();
        writer.add("a/ü", b"").unwrap();
        writer.finish().unwrap();
        let starts = bytes.windows(5).position(|window| window == b"first").unwrap();
        assert_eq!(starts % 64, 0);
        assert_eq!(bytes.iter().position(|&byte| byte == 7).unwrap() % 64, 0);
        let mut archive = Archive::new(Cursor::new(bytes), 1 << 20).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a/data.pkl", "a/data/0", "a/ü"]);
        assert_eq!(archive.read("a/data/0").unwrap(), [7; 100]);
        assert_eq!(archive.read("a/ü").unwrap(), b"");
    }
}
