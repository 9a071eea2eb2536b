//! The number types that intensities come in.

use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

/// A number type that a [`Stack`](crate::Stack) can hold. Sealed: exactly the types that
/// [`PixelType`] names.
pub trait Pixel:
    sealed::Sealed + Copy + Default + PartialEq + PartialOrd + fmt::Debug + Send + Sync + 'static
{
    /// This type's name at run time.
    const TYPE: PixelType;

    /// The value as `f32`. Exact for integers of up to 16 bits and for `f16`; others are rounded to
    /// nearest, and an `f64` beyond the range of `f32` becomes infinite. `false` and `true` are 0 and 1.
    fn to_f32(self) -> f32;

    /// The value as `f64`. Exact but for integers of 64 bits beyond ±2⁵³, which are rounded to nearest.
    fn to_f64(self) -> f64;

    /// Appends the value's little-endian bytes.
    fn extend_le_bytes(self, bytes: &mut Vec<u8>);

    /// Appends the little-endian bytes of many values.
    fn extend_all_le_bytes(values: impl ExactSizeIterator<Item = Self>, bytes: &mut Vec<u8>);

    /// The value of these little-endian bytes, or `None` if they are too many or too few.
    fn from_le_slice(bytes: &[u8]) -> Option<Self>;

    /// Hands over each value of little-endian bytes with its place, until one or the other ends.
    fn zip_le_bytes<T>(bytes: &[u8], places: &mut [T], take: impl Fn(Self, &mut T));
}

/// The number type of a pixel, known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
    /// Yes or no, in a byte of 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// Floating point, 16 bits.
    F16,
    /// Floating point, 32 bits.
    F32,
    /// Floating point, 64 bits.
    F64,
}

impl PixelType {
    /// Size of one pixel in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether values have a fraction.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }
}

impl fmt::Display for PixelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Does the same for the type that is known at run time: `with_pixel!(pixel, P => f::<P>())`.
macro_rules! with_pixel {
    ($pixel:expr, $type:ident => $what:expr) => {
        match $pixel {
            $crate::PixelType::Bool => {
                type $type = bool;
                $what
            }
            $crate::PixelType::U8 => {
                type $type = u8;
                $what
            }
            $crate::PixelType::I8 => {
                type $type = i8;
                $what
            }
            $crate::PixelType::U16 => {
                type $type = u16;
                $what
            }
            $crate::PixelType::I16 => {
                type $type = i16;
                $what
            }
            $crate::PixelType::U32 => {
                type $type = u32;
                $what
            }
            $crate::PixelType::I32 => {
                type $type = i32;
                $what
            }
            $crate::PixelType::U64 => {
                type $type = u64;
                $what
            }
            $crate::PixelType::I64 => {
                type $type = i64;
                $what
            }
            $crate::PixelType::F16 => {
                type $type = ::half::f16;
                $what
            }
            $crate::PixelType::F32 => {
                type $type = f32;
                $what
            }
            $crate::PixelType::F64 => {
                type $type = f64;
                $what
            }
        }
    };
}
pub(crate) use with_pixel;

macro_rules! pixel {
    ($($type:ident $name:ident, $to_f32:expr, $to_f64:expr, $from_mean:expr;)*) => {$(
        impl sealed::Sealed for $type {
            fn from_mean(mean: f64) -> Self {
                let round: fn(f64) -> Self = $from_mean;
                round(mean)
            }

            const LE_BYTES: Option<sealed::AsBytes<Self>> =
                if cfg!(target_endian = "little") { Some(bytemuck::cast_slice_mut) } else { None };
        }

        impl Pixel for $type {
            const TYPE: PixelType = PixelType::$name;

            fn to_f32(self) -> f32 {
                let convert: fn($type) -> f32 = $to_f32;
                convert(self)
            }

            fn to_f64(self) -> f64 {
                let convert: fn($type) -> f64 = $to_f64;
                convert(self)
            }

            fn extend_le_bytes(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn extend_all_le_bytes(
                values: impl ExactSizeIterator<Item = Self>,
                bytes: &mut Vec<u8>,
            ) {
                let start = bytes.len();
                bytes.resize(start + values.len() * size_of::<Self>(), 0);
                let (places, _) = bytes[start..].as_chunks_mut();
                places.iter_mut().zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
            }

            fn from_le_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }

            fn zip_le_bytes<T>(bytes: &[u8], places: &mut [T], take: impl Fn(Self, &mut T)) {
                let (values, _) = bytes.as_chunks();
                let pairs = values.iter().zip(places);
                pairs.for_each(|(&value, place)| take(Self::from_le_bytes(value), place));
            }
        }
    )*};
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounding is documented, and a mean of numbers of a type is within its range"
)]
mod numbers {
    use super::*;

