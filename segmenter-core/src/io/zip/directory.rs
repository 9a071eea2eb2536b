//! The directory at the end of an archive.

use std::{
    collections::{BTreeMap, btree_map},
    io::{Read, Seek},
};

use super::{ZipError, damaged, read_at};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) encrypted: bool,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    pub(super) offset: u64,
}

/// Where the directory is.
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) count: u64,
}

impl Directory {
    /// Finds the record at the end of the file that says where the directory is.
    pub(super) fn find(file: &mut (impl Read + Seek), length: u64) -> Result<Self, ZipError> {
        /// Of the record, and of the longest comment after it.
        const RECORD: u64 = 22;
        const COMMENT: u64 = 0xffff;
        let tail_start = length.saturating_sub(RECORD + COMMENT);
        let tail = read_at(file, length, tail_start, length - tail_start)?;
        let ends_here = |&at: &usize| {
            let comment = tail.get(at + 20..at + 22).map(|n| u16::from_le_bytes([n[0], n[1]]));
            tail[at..].starts_with(b"PK\x05\x06")
                && comment.is_some_and(|comment| at + 22 + usize::from(comment) == tail.len())
        };
        let at = (0..tail.len()).rev().find(ends_here).ok_or(ZipError::NoDirectory)?;
        let mut fields = Fields(&tail[at..]);
        fields.skip(10)?;
        let directory = Self {
            count: fields.u16()?.into(),
            length: fields.u32()?.into(),
            offset: fields.u32()?.into(),
        };
        match (tail_start + at as u64).checked_sub(20) {
            Some(locator) => directory.or_64_bit(file, length, locator),
            None => Ok(directory),
        }
    }

    /// The same directory as the 64-bit record says it, if the record before has a locator of one.
    fn or_64_bit(
        self,
        file: &mut (impl Read + Seek),
        length: u64,
        locator: u64,
    ) -> Result<Self, ZipError> {
        let locator = read_at(file, length, locator, 20)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(self);
        }
        let mut fields = Fields(&locator);
        fields.skip(8)?;
        let record = read_at(file, length, fields.u64()?, 56)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(damaged("the 64-bit directory record is missing"));
        }
        let mut fields = Fields(&record);
        fields.skip(32)?;
        Ok(Self { count: fields.u64()?, length: fields.u64()?, offset: fields.u64()? })
    }
}

pub(super) fn parse_entries(bytes: &[u8], count: u64) -> Result<BTreeMap<String, Entry>, ZipError> {
    let mut fields = Fields(bytes);
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let (name, entry) = parse_entry(&mut fields)?;
        check_name(&name)?;
        match entries.entry(name) {
            btree_map::Entry::Vacant(slot) => slot.insert(entry),
            btree_map::Entry::Occupied(slot) => {
                return Err(ZipError::Duplicate { name: slot.key().clone() });
            }
        };
    }
    if fields.0.is_empty() {
        Ok(entries)
    } else {
        Err(damaged("its directory has more entries than it says"))
    }
}

fn parse_entry(fields: &mut Fields<'_>) -> Result<(String, Entry), ZipError> {
    if fields.u32()? != 0x0201_4b50 {
        return Err(damaged("its directory has fewer entries than it says"));
    }
    fields.skip(4)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.skip(4)?;
    let crc = fields.u32()?;
    let (packed, unpacked) = (fields.u32()?, fields.u32()?);
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    fields.skip(8)?;
    let offset = fields.u32()?;
    let name = fields.take(name.into())?;
    let mut wide = Fields(extra_64_bit(fields.take(extra.into())?)?);
    fields.skip(comment.into())?;
    let name = String::from_utf8(name.to_vec()).map_err(|error| ZipError::Name {
        name: String::from_utf8_lossy(error.as_bytes()).into(),
    })?;
    // In the order that the format prescribes for the 64-bit values.
    let unpacked = wide.widen(unpacked)?;
    let packed = wide.widen(packed)?;
    let offset = wide.widen(offset)?;
    Ok((name, Entry { encrypted: flags & 1 != 0, method, crc, packed, unpacked, offset }))
}

/// The 64-bit values among an entry's extra fields; empty if there are none.
fn extra_64_bit(extra: &[u8]) -> Result<&[u8], ZipError> {
    let mut fields = Fields(extra);
    while !fields.0.is_empty() {
        let (id, length) = (fields.u16()?, fields.u16()?);
        let content = fields.take(length.into())?;
        if id == 1 {
            return Ok(content);
        }
    }
    Ok(&[])
}

fn check_name(name: &str) -> Result<(), ZipError> {
    let plain = !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(['\\', ':', '\0'])
        && !name.split('/').any(|part| part == "..");
    if plain { Ok(()) } else { Err(ZipError::Name { name: name.to_owned() }) }
}

/// Little-endian numbers, taken from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ZipError> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| damaged("its directory is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ZipError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn skip(&mut self, length: usize) -> Result<(), ZipError> {
        self.take(length).map(drop)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ZipError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ZipError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ZipError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A 32-bit value of the directory, or the 64-bit one that it stands for.
    fn widen(&mut self, value: u32) -> Result<u64, ZipError> {
        if value == u32::MAX { self.u64() } else { Ok(value.into()) }
    }
}
