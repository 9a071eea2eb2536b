//! Thresholds that follow from an image's histogram.

use std::collections::BTreeMap;

use crate::{Pixel, PixelType};

/// Number of bins of the histogram of floating-point values.
const BINS: usize = 256;

/// Values that have no threshold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// There are no values.
    #[error("a threshold needs at least one value, found none")]
    Empty,
    /// A value is infinite or not a number.
    #[error("a threshold needs finite values, but value {index} is {value}")]
    NotFinite {
        /// Which value, counted from 0.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },
}

/// Otsu's threshold: the one that keeps the two classes, up to it and above it, furthest apart,
/// measured by the variance between them (Otsu 1979, <https://doi.org/10.1109/TSMC.1979.4310076>).
///
/// What is above the threshold is foreground. Integers are counted one by one; floating-point
/// values are counted in 256 bins between the lowest and the highest, and the threshold is the
/// centre of a bin. Where all values are equal, that value is the threshold, and nothing is above
/// it. The number is that of scikit-image's `threshold_otsu`.
///
/// There is always a threshold, so Otsu's method finds foreground even in an image of nothing but
/// noise. Look at how far the classes are apart before you believe it.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Stack2, threshold};
///
/// let image = Stack2::new(array![[10_u8, 11, 12, 90], [11, 10, 91, 92]]);
/// let threshold = threshold::otsu(image.channel(0).iter().copied())?;
/// assert_eq!(threshold, 12.0);
/// # Ok::<(), threshold::ThresholdError>(())
/// ```
///
/// # Errors
/// If there are no values, or one of them is not a finite number.
pub fn otsu<T: Pixel>(
    values: impl IntoIterator<Item = T, IntoIter: Clone>,
) -> Result<f64, ThresholdError> {
    Ok(Histogram::of(values.into_iter())?.otsu())
}

/// How often which values occur.
struct Histogram {
    /// The values of the bins that are not empty, ascending, each with its count. Empty bins only
    /// repeat the split before them.
    bins: Vec<(f64, f64)>,
    /// How results are rounded: to `f32` where NumPy would calculate in it.
    round: fn(f64) -> f64,
}

impl Histogram {
    fn of<T: Pixel>(values: impl Iterator<Item = T> + Clone) -> Result<Self, ThresholdError> {
        let (low, high) = range(values.clone())?;
        let values = values.map(T::to_f64);
        if low == high {
            return Ok(Self { bins: vec![(low, 1.0)], round: exact });
        }
        if T::TYPE.is_float() {
            let round = if T::TYPE == PixelType::F64 { exact } else { single };
            return Ok(Self { bins: binned(values, low, high), round });
        }
        Ok(Self { bins: counted(values, low, high), round: exact })
    }

    fn otsu(&self) -> f64 {
        let below = self.classes(self.bins.iter());
        let mut above = self.classes(self.bins.iter().rev());
        above.reverse();
        let splits = below.iter().zip(above.iter().skip(1)).zip(&self.bins);
        let mut best = (self.bins[0].0, f64::NEG_INFINITY);
        for (((weight, mean), (other_weight, other_mean)), &(value, _)) in splits {
            let apart = (self.round)(mean - other_mean);
            let weights = single(weight * other_weight);
            let variance = (self.round)(weights * (self.round)(apart * apart));
            if variance > best.1 {
                best = (value, variance);
            }
        }
        best.0
    }

    /// The count and the mean of the first bin, of the first two, and so on.
    fn classes<'a>(&self, bins: impl Iterator<Item = &'a (f64, f64)>) -> Vec<(f64, f64)> {
        let (mut weight, mut sum) = (0.0, 0.0);
        bins.map(|&(value, count)| {
            weight = single(weight + count);
            sum = (self.round)(sum + (self.round)(count * value));
            (weight, (self.round)(sum / weight))
        })
        .collect()
    }
}

/// The lowest and the highest value.
fn range<T: Pixel>(values: impl Iterator<Item = T>) -> Result<(f64, f64), ThresholdError> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, value) in values.map(T::to_f64).enumerate() {
        if !value.is_finite() {
            return Err(ThresholdError::NotFinite { index, value });
        }
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high { Err(ThresholdError::Empty) } else { Ok((low, high)) }
}

/// Whole numbers and how often each occurs. Those of up to 16 bits are counted in a table.
fn counted(values: impl Iterator<Item = f64>, low: f64, high: f64) -> Vec<(f64, f64)> {
    if high - low < 65_536.0 {
        let mut counts = vec![0_u64; index(high - low) + 1];
        values.for_each(|value| counts[index(value - low)] += 1);
        return occupied((0..).map(|step| low + f64::from(step)).zip(counts));
    }
    let mut counts = BTreeMap::<usize, u64>::new();
    values.for_each(|value| *counts.entry(index(value - low)).or_default() += 1);
    occupied(counts.into_iter().map(|(step, count)| (low + step as f64, count)))
}

