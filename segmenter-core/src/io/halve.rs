//! The next smaller level of a pyramid.

use half::f16;

use crate::{ImageKind, Pixel, PixelType, pixel::sealed::Sealed};

/// A plane of little-endian pixels with half the rows and columns, rounded up.
///
/// Intensities become the mean of each 2 x 2 pixels, or of those that there are at the far edges:
/// the nearest whole number, and the larger of two that are as near; for floating point the mean as
/// computed in `f64`, which is not a number where a pixel is not. Labels and masks become the first
/// pixel of the four.
pub(super) fn halve(pixels: &[u8], columns: usize, pixel: PixelType, kind: ImageKind) -> Vec<u8> {
    let rows: Vec<&[u8]> = pixels.chunks_exact(columns * pixel.bytes()).collect();
    if kind != ImageKind::Intensities {
        let firsts = rows
            .iter()
            .step_by(2)
            .flat_map(|row| row.chunks_exact(pixel.bytes()).step_by(2).flatten().copied());
        return firsts.collect();
    }
    macro_rules! means_of {
        ($type:ty) => {
            means(
                &rows,
                |bytes| <$type>::from_le_bytes(bytes).to_f64(),
                |mean| <$type>::from_mean(mean).to_le_bytes(),
            )
        };
    }
    match pixel {
        // Half of four or more is inside.
        PixelType::Bool | PixelType::U8 => means_of!(u8),
        PixelType::I8 => means_of!(i8),
        PixelType::U16 => means_of!(u16),
        PixelType::I16 => means_of!(i16),
        PixelType::U32 => means_of!(u32),
        PixelType::I32 => means_of!(i32),
        PixelType::U64 => means_of!(u64),
        PixelType::I64 => means_of!(i64),
        PixelType::F16 => means_of!(f16),
        PixelType::F32 => means_of!(f32),
        PixelType::F64 => means_of!(f64),
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
            // A pixel at the edge counts twice, or four times in the corner, which leaves its mean
            // as it is.
            halved.extend_from_slice(&bytes((sum(upper) + sum(lower)) / 4.0));
        }
    }
    halved
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
