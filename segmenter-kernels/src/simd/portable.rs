//! Vectors in plain Rust.

use std::array;

use super::{LANES, Simd};

/// A processor of which nothing is known.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type Vector = [f32; LANES];

    const BLOCK: [usize; 2] = [4, 1];

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller says that one number can be read.
        [unsafe { from.read_unaligned() }; LANES]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller says that as many numbers can be read.
        unsafe { from.cast::<Self::Vector>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: Self::Vector) {
        // SAFETY: the caller says that as many numbers can be written.
        unsafe { to.cast::<Self::Vector>().write_unaligned(vector) }
    }

    /// With two roundings: one would be a call into the C library for each lane.
    #[inline(always)]
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector {
        array::from_fn(|lane| a[lane] * b[lane] + sum[lane])
    }

    #[inline(always)]
    fn upper(self, pairs: Self::Vector) -> Self::Vector {
        pairs.map(|pair| f32::from_bits(pair.to_bits() & 0xffff_0000))
    }

    #[inline(always)]
    fn lower(self, pairs: Self::Vector) -> Self::Vector {
        pairs.map(|pair| f32::from_bits(pair.to_bits() << 16))
    }
}