/// The centres of [`BINS`] equal bins and how many values each holds, with the edges that NumPy's
/// `histogram` has for values of single precision: a bin holds its lower edge, the last bin both.
fn binned(values: impl Iterator<Item = f64>, low: f64, high: f64) -> Vec<(f64, f64)> {
    let step = single(single(high - low) / BINS as f64);
    let edge = |at: usize| if at == BINS { high } else { single(single(at as f64 * step) + low) };
    let edges: Vec<f64> = (0..=BINS).map(edge).collect();
    let mut counts = [0_u64; BINS];
    for value in values {
        let guess = index((value - low) / (high - low) * BINS as f64).min(BINS - 1);
        counts[settle(value, guess, &edges)] += 1;
    }
    let centres = edges.windows(2).map(|pair| single(single(pair[0] + pair[1]) / 2.0));
    occupied(centres.zip(counts))
}

/// The bin of a value, from a guess that rounding may have put beside it.
fn settle(value: f64, mut bin: usize, edges: &[f64]) -> usize {
    while bin > 0 && value < edges[bin] {
        bin -= 1;
    }
    while bin + 2 < edges.len() && value >= edges[bin + 1] {
        bin += 1;
    }
    bin
}

fn occupied(bins: impl Iterator<Item = (f64, u64)>) -> Vec<(f64, f64)> {
    bins.filter(|&(_, count)| count > 0)
        .map(|(value, count)| (value, single(count as f64)))
        .collect()
}

/// The nearest number of single precision. An operation on two of them in double precision, then
/// rounded, is the operation in single precision: double has more than twice its digits.
#[allow(clippy::cast_possible_truncation, reason = "rounding is what this is for")]
fn single(number: f64) -> f64 {
    f64::from(number as f32)
}

fn exact(number: f64) -> f64 {
    number
}

/// A difference of two values as an index.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and below 2^32"
)]
fn index(difference: f64) -> usize {
    difference as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected thresholds below are printed by scikit-image 0.26.0 on NumPy 2.4.6 for the same
    /// values.
    fn check<T: Pixel>(values: impl Iterator<Item = T> + Clone, expected: f64) {
        assert_eq!(otsu(values), Ok(expected));
    }

    /// Pseudo-random numbers of 32 bits (Numerical Recipes' linear congruential generator), which
    /// are easy to make again in Python.
    fn noise() -> impl Iterator<Item = u32> + Clone {
        let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(1), next).skip(1).take(5000)
    }

    /// A dim background from 200 to 899 and a bright third from 3000 to 3999.
    fn bimodal() -> impl Iterator<Item = u16> + Clone {
        let value =
            |r: u32| if r >> 28 < 5 { (r >> 20) % 1000 + 3000 } else { (r >> 20) % 700 + 200 };
        noise().map(move |r| u16::try_from(value(r)).unwrap())
    }

    fn unit() -> impl Iterator<Item = f32> + Clone {
        noise().map(|r| (r >> 8) as f32 / (1 << 24) as f32)
    }

    #[test]
    fn integers_have_one_bin_each_as_in_scikit_image() {
        check(noise().map(|r| u8::try_from(r >> 24).unwrap()), 126.0);
        check(noise().map(|r| i8::try_from(i64::from(r >> 25) - 64).unwrap()), -1.0);
        check(bimodal(), 899.0);
        check(bimodal().map(|v| i16::try_from(i32::from(v) - 1500).unwrap()), -601.0);
        check(bimodal().map(|v| u32::from(v) * 1000), 899_000.0);
        check([1_u8, 5].into_iter(), 1.0);
    }

    #[test]
    fn floats_have_256_bins_as_in_scikit_image() {
        check(bimodal().map(|v| f32::from(v) * 0.37 - 300.0), f64::from(34.810_257_f32));
        check(unit(), f64::from(0.494_145_33_f32));
        check(unit().map(|v| v * v), f64::from(0.400_387_17_f32));
        check(unit().map(|v| v * 1e6), f64::from(494_145.3_f32));
        check([-1.0_f32, 2.0].into_iter(), f64::from(-0.994_140_6_f32));
    }

    #[test]
    fn equal_values_are_their_own_threshold() {
        check([7_u16; 5].into_iter(), 7.0);
        check([0.3_f32; 5].into_iter(), f64::from(0.3_f32));
    }

    #[test]
    fn no_values_and_values_that_are_no_numbers_are_refused() {
        assert_eq!(otsu(Vec::<u8>::new()), Err(ThresholdError::Empty));
        let error = otsu([0.0, 1.0, f32::INFINITY]).unwrap_err();
        assert_eq!(error, ThresholdError::NotFinite { index: 2, value: f64::INFINITY });
    }
}