    pixel! {
        u8 U8, f32::from, f64::from, |mean| nearest(mean) as u8;
        i8 I8, f32::from, f64::from, |mean| nearest(mean) as i8;
        u16 U16, f32::from, f64::from, |mean| nearest(mean) as u16;
        i16 I16, f32::from, f64::from, |mean| nearest(mean) as i16;
        u32 U32, |value| value as f32, f64::from, |mean| nearest(mean) as u32;
        i32 I32, |value| value as f32, f64::from, |mean| nearest(mean) as i32;
        u64 U64, |value| value as f32, |value| value as f64, |mean| nearest(mean) as u64;
        i64 I64, |value| value as f32, |value| value as f64, |mean| nearest(mean) as i64;
        f16 F16, f32::from, f64::from, f16::from_f64;
        f32 F32, |value| value, f64::from, |mean| mean as f32;
        f64 F64, |value| value as f32, |value| value, |mean| mean;
    }

    /// The nearest whole number, and the larger of two that are as near.
    fn nearest(mean: f64) -> f64 {
        (mean + 0.5).floor()
    }
}

impl sealed::Sealed for bool {
    // Not every byte is a `bool`.
    const LE_BYTES: Option<sealed::AsBytes<Self>> = None;

    fn from_mean(mean: f64) -> Self {
        mean >= 0.5
    }
}

impl Pixel for bool {
    const TYPE: PixelType = PixelType::Bool;

    fn to_f32(self) -> f32 {
        f32::from(u8::from(self))
    }

    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }

    fn extend_le_bytes(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }

    fn extend_all_le_bytes(values: impl ExactSizeIterator<Item = Self>, bytes: &mut Vec<u8>) {
        bytes.extend(values.map(u8::from));
    }

    fn from_le_slice(bytes: &[u8]) -> Option<Self> {
        let [byte] = bytes else { return None };
        Some(*byte != 0)
    }

    fn zip_le_bytes<T>(bytes: &[u8], places: &mut [T], take: impl Fn(Self, &mut T)) {
        bytes.iter().zip(places).for_each(|(&byte, place)| take(byte != 0, place));
    }
}

pub(crate) mod sealed {
    /// Values as the bytes that they are.
    pub(crate) type AsBytes<T> = fn(&mut [T]) -> &mut [u8];

    /// What only this crate asks of a number type.
    pub trait Sealed: bytemuck::Zeroable {
        /// The bytes that values are in memory, if any bytes are values and they are little-endian.
        const LE_BYTES: Option<AsBytes<Self>>;

        /// The number in which a mean of numbers of the type is stored. Whole numbers: the nearest, and
        /// the larger of two that are as near. Floating point: rounded to nearest. `bool`: whether half
        /// or more are `true`.
        ///
        /// Four numbers of up to 32 bits have an exact sum in `f64`, so their mean is rounded once; those
        /// of 64 bits are rounded to `f64` before.
        fn from_mean(mean: f64) -> Self;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Pixel>(value: T, bytes: &[u8], as_f64: f64) {
        let mut written = Vec::new();
        value.extend_le_bytes(&mut written);
        assert_eq!(written, bytes, "{}", T::TYPE);
        assert_eq!(T::TYPE.bytes(), bytes.len());
        assert_eq!(T::from_le_slice(bytes), Some(value));
        assert_eq!(T::from_le_slice(&bytes[1..]), None);
        let mut read = [T::default(); 3];
        T::zip_le_bytes(&bytes.repeat(3), &mut read, |value, place| *place = value);
        assert_eq!(read, [value; 3]);
        assert_eq!(value.to_f64(), as_f64);
        assert!((f64::from(value.to_f32()) - as_f64).abs() <= as_f64.abs() * 1e-7);
    }

    #[test]
    fn every_type_has_the_bytes_of_numpy() {
        // numpy.array(value, dtype).tobytes()
        check(true, b"\x01", 1.0);
        check(200_u8, b"\xc8", 200.0);
        check(-3_i8, b"\xfd", -3.0);
        check(513_u16, b"\x01\x02", 513.0);
        check(-2_i16, b"\xfe\xff", -2.0);
        check(70_000_u32, b"\x70\x11\x01\x00", 70_000.0);
        check(-70_000_i32, b"\x90\xee\xfe\xff", -70_000.0);
        check(1_u64 << 40, b"\x00\x00\x00\x00\x00\x01\x00\x00", 1_099_511_627_776.0);
        check(-1_i64, b"\xff\xff\xff\xff\xff\xff\xff\xff", -1.0);
        check(f16::from_f32(1.5), b"\x00\x3e", 1.5);
        check(-0.25_f32, b"\x00\x00\x80\xbe", -0.25);
        check(3.0_f64, b"\x00\x00\x00\x00\x00\x00\x08\x40", 3.0);
    }
}
