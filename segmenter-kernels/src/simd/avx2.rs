//! AVX2 with FMA: two registers are one vector.

use std::arch::x86_64::*;

use super::{Job, Simd};

/// Proof of AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(());

#[target_feature(enable = "avx2,fma")]
pub(super) fn run<J: Job>(job: J) {
    job.run(Avx2(()));
}

impl Simd for Avx2 {
    type Vector = [__m256; 2];

    // 8 sums, 2 registers of a column and a weight of 16 registers.
    const BLOCK: [usize; 2] = [4, 1];

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        // SAFETY: `self` proves that the processor can.
        unsafe { [_mm256_setzero_ps(); 2] }
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const f32) -> Self::Vector {
        // SAFETY: `self` proves that the processor can; the caller that one number can be read.
        unsafe { [_mm256_set1_ps(from.read_unaligned()); 2] }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: `self` proves that the processor can; the caller that 16 numbers can be read.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, [low, high]: Self::Vector) {
        // SAFETY: `self` proves that the processor can; the caller that 16 can be written.
        unsafe {
            _mm256_storeu_ps(to, low);
            _mm256_storeu_ps(to.add(8), high);
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves that the processor can.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
    }

    #[inline(always)]
    fn upper(self, pairs: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves that the processor can.
        unsafe {
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
            [_mm256_and_ps(pairs[0], mask), _mm256_and_ps(pairs[1], mask)]
        }
    }

    #[inline(always)]
    fn lower(self, pairs: Self::Vector) -> Self::Vector {
        pairs.map(|pairs| {
            // SAFETY: `self` proves that the processor can.
            unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs))) }
        })
    }
}
