//! The next smaller level of a pyramid.

use half::f16;

use crate::{ImageKind, Pixel, PixelType};

/// A plane of little-endian pixels with half the rows and columns, rounded up.
///
/// Intensities become the mean of each 2 x 2 pixels, or of those that there are at the far edges: the
/// nearest whole number, and the larger of two that are as near; for floating point the mean as computed in `f64`,
/// which is not a number where a pixel is not. Labels and masks become the first pixel of the four.
pub(super) fn halve(pixels: &[u8], columns: usize, pixel: PixelType, kind: ImageKind) -> Vec<u8> {
    let rows: Vec<&[u8]> = pixels.chunks_exact(columns * pixel.bytes()).collect();
    if kind != ImageKind::Intensities {
        let firsts = rows
            .iter()
            .step_by(2)
            .flat_map(|row| row.chunks_exact(pixel.bytes()).step_by(2).flatten().copied());
        return firsts.collect();
    }
    match pixel {
        // Half of four or more is inside.
        PixelType::Bool => means(&rows, |[byte]| byte.into(), |mean| [whole::<u8>(mean)]),
        PixelType::U8 => means(
            &rows,
            |bytes| u8::from_le_bytes(bytes).into(),
            |mean| whole::<u8>(mean).to_le_bytes(),
        ),
        PixelType::I8 => means(
            &rows,
            |bytes| i8::from_le_bytes(bytes).into(),
            |mean| whole::<i8>(mean).to_le_bytes(),
        ),
        PixelType::U16 => means(
            &rows,
            |bytes| u16::from_le_bytes(bytes).into(),
            |mean| whole::<u16>(mean).to_le_bytes(),
        ),
        PixelType::I16 => means(
            &rows,
            |bytes| i16::from_le_bytes(bytes).into(),
            |mean| whole::<i16>(mean).to_le_bytes(),
        ),
        PixelType::U32 => means(
            &rows,
            |bytes| u32::from_le_bytes(bytes).into(),
            |mean| whole::<u32>(mean).to_le_bytes(),
        ),
        PixelType::I32 => means(
            &rows,
            |bytes| i32::from_le_bytes(bytes).into(),
            |mean| whole::<i32>(mean).to_le_bytes(),
        ),
        PixelType::U64 => means(
            &rows,
            |bytes| u64::from_le_bytes(bytes).to_f64(),
            |mean| whole::<u64>(mean).to_le_bytes(),
        ),
        PixelType::I64 => means(
            &rows,
            |bytes| i64::from_le_bytes(bytes).to_f64(),
            |mean| whole::<i64>(mean).to_le_bytes(),
        ),
        PixelType::F16 => means(
            &rows,
            |bytes| f64::from(f16::from_le_bytes(bytes)),
            |mean| f16::from_f64(mean).to_le_bytes(),
        ),
        PixelType::F32 => means(
            &rows,
            |bytes| f32::from_le_bytes(bytes).into(),
            |mean| single(mean).to_le_bytes(),
        ),
        PixelType::F64 => means(&rows, f64::from_le_bytes, f64::to_le_bytes),
    }
}

fn means<const N: usize>(
    rows: &[&[u8]],
    value: impl Fn([u8; N]) -> f64,
    bytes: impl Fn(f64) -> [u8; N],
) -> Vec<u8> {
    let mut halved = Vec::with_capacity(rows.iter().map(|row| row.len()).sum::<usize>() / 4);
    for pair in rows.chunks(2) {
        let (upper, _) = pair[0].as_chunks::<N>();
        let (lower, _) = pair[pair.len() - 1].as_chunks::<N>();
        for (upper, lower) in upper.chunks(2).zip(lower.chunks(2)) {
            let sum = |pixels: &[[u8; N]]| value(pixels[0]) + value(pixels[pixels.len() - 1]);
            // A pixel at the edge counts twice, or four times in the corner, which leaves its mean as it is.
            halved.extend_from_slice(&bytes((sum(upper) + sum(lower)) / 4.0));
        }
    }
    halved
}

/// The sum of four numbers of up to 32 bits and its quarter are exact in `f64`, so this rounds once;
/// numbers of 64 bits are rounded to `f64` before. The result lies between numbers of the type.
trait Whole {
    fn from_f64(value: f64) -> Self;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Whole for $type {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of such numbers is within their range"
            )]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
        }
    )*};
}

whole!(u8, i8, u16, i16, u32, i32, u64, i64);

fn whole<T: Whole>(mean: f64) -> T {
    T::from_f64((mean + 0.5).floor())
}

#[allow(clippy::cast_possible_truncation, reason = "rounding is documented")]
fn single(mean: f64) -> f32 {
    mean as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_rounded_to_the_nearest_and_a_half_upwards() {
        let halved = |pixels: &[u8]| halve(pixels, 3, PixelType::U8, ImageKind::Intensities);
        // 10/4 = 2.5; (5 + 6)/2 = 5.5; the last row alone: (7 + 8)/2 = 7.5; and 9.
        assert_eq!(halved(&[1, 2, 5, 3, 4, 6, 7, 8, 9]), [3, 6, 8, 9]);
        assert_eq!(halved(&[255; 9]), [255; 4]);
        let negative = [-1_i8, -2, -3, -4].map(i8::cast_unsigned);
        let mean = halve(&negative, 2, PixelType::I8, ImageKind::Intensities);
        assert_eq!(mean, [(-2_i8).cast_unsigned()], "-2.5");
    }

    #[test]
    fn the_mean_of_the_largest_numbers_does_not_overflow() {
        for pixel in [PixelType::U16, PixelType::U32] {
            let largest = vec![255; 4 * pixel.bytes()];
            assert_eq!(halve(&largest, 2, pixel, ImageKind::Intensities), vec![255; pixel.bytes()]);
        }
    }

    #[test]
    fn labels_keep_the_first_of_four() {
        let labels = [1_u16, 2, 3, 4, 5, 6, 7, 8, 9].map(u16::to_le_bytes);
        let halved = halve(labels.as_flattened(), 3, PixelType::U16, ImageKind::Labels);
        assert_eq!(halved, [1_u16, 3, 7, 9].map(u16::to_le_bytes).as_flattened());
    }
}
