//! Reading the zip archives that NumPy, PyTorch and ImageJ write, and writing such.
//!
//! A small reader of the format in PKWARE's APPNOTE.TXT 6.3.10: stored and deflated entries, with
//! the 64-bit extensions. It trusts only the central directory, checks each entry against it, and
//! refuses what an extractor could be fooled with: names that lead out of the folder, names that
//! occur twice, sizes that do not fit the file. Nothing is ever extracted to disk.

mod directory;
mod write;

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom},
};

use flate2::{Crc, read::DeflateDecoder};

pub use write::ArchiveWriter;

use directory::{Directory, Entry, Fields, parse_entries};

/// A zip archive whose entries are read one by one.
///
/// ```
/// use segmenter_core::io::zip::Archive;
///
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python/stored.npz");
/// let mut archive = Archive::new(std::fs::File::open(path)?, 1 << 30)?;
/// assert_eq!(archive.names().collect::<Vec<_>>(), ["grid.npy", "half.npy"]);
/// assert!(archive.read("half.npy")?.starts_with(b"\x93NUMPY"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Archive<R> {
    file: R,
    length: u64,
    entries: BTreeMap<String, Entry>,
}

/// Why a zip archive, or an entry of it, was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The end of the file has no directory.
    #[error("not a zip archive, or cut off: no directory at its end")]
    NoDirectory,
    /// The directory contradicts itself or the file.
    #[error("the zip archive is damaged: {reason}")]
    Damaged {
        /// How.
        reason: String,
    },
    /// An entry's name could lead out of the folder it is unpacked into.
    #[error("the entry name {name:?} is not a plain relative path, so the archive is not trusted")]
    Name {
        /// The name.
        name: String,
    },
    /// Two entries have one name.
    #[error("the zip archive has two entries {name:?}, so it is not clear which one is meant")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// There is no such entry.
    #[error("the zip archive has no entry {name:?}")]
    Missing {
        /// The name asked for.
        name: String,
    },
    /// An entry is encrypted, or compressed in a way that neither NumPy nor PyTorch uses.
    #[error("the entry {name:?} is {how}; only stored and deflated entries are read")]
    Unsupported {
        /// The entry.
        name: String,
        /// What it is instead.
        how: String,
    },
    /// An entry's content does not have the checksum that the directory says.
    #[error("the entry {name:?} is damaged: its checksum is wrong")]
    Checksum {
        /// The entry.
        name: String,
    },
    /// The entries are too large together.
    #[error("the entries unpack to {found} bytes, the limit is {limit}")]
    Limit {
        /// What the directory says, in bytes.
        found: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file system failed.
    #[error("can't be read")]
    Io(#[from] io::Error),
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of an archive whose entries may unpack to this many bytes together.
    ///
    /// # Errors
    /// If there is no directory or it is damaged, a name is unsafe or occurs twice, the limit is
    /// exceeded, or the file system fails.
    pub fn new(mut file: R, limit: u64) -> Result<Self, ZipError> {
        let length = file.seek(SeekFrom::End(0))?;
        let directory = Directory::find(&mut file, length)?;
        let bytes = read_at(&mut file, length, directory.offset, directory.length)?;
        let entries = parse_entries(&bytes, directory.count)?;
        let found = entries.values().fold(0_u64, |sum, entry| sum.saturating_add(entry.unpacked));
        if found > limit {
            return Err(ZipError::Limit { found, limit });
        }
        Ok(Self { file, length, entries })
    }

    /// The names of the entries, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The content of an entry, unpacked and checked.
    ///
    /// # Errors
    /// If there is no such entry, it is encrypted or of another compression, it is damaged, or the
    /// file system fails.
    pub fn read(&mut self, name: &str) -> Result<Vec<u8>, ZipError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(ZipError::Missing { name: name.to_owned() });
        };
        if entry.encrypted {
            return Err(unsupported(name, "encrypted".to_owned()));
        }
        let start = content_start(&mut self.file, self.length, entry, name)?;
        let packed = read_at(&mut self.file, self.length, start, entry.packed)?;
        let content = match entry.method {
            0 => packed,
            8 => inflate(&packed, entry.unpacked)?,
            other => return Err(unsupported(name, format!("compressed by method {other}"))),
        };
        check(content, entry, name)
    }
}

fn unsupported(name: &str, how: String) -> ZipError {
    ZipError::Unsupported { name: name.to_owned(), how }
}

fn damaged(reason: impl Into<String>) -> ZipError {
    ZipError::Damaged { reason: reason.into() }
}

