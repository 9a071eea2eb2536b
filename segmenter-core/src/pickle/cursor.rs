//! The bytes of a pickle, taken from the front.

use super::PickleError;

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], PickleError> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.bytes[self.offset..].get(..length))
            .ok_or_else(|| self.truncated(length))?;
        self.offset += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let array = self.bytes[self.offset..].first_chunk::<N>().copied();
        let array = array.ok_or_else(|| self.truncated(N as u64))?;
        self.offset += N;
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PickleError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, PickleError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PickleError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, PickleError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes up to the next line feed, which is taken too.
    pub(super) fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.offset..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(self.truncated(rest.len() as u64 + 1));
        };
        self.offset += length + 1;
        Ok(&rest[..length])
    }

    fn truncated(&self, needed: u64) -> PickleError {
        PickleError::Truncated { offset: self.offset, needed, left: self.left() }
    }
}
