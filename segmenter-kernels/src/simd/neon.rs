//! NEON: four registers are one vector.

use std::arch::aarch64::*;

use super::{Job, Simd};

/// Proof of NEON.
#[derive(Clone, Copy)]
struct Neon(());

#[target_feature(enable = "neon")]
pub(super) fn run<J: Job>(job: J) {
    job.run(Neon(()));
}

impl Simd for Neon {
    type Vector = [float32x4_t; 4];

    // 16 sums, 4 registers of a column and a weight of 32 registers.
    const BLOCK: [usize; 2] = [4, 1];

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        // SAFETY: `self` proves that the processor can.
        unsafe { [vdupq_n_f32(0.0); 4] }
    }

    #[inline(always)]
    unsafe fn splat(self, from: *const f32) -> Self::Vector {
        // SAFETY: `self` proves that the processor can; the caller that one number can be read.
        unsafe { [vdupq_n_f32(from.read_unaligned()); 4] }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: `self` proves that the processor can; the caller that 16 numbers can be read.
        unsafe {
            [
                vld1q_f32(from),
                vld1q_f32(from.add(4)),
                vld1q_f32(from.add(8)),
                vld1q_f32(from.add(12)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: Self::Vector) {
        for (part, register) in vector.into_iter().enumerate() {
            // SAFETY: `self` proves that the processor can; the caller that 16 can be written.
            unsafe { vst1q_f32(to.add(4 * part), register) }
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves that the processor can.
        std::array::from_fn(|part| unsafe { vfmaq_f32(sum[part], a[part], b[part]) })
    }

    #[inline(always)]
    fn upper(self, pairs: Self::Vector) -> Self::Vector {
        pairs.map(|pairs| {
            // SAFETY: `self` proves that the processor can.
            unsafe {
                let mask = vdupq_n_u32(0xffff_0000);
                vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), mask))
            }
        })
    }

    #[inline(always)]
    fn lower(self, pairs: Self::Vector) -> Self::Vector {
        pairs.map(|pairs| {
            // SAFETY: `self` proves that the processor can.
            unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(pairs))) }
        })
    }
}
