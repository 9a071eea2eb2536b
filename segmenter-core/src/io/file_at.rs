//! Reading a file at any place, from several threads at once.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
};

use super::fault::Fault;

/// An open file without a position of its own.
#[derive(Debug)]
pub(super) struct FileAt {
    file: File,
    length: u64,
}

impl FileAt {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// So many bytes from a place on, in place of what is in the buffer. Memory is taken for what the
    /// file has, not for what was claimed.
    pub(super) fn read(&self, offset: u64, length: u64, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let end = offset.checked_add(length).filter(|&end| end <= self.length);
        let there = end.and_then(|end| usize::try_from(end - offset).ok());
        bytes.resize(there.ok_or_else(|| cut_off(offset, length))?, 0);
        self.read_into(offset, bytes)
    }

    /// As many bytes as there is room for, from a place on.
    pub(super) fn read_into(&self, offset: u64, room: &mut [u8]) -> Result<(), Fault> {
        At { file: &self.file, offset }.read_exact(room).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => cut_off(offset, room.len() as u64),
            _ => error.into(),
        })
    }
}

fn cut_off(offset: u64, length: u64) -> Fault {
    Fault::malformed(format!("{length} bytes at byte {offset} are needed, but cut off"))
}

/// A file from a place on.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_at(self.file, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
