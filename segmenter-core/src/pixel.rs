//! The number types that intensities come in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number type that a [`Stack`](crate::Stack) can hold. Sealed: exactly the types that
/// [`PixelType`] names.
pub trait Pixel:
    sealed::Sealed + Copy + Default + PartialEq + PartialOrd + fmt::Debug + Send + Sync + 'static
{
    /// This type's name at run time.
    const TYPE: PixelType;

    /// The value as `f32`. Exact for integers of up to 16 bits; rounded to nearest for `u32`.
    fn to_f32(self) -> f32;

    /// The value as `f64`. Always exact.
    fn to_f64(self) -> f64;

    /// Appends the value's little-endian bytes.
    fn extend_le_bytes(self, bytes: &mut Vec<u8>);

    /// The value of these little-endian bytes, or `None` if they are too many or too few.
    fn from_le_slice(bytes: &[u8]) -> Option<Self>;
}

/// The number type of a pixel, known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
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
    /// Floating point, 32 bits.
    F32,
}

impl PixelType {
    /// Size of one pixel in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::F32 => 4,
        }
    }
}

impl fmt::Display for PixelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::F32 => "f32",
        })
    }
}

macro_rules! pixel {
    ($($type:ident $name:ident),*) => {$(
        impl sealed::Sealed for $type {}
        impl Pixel for $type {
            const TYPE: PixelType = PixelType::$name;

            #[allow(
                clippy::cast_precision_loss,
                trivial_numeric_casts,
                reason = "rounding is documented; the macro serves f32 too"
            )]
            fn to_f32(self) -> f32 {
                self as f32
            }

            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn extend_le_bytes(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn from_le_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

pixel!(u8 U8, i8 I8, u16 U16, i16 I16, u32 U32, f32 F32);

mod sealed {
    pub trait Sealed {}
}
