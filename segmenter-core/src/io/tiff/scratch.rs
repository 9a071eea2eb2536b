//! Memory for strips and tiles that is used again for the next one.

use std::sync::{Mutex, PoisonError};

use super::codec::Codecs;

/// A buffer of more bytes than this is given back and not kept.
const KEPT: usize = 16 << 20;

/// What unpacking one strip or tile needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Bytes as they are stored.
    pub(super) packed: Vec<u8>,
    /// Little-endian samples, or what is on the way to them.
    pub(super) pixels: Vec<u8>,
    pub(super) codecs: Codecs,
}

/// As many of them as there were threads at once.
#[derive(Debug, Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    /// Lends one out. What is in it is of no meaning.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let mut scratch = self.lock(Vec::pop).unwrap_or_default();
        let result = work(&mut scratch);
        for buffer in [&mut scratch.packed, &mut scratch.pixels] {
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
        self.lock(|free| free.push(scratch));
        result
    }

    fn lock<R>(&self, work: impl FnOnce(&mut Vec<Scratch>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
