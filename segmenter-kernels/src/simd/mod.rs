//! The vectors that a processor has, behind one trait, and the choice among them at run time.
//!
//! A vector always has [`LANES`] lanes, whatever the registers of the processor hold: two or four of
//! them make one vector on AVX2 or NEON. So every sum is taken in the same order everywhere, and
//! processors that multiply and add in one rounding compute the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairs;
mod portable;

pub(crate) use pairs::Pairs;
use portable::Portable;

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

/// What a processor can do with vectors. A value of such a type proves that the processor can.
pub(crate) trait Simd: Copy {
    /// A vector of [`LANES`] numbers.
    type Vector: Copy;

    /// Output channels × vectors that a convolution holds in registers, with one more vector for
    /// each column and one for a weight.
    const BLOCK: [usize; 2];

    /// All lanes zero.
    fn zero(self) -> Self::Vector;

    /// All lanes the number that is read.
    ///
    /// # Safety
    /// One number can be read there.
    unsafe fn splat(self, from: *const f32) -> Self::Vector;

    /// # Safety
    /// [`LANES`] numbers can be read there. They need not be aligned.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// # Safety
    /// [`LANES`] numbers can be written there. They need not be aligned.
    unsafe fn store(self, to: *mut f32, vector: Self::Vector);

    /// `a * b + sum`, in one rounding where the processor can.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;

    /// The upper halves of the lanes' bits as numbers of bfloat16, widened.
    fn upper(self, pairs: Self::Vector) -> Self::Vector;

    /// The lower halves of the lanes' bits as numbers of bfloat16, widened.
    fn lower(self, pairs: Self::Vector) -> Self::Vector;
}

/// Work that is compiled once for each kind of processor.
pub(crate) trait Job {
    /// Does the work. Everything down to the vectors has to be `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S);
}

/// A kind of processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processor {
    /// x86-64 with AVX-512 and its instruction for products of bfloat16.
    Avx512Bf16,
    /// x86-64 with AVX-512.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// `AArch64`.
    Neon,
    /// Anything else. It rounds after each multiplication, so its bits differ from the others'.
    Portable,
}

impl Processor {
    /// The best kind that this processor is of.
    ///
    /// `SEGMENTER_PROCESSOR` in the environment chooses a lesser one, for measuring and for comparing:
    /// `avx512bf16`, `avx512`, `avx2`, `neon` or `portable`. One that this processor is not of is passed
    /// over.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: std::sync::OnceLock<Processor> = std::sync::OnceLock::new();
        *DETECTED.get_or_init(|| {
            let wanted = std::env::var("SEGMENTER_PROCESSOR").unwrap_or_default();
            let available = Self::available();
            let chosen = available.iter().find(|processor| processor.name() == wanted);
            *chosen.unwrap_or(&available[0])
        })
    }

    /// All kinds that this processor is of, the best first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
        all.into_iter().filter(|processor| processor.is_available()).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Avx512Bf16 => "avx512bf16",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("fma");
        match self {
            Self::Avx512Bf16 => avx512 && is_x86_feature_detected!("avx512bf16"),
            Self::Avx512 => avx512,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        match self {
            Self::Neon => cfg!(target_arch = "aarch64"),
            other => other == Self::Portable,
        }
    }

    /// Output channels that a kernel holds in registers: the first number of its [`Simd::BLOCK`].
    pub(crate) fn largest_group(self) -> usize {
        match self {
            Self::Avx512Bf16 | Self::Avx512 => 8,
            _ => 4,
        }
    }

    /// Does a job with numbers of `f32`.
    pub(crate) fn run<J: Job>(self, job: J) {
        assert!(self.is_available(), "this processor is not of the kind {self:?}");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind of processor is only ever chosen where it is available.
            Self::Avx512Bf16 | Self::Avx512 => unsafe { avx512::run(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::run(job) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Self::Neon => unsafe { neon::run(job) },
            _ => job.run(Portable),
        }
    }

    /// Does a job with lanes that are pairs of bfloat16, and sums of `f32`.
    pub(crate) fn run_pairs<J: Job>(self, job: J) {
        assert!(self.is_available(), "this processor is not of the kind {self:?}");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind of processor is only ever chosen where it is available.
            Self::Avx512Bf16 => unsafe { avx512::run_pairs(job) },
            _ => self.run(InPairs(job)),
        }
    }
}

/// A job on pairs, on a processor that multiplies only single numbers.
struct InPairs<J>(J);

impl<J: Job> Job for InPairs<J> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run(Pairs(simd));
    }
}
