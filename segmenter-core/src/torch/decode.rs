//! The numbers in a storage.

use crate::pickle::Global;

/// A type of number, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

/// The type of the numbers in one of PyTorch's storages.
pub(super) fn number(storage: &Global) -> Option<Number> {
    let name = storage.name.strip_suffix("Storage").filter(|_| *storage.module == *"torch")?;
    Some(match name {
        "Bool" => Number::Bool,
        "Byte" => Number::U8,
        "Char" => Number::I8,
        "Short" => Number::I16,
        "Int" => Number::I32,
        "Long" => Number::I64,
        "Half" => Number::F16,
        "BFloat16" => Number::Bf16,
        "Float" => Number::F32,
        "Double" => Number::F64,
        _ => return None,
    })
}

impl Number {
    /// The size of one in bytes.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// The number at a place, counted in numbers, rounded to nearest.
    ///
    /// # Panics
    /// If the storage ends before it.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "rounding is documented"
    )]
    pub(super) fn read(self, storage: &[u8], place: usize) -> f32 {
        match self {
            Self::Bool => f32::from(u8::from(storage[place] != 0)),
            Self::U8 => storage[place].into(),
            Self::I8 => i8::from_le_bytes(chunk(storage, place)).into(),
            Self::I16 => i16::from_le_bytes(chunk(storage, place)).into(),
            Self::I32 => i32::from_le_bytes(chunk(storage, place)) as f32,
            Self::I64 => i64::from_le_bytes(chunk(storage, place)) as f32,
            Self::F16 => half(u16::from_le_bytes(chunk(storage, place))),
            Self::Bf16 => {
                f32::from_bits(u32::from(u16::from_le_bytes(chunk(storage, place))) << 16)
            }
            Self::F32 => f32::from_le_bytes(chunk(storage, place)),
            Self::F64 => f64::from_le_bytes(chunk(storage, place)) as f32,
        }
    }
}

fn chunk<const N: usize>(storage: &[u8], place: usize) -> [u8; N] {
    storage.as_chunks().0[place]
}

/// A number in the binary16 format of IEEE 754: a sign, 5 bits of exponent, 10 of fraction. All of
/// them are numbers of `f32`, too.
fn half(bits: u16) -> f32 {
    const SMALLEST: f32 = 1.0 / (1 << 24) as f32;
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = bits & 0x3ff;
    match (exponent, fraction) {
        (0, _) => sign * f32::from(fraction) * SMALLEST,
        (0x1f, 0) => sign * f32::INFINITY,
        (0x1f, _) => f32::NAN,
        _ => sign * f32::from_bits((exponent + 127 - 15) << 23 | u32::from(fraction) << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_precision_is_read_as_ieee_754_defines_it() {
        // numpy.frombuffer(…, "<f2").
        for (bits, value) in [
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c01, 1.000_976_6),
            (0x7bff, 65504.0),
            (0xc000, -2.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
