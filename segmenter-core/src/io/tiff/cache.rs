//! Strips and tiles that were decoded and of which more may be wanted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::super::fault::Fault;

/// Bytes that are kept: some strips of the largest that are common, so that a file of one strip a
/// plane is not decoded again for each row.
const KEPT: usize = 64 << 20;

/// The strips and tiles used last, by where they are in the file.
#[derive(Debug, Default)]
pub(super) struct Cache {
    chunks: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl Cache {
    /// A strip or tile, which is decoded if it is not kept. Threads that want the same one at the same
    /// time may each decode it.
    pub(super) fn get(
        &self,
        offset: u64,
        decode: impl FnOnce() -> Result<Arc<Vec<u8>>, Fault>,
    ) -> Result<Arc<Vec<u8>>, Fault> {
        if let Some(chunk) = self.find(offset) {
            return Ok(chunk);
        }
        let chunk = decode()?;
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.push_back((offset, Arc::clone(&chunk)));
        let mut bytes: usize = chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        while bytes > KEPT
            && let Some((_, oldest)) = chunks.pop_front()
        {
            bytes -= oldest.len();
        }
        Ok(chunk)
    }

    fn find(&self, offset: u64) -> Option<Arc<Vec<u8>>> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = chunks.iter().position(|&(kept, _)| kept == offset)?;
        let found = chunks.remove(at)?;
        let chunk = Arc::clone(&found.1);
        chunks.push_back(found);
        Some(chunk)
    }
}
