//! Memory that is used again.
//!
//! A fresh allocation of some megabytes costs as much as writing to it, because the operating system
//! clears its pages. Each thread keeps what its last operations needed.

use std::cell::RefCell;

/// Buffers that a thread keeps.
const KEPT: usize = 6;

/// A line of the cache. What starts with one is not read across two where it needn't be.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is only ever seen as numbers")] [u8; 64]);

thread_local! {
    static POOL: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// A number that may have any bits: `f32`, `u32` or `u16`.
///
/// # Safety
/// All bits are a value, and the alignment is that of a line of the cache or less.
pub unsafe trait Plain: Copy + Send + Sync {}

// SAFETY: any bits are a number.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}

/// Memory for numbers of unknown value, until they are written. It is kept for the next one of the
/// thread when it is dropped.
#[derive(Debug)]
pub struct Scratch<E> {
    lines: Vec<Line>,
    len: usize,
    kind: std::marker::PhantomData<E>,
}

impl<E: Plain> Scratch<E> {
    /// Room for so many numbers.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let needed = (len * size_of::<E>()).div_ceil(size_of::<Line>());
        let kept = POOL.with_borrow_mut(|pool| {
            let fit = pool.iter().enumerate().filter(|(_, lines)| lines.len() >= needed);
            fit.min_by_key(|(_, lines)| lines.len()).map(|(at, _)| at).map(|at| pool.remove(at))
        });
        let lines = kept.unwrap_or_else(|| vec![Line([0; 64]); needed]);
        Self { lines, len, kind: std::marker::PhantomData }
    }

    /// The numbers.
    #[must_use]
    pub fn slice(&self) -> &[E] {
        // SAFETY: the lines are as many bytes at least, initialised, and any bits are a value.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The numbers, to be written.
    pub fn slice_mut(&mut self) -> &mut [E] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Scratch<u32> {
    /// The same bits, as what vectors are made of.
    pub(crate) fn as_f32(&self) -> &[f32] {
        // SAFETY: size and alignment are the same, and any bits are a number.
        unsafe { std::slice::from_raw_parts(self.slice().as_ptr().cast(), self.len) }
    }
}

impl<E> Drop for Scratch<E> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // A thread that ends has no pool any more.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            pool.push(lines);
            if pool.len() > KEPT {
                let smallest = pool.iter().enumerate().min_by_key(|(_, lines)| lines.len());
                if let Some(at) = smallest.map(|(at, _)| at) {
                    pool.swap_remove(at);
                }
            }
        });
    }
}
