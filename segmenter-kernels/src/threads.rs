//! Work on one thread or on all.

use rayon::prelude::*;

/// On how many threads a kernel computes. The bits of its result don't depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// On those of the current rayon pool.
    #[default]
    All,
    /// On the calling thread.
    One,
}

impl Threads {
    /// Does tasks that don't depend on each other.
    pub(crate) fn each(self, tasks: usize, task: impl Fn(usize) + Send + Sync) {
        match self {
            Self::All if tasks > 1 => (0..tasks).into_par_iter().for_each(task),
            _ => (0..tasks).for_each(task),
        }
    }

    /// What each task gives, in order.
    pub(crate) fn map<T: Send>(
        self,
        tasks: usize,
        task: impl Fn(usize) -> T + Send + Sync,
    ) -> Vec<T> {
        match self {
            Self::All if tasks > 1 => (0..tasks).into_par_iter().map(task).collect(),
            _ => (0..tasks).map(task).collect(),
        }
    }

    /// What a task for each chunk of this many elements gives, in order.
    pub(crate) fn map_chunks<E: Send, T: Send>(
        self,
        values: &mut [E],
        size: usize,
        task: impl Fn(usize, &mut [E]) -> T + Send + Sync,
    ) -> Vec<T> {
        let with = |(at, chunk): (usize, &mut [E])| task(at, chunk);
        match self {
            Self::All => values.par_chunks_mut(size).enumerate().map(with).collect(),
            Self::One => values.chunks_mut(size).enumerate().map(with).collect(),
        }
    }

    /// Does a task for each chunk of this many elements.
    pub(crate) fn each_chunk<E: Send>(
        self,
        values: &mut [E],
        size: usize,
        task: impl Fn(usize, &mut [E]) + Send + Sync,
    ) {
        match self {
            Self::All => {
                values.par_chunks_mut(size).enumerate().for_each(|(at, chunk)| task(at, chunk));
            }
            Self::One => {
                values.chunks_mut(size).enumerate().for_each(|(at, chunk)| task(at, chunk));
            }
        }
    }
}

/// Threads of the current rayon pool.
#[must_use]
pub fn available_threads() -> usize {
    rayon::current_num_threads()
}

/// Does something for each item: a single one on all threads, several on a thread each.
pub fn each_on_one_thread<I: Sync, T: Send>(
    items: &[I],
    with: impl Fn(&I, Threads) -> T + Sync + Send,
) -> Vec<T> {
    match items {
        [item] => vec![with(item, Threads::All)],
        _ => items.par_iter().map(|item| with(item, Threads::One)).collect(),
    }
}

/// A slice that several tasks write to, each to places of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    start: *mut f32,
    len: usize,
}

// SAFETY: who writes through it promises that nobody else writes or reads the same places.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(values: &mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len() }
    }

    /// Where `len` numbers from `at` on lie.
    #[inline(always)]
    pub(crate) fn at(self, at: usize, len: usize) -> *mut f32 {
        debug_assert!(at + len <= self.len, "{at} + {len} of {}", self.len);
        // Not `add`, so that nothing is to prove here: who writes has to stay inside.
        self.start.wrapping_add(at)
    }
}

/// Numbers that are about to be written, each of them.
///
/// # Safety
/// The caller writes all of them before it reads any.
pub(crate) unsafe fn unwritten(len: usize) -> Vec<f32> {
    let mut values = segmenter_memory::with_capacity(len);
    // SAFETY: the capacity is there, and the caller promises to write before it reads.
    #[allow(clippy::uninit_vec, reason = "clearing the memory would cost a pass over it")]
    unsafe {
        values.set_len(len);
    }
    values
}
