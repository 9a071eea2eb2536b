//! AVX-512: one register is one vector.

use std::arch::x86_64::*;

use super::{Job, Simd};

/// Proof of AVX-512.
#[derive(Clone, Copy)]
struct Avx512(());

/// Proof of AVX-512 with products of bfloat16.
#[derive(Clone, Copy)]
struct Avx512Bf16(());

#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
pub(super) fn run<J: Job>(job: J) {
    job.run(Avx512(()));
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma")]
pub(super) fn run_pairs<J: Job>(job: J) {
    job.run(Avx512Bf16(()));
}

macro_rules! common {
    () => {
        type Vector = __m512;

        // 24 sums, 3 columns and a weight of 32 registers; 24 chains hide a latency of 4 at two a cycle.
        const BLOCK: [usize; 2] = [8, 3];

        #[inline(always)]
        fn zero(self) -> __m512 {
            // SAFETY: `self` proves that the processor can.
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        unsafe fn splat(self, from: *const f32) -> __m512 {
            // SAFETY: `self` proves that the processor can; the caller that one number can be read.
            unsafe { _mm512_set1_ps(from.read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn load(self, from: *const f32) -> __m512 {
            // SAFETY: `self` proves that the processor can; the caller that 16 numbers can be read.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32, vector: __m512) {
            // SAFETY: `self` proves that the processor can; the caller that 16 can be written.
            unsafe { _mm512_storeu_ps(to, vector) }
        }

        #[inline(always)]
        fn upper(self, pairs: __m512) -> __m512 {
            // SAFETY: `self` proves that the processor can.
            unsafe {
                let mask = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
                _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), mask))
            }
        }

        #[inline(always)]
        fn lower(self, pairs: __m512) -> __m512 {
            // SAFETY: `self` proves that the processor can.
            unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs))) }
        }
    };
}

impl Simd for Avx512 {
    common!();

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: `self` proves that the processor can.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }
}

impl Simd for Avx512Bf16 {
    common!();

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: `self` proves that the processor can; both types are 512 bits of anything.
        unsafe {
            let [a, b] = [a, b].map(|pairs| std::mem::transmute::<__m512, __m512bh>(pairs));
            _mm512_dpbf16_ps(sum, a, b)
        }
    }
}
