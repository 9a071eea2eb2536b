//! Arithmetic in the precision that NumPy would calculate in.

use crate::PixelType;

/// The floating-point type of intermediate results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Half,
    Single,
    Double,
}

impl Rounding {
    /// The type in which the edges and centres of bins are stored.
    pub(super) fn of_bins(pixel: PixelType) -> Self {
        match pixel {
            PixelType::F16 => Self::Half,
            PixelType::F32 => Self::Single,
            _ => Self::Double,
        }
    }

    /// The type of a product of a bin's centre and its count, which is of single precision.
    pub(super) fn of_sums(pixel: PixelType) -> Self {
        match pixel {
            PixelType::F16 | PixelType::F32 => Self::Single,
            _ => Self::Double,
        }
    }

    /// The nearest number of the type. An operation on two of them in double precision, then rounded,
    /// is the operation in the type: double has more than twice its digits.
    pub(super) fn round(self, number: f64) -> f64 {
        match self {
            Self::Half => half::f16::from_f64(number).to_f64(),
            Self::Single => single(number),
            Self::Double => number,
        }
    }
}

/// The nearest number of single precision.
#[allow(clippy::cast_possible_truncation, reason = "rounding is what this is for")]
pub(super) fn single(number: f64) -> f64 {
    f64::from(number as f32)
}

/// The natural logarithm in single precision as NumPy computes it on processors with fused
/// multiplication: a rational approximation between √½ and √2, up to three units in the last place from
/// the nearest number, which decides between bins whose criterion is all but equal.
#[allow(clippy::cast_possible_truncation, reason = "rounding is what this is for")]
pub(super) fn single_log(number: f64) -> f32 {
    const NUMERATOR: [f32; 6] = [2.589_979e-2, 3.808_837_7e-1, 1.480_000_6, 2.112_677_5, 1.0, 0.0];
    const DENOMINATOR: [f32; 6] =
        [5.875_095_4e-3, 1.546_476_4e-1, 9.864_943e-1, 2.453_006, 2.612_677_5, 1.0];
    let number = number as f32;
    if !(number.is_finite() && number >= f32::MIN_POSITIVE) {
        return number.ln();
    }
    let exponent = (number.to_bits() >> 23) as i16 - 127;
    let mantissa = f32::from_bits(number.to_bits() & 0x7f_ffff | 0x3f80_0000);
    let above = mantissa > std::f32::consts::SQRT_2;
    let past = if above { mantissa / 2.0 } else { mantissa } - 1.0;
    let polynomial =
        |terms: [f32; 6]| terms.into_iter().reduce(|sum, term| sum.mul_add(past, term));
    let ratio = polynomial(NUMERATOR).unwrap_or_default() / polynomial(DENOMINATOR).unwrap_or(1.0);
    f32::from(exponent + i16::from(above)).mul_add(std::f32::consts::LN_2, ratio)
}
