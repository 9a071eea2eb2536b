//! Products of pairs of bfloat16, made of products of `f32`.

use super::Simd;

/// Each lane is two numbers of bfloat16, and a product is the sum of their two products: what
/// `VDPBF16PS` computes, to the bit as long as nothing is subnormal. A product of two bfloat16 is exact
/// in `f32`, so two roundings are all there are; the upper numbers come first.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<S>(pub(crate) S);

impl<S: Simd> Simd for Pairs<S> {
    type Vector = S::Vector;

    const BLOCK: [usize; 2] = S::BLOCK;

    #[inline(always)]
    fn zero(self) -> S::Vector {
        self.0.zero()
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const f32) -> S::Vector {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.splat(from) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> S::Vector {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.load(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: S::Vector) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.store(to, vector) }
    }

    #[inline(always)]
    fn multiply_add(self, a: S::Vector, b: S::Vector, sum: S::Vector) -> S::Vector {
        let simd = self.0;
        let sum = simd.multiply_add(simd.upper(a), simd.upper(b), sum);
        simd.multiply_add(simd.lower(a), simd.lower(b), sum)
    }

    #[inline(always)]
    fn upper(self, pairs: S::Vector) -> S::Vector {
        self.0.upper(pairs)
    }

    #[inline(always)]
    fn lower(self, pairs: S::Vector) -> S::Vector {
        self.0.lower(pairs)
    }
}