/// Where an entry's content begins: after its local header, whose lengths may differ from those in
/// the directory.
fn content_start(
    file: &mut (impl Read + Seek),
    length: u64,
    entry: &Entry,
    name: &str,
) -> Result<u64, ZipError> {
    const HEADER: u64 = 30;
    let header = read_at(file, length, entry.offset, HEADER)?;
    let mut fields = Fields(&header);
    if fields.u32()? != 0x0403_4b50 {
        return Err(damaged(format!("no entry begins where {name:?} should")));
    }
    fields.skip(22)?;
    let (name_length, extra_length) = (fields.u16()?, fields.u16()?);
    let found = read_at(file, length, entry.offset + HEADER, name_length.into())?;
    if found != name.as_bytes() {
        return Err(damaged(format!("the entry {name:?} has another name in its header")));
    }
    Ok(entry.offset + HEADER + u64::from(name_length) + u64::from(extra_length))
}

/// Unpacks no more than is expected, and one byte to see that there is more.
fn inflate(packed: &[u8], expected: u64) -> Result<Vec<u8>, ZipError> {
    let mut content = Vec::new();
    DeflateDecoder::new(packed)
        .take(expected.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| damaged(format!("an entry does not unpack: {error}")))?;
    Ok(content)
}

fn check(content: Vec<u8>, entry: &Entry, name: &str) -> Result<Vec<u8>, ZipError> {
    if content.len() as u64 != entry.unpacked {
        return Err(damaged(format!("the entry {name:?} is not {} bytes long", entry.unpacked)));
    }
    let mut crc = Crc::new();
    crc.update(&content);
    if crc.sum() != entry.crc {
        return Err(ZipError::Checksum { name: name.to_owned() });
    }
    Ok(content)
}

/// Reads a part of the file, which is checked to be there before memory is taken for it.
fn read_at(
    file: &mut (impl Read + Seek),
    file_length: u64,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, ZipError> {
    let end = offset.checked_add(length).filter(|&end| end <= file_length);
    let Some((_, length)) = end.zip(usize::try_from(length).ok()) else {
        return Err(damaged(format!(
            "{length} bytes are needed at byte {offset}, but the file has {file_length}"
        )));
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const STORED: &[u8] = include_bytes!("../../../tests/fixtures/python/stored.npz");
    const DEFLATED: &[u8] = include_bytes!("../../../tests/fixtures/python/deflated.npz");
    const WIDE: &[u8] = include_bytes!("../../../tests/fixtures/python/zip64.zip");

    fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ZipError> {
        let mut archive = Archive::new(Cursor::new(bytes), 1 << 20)?;
        let names: Vec<_> = archive.names().map(str::to_owned).collect();
        names.iter().map(|name| archive.read(name)).collect()
    }

    /// The archive with each of one byte sequence replaced by another of the same length.
    fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for at in 0..=bytes.len() - old.len() {
            if bytes[at..].starts_with(old) {
                bytes[at..at + new.len()].copy_from_slice(new);
            }
        }
        bytes
    }

    #[test]
    fn deflated_entries_hold_what_stored_ones_hold() {
        let stored = read_all(STORED).unwrap();
        assert_eq!(stored[1], include_bytes!("../../../tests/fixtures/python/half.npy"));
        assert_eq!(stored, read_all(DEFLATED).unwrap());
    }

    #[test]
    fn sixty_four_bit_records_are_read() {
        assert!(WIDE.windows(4).any(|window| window == b"PK\x06\x06"));
        assert_eq!(read_all(WIDE).unwrap(), [b"wide".to_vec()]);
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        for name in ["../h.npy", "/alf.npy", "a\\.a.npy", "C:lf.npy"] {
            let error = read_all(&replaced(STORED, b"half.npy", name.as_bytes())).unwrap_err();
            assert!(matches!(error, ZipError::Name { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let error = read_all(&replaced(STORED, b"grid.npy", b"half.npy")).unwrap_err();
        assert!(matches!(error, ZipError::Duplicate { .. }), "{error}");
    }

    #[test]
    fn a_changed_byte_of_the_content_is_found() {
        let error = read_all(&replaced(STORED, b"NUMPY", b"numpy")).unwrap_err();
        assert!(matches!(error, ZipError::Checksum { .. }), "{error}");
    }

    #[test]
    fn what_the_entries_unpack_to_is_limited() {
        let error = Archive::new(Cursor::new(DEFLATED), 100).unwrap_err();
        // 152 and 132 bytes, as the .npy files beside the archive.
        assert!(matches!(error, ZipError::Limit { found: 284, limit: 100 }), "{error}");
    }

    #[test]
    fn an_archive_cut_off_anywhere_is_an_error() {
        for bytes in [STORED, DEFLATED, WIDE] {
            for length in 0..bytes.len() {
                assert!(read_all(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_changes_what_is_read() {
        for bytes in [STORED, DEFLATED] {
            let whole = read_all(bytes).unwrap();
            for bit in 0..8 * bytes.len() {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(read) = read_all(&flipped) {
                    assert_eq!(read, whole, "bit {bit}");
                }
            }
        }
    }
}
