//! In which numbers a network multiplies.

use serde::{Deserialize, Serialize};

/// In which numbers a network multiplies on a CPU. Features, sums, gradients and weights are `f32`
/// either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// 24 bits of fraction.
    #[default]
    F32,
    /// 8 bits of fraction: what a convolution multiplies is rounded to bfloat16 first. Faster on
    /// processors whose AVX-512 BF16 is, such as AMD's since Zen 4; slower anywhere else. Other
    /// devices than the CPU compute as with [`F32`](Self::F32).
    Bf16,
}

#[cfg(feature = "flex")]
impl From<Precision> for segmenter_kernels::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}
