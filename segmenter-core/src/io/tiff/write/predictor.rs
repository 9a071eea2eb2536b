//! Whether samples are stored as they are or as differences to the one before: `Predictor` 1 or 2.
//!
//! Neighbours in a smooth image are alike, so differences are small numbers and pack well. Where
//! shot noise prevails they do not: the difference of two noisy samples varies √2 times as much as
//! one of them. Which it is, is measured on the first blocks that come.

/// Blocks that are looked at.
const LOOKED_AT: usize = 16;

/// Whether differences have less entropy than the samples. It is that of single bytes, because
/// Zstandard and deflate code bytes one by one where nothing repeats. On the caller's thread alone: a
/// thread that waits for others may meanwhile be given another box of the same file to write.
pub(super) fn differences_are_smaller(
    blocks: &[usize],
    size: usize,
    pixels: impl Fn(usize) -> (Vec<u8>, usize),
) -> bool {
    let step = blocks.len().div_ceil(LOOKED_AT).max(1);
    let mut counts = [[0; 256]; 2];
    for &block in blocks.iter().step_by(step) {
        let (mut pixels, columns) = pixels(block);
        count(&pixels, &mut counts[0]);
        pixels.chunks_exact_mut(columns * size).for_each(|row| differences(row, size));
        count(&pixels, &mut counts[1]);
    }
    let [samples, differences] = counts.map(entropy);
    differences <= samples
}

fn count(bytes: &[u8], counts: &mut [u64; 256]) {
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
}

/// Shannon's entropy of bytes that occur so often, in bits a byte.
#[allow(clippy::cast_precision_loss, reason = "counts are below 2⁵³")]
fn entropy(counts: [u64; 256]) -> f64 {
    let all = counts.iter().sum::<u64>().max(1) as f64;
    let parts = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / all);
    parts.map(|part| -part * part.log2()).sum()
}

/// Replaces each little-endian sample of a row by its difference to the one before it, wrapping
/// around: TIFF 6.0, section 14.
pub(super) fn differences(row: &mut [u8], size: usize) {
    match size {
        1 => {
            let mut left = 0;
            row.iter_mut().for_each(|sample| {
                let here = std::mem::replace(sample, sample.wrapping_sub(left));
                left = here;
            });
        }
        _ => {
            let mut left = 0;
            row.as_chunks_mut().0.iter_mut().for_each(|sample| {
                let here = u16::from_le_bytes(*sample);
                *sample = here.wrapping_sub(left).to_le_bytes();
                left = here;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn choice(pixel: impl Fn(usize) -> u16) -> bool {
        differences_are_smaller(&[0, 1], 2, |block| {
            let pixels = (0..64 * 64).flat_map(|at| pixel(block * 4096 + at).to_le_bytes());
            (pixels.collect(), 64)
        })
    }

    #[test]
    fn smooth_samples_are_stored_as_differences_and_noise_is_not() {
        let noise: Vec<u16> = {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            (0..8192).map(|_| (0..8).map(|_| rng.random_range(0..16_u16)).sum()).collect()
        };
        assert!(choice(|at| u16::try_from(at % 64 * 40).unwrap()), "a ramp");
        assert!(choice(|_| 500), "one value");
        assert!(!choice(|at| noise[at]));
        assert!(choice(|at| u16::try_from(at % 64 * 40).unwrap() + noise[at] % 4));
    }

    #[test]
    fn entropy_is_that_of_the_definition() {
        let mut counts = [0; 256];
        counts[3] = 8;
        assert_eq!(entropy(counts), 0.0);
        counts[200] = 8;
        assert_eq!(entropy(counts), 1.0);
        assert_eq!(entropy([5; 256]), 8.0);
    }
}
