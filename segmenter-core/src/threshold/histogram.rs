//! How often which values occur.

use std::collections::BTreeMap;

use super::{
    ThresholdError,
    rounding::{Rounding, single},
};
use crate::Pixel;

/// Number of bins of the histogram of floating-point values.
const BINS: usize = 256;

/// Whole numbers that span no more than this are counted in a table.
const TABLE: f64 = 65_536.0;

/// How often which values occur, with the bins of scikit-image's `histogram`.
///
/// Whole numbers (`bool` counts as 0 and 1) are counted one by one, whatever their range: numbers that
/// do not occur take no memory. Floating-point values are counted in 256 equal bins between the lowest
/// and the highest; a bin holds its lower edge, the last bin both.
///
/// ```
/// use segmenter_core::threshold::{Histogram, ThresholdMethod};
///
/// let histogram = Histogram::of([10_u8, 11, 12, 90, 91, 92])?;
/// assert_eq!(histogram.total(), 6);
/// assert_eq!(histogram.otsu(), 12.0);
/// assert_eq!(ThresholdMethod::Otsu.of_histogram(&histogram), Ok(12.0));
/// # Ok::<(), segmenter_core::threshold::ThresholdError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The bins that are not empty, ascending.
    pub(super) bins: Vec<Bin>,
    /// Number of bins, empty ones included.
    pub(super) length: u64,
    pub(super) total: u64,
    /// The edges of the bins of floating-point values.
    edges: Option<Vec<f64>>,
    /// How the centres of bins are rounded.
    centres: Rounding,
    /// How sums over bins are rounded.
    pub(super) sums: Rounding,
}

/// A bin that is not empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    /// Its place among all bins.
    pub(super) index: u64,
    /// The whole number, or the centre.
    pub(super) value: f64,
    pub(super) count: u64,
}

impl Histogram {
    /// Counts values, in two passes: one for their range, one to count.
    ///
    /// # Errors
    /// If there are no values, one of them is not finite, or they span more than the largest number of
    /// their type.
    pub fn of<T: Pixel>(
        values: impl IntoIterator<Item = T, IntoIter: Clone>,
    ) -> Result<Self, ThresholdError> {
        let values = values.into_iter();
        let (low, high) = range(values.clone())?;
        let values = values.map(T::to_f64);
        let (centres, sums) = (Rounding::of_bins(T::TYPE), Rounding::of_sums(T::TYPE));
        let (edges, counts) = if T::TYPE.is_float() && low < high {
            let edges = edges(low, high, centres)?;
            let counts = binned(values, &edges);
            (Some(edges), counts)
        } else if T::TYPE.is_float() {
            (None, vec![(0, values.count() as u64)])
        } else {
            (None, counted(values, low, high))
        };
        let length = if edges.is_some() { BINS as u64 } else { whole(high - low) + 1 };
        let total = counts.iter().map(|(_, count)| count).sum();
        let mut histogram = Self { bins: Vec::new(), length, total, edges, centres, sums };
        let value = |index| if low == high { low } else { histogram.centre(index, low) };
        let bins =
            counts.into_iter().map(|(index, count)| Bin { index, value: value(index), count });
        histogram.bins = bins.collect();
        Ok(histogram)
    }

    /// Number of values that were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bins that are not empty, ascending: the whole number or the centre of the bin, and how many
    /// values it holds.
    pub fn counts(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bins.iter().map(|bin| (bin.value, bin.count))
    }

    /// The distance between the values of two neighbouring bins.
    pub(super) fn bin_width(&self) -> f64 {
        let low = self.bins[0].value;
        self.sums.round(self.value(1) - low)
    }

    /// The value of a bin, empty or not.
    pub(super) fn value(&self, index: u64) -> f64 {
        self.centre(index, self.bins[0].value)
    }

    /// The counts of all bins, empty ones included.
    pub(super) fn dense(&self, limit: u64) -> Result<Vec<f64>, ThresholdError> {
        if self.length > limit {
            return Err(ThresholdError::TooManyBins { bins: self.length, limit });
        }
        let mut counts = vec![0.0; place(self.length)];
        self.bins.iter().for_each(|bin| counts[place(bin.index)] = single(bin.count as f64));
        Ok(counts)
    }

    fn centre(&self, index: u64, low: f64) -> f64 {
        match &self.edges {
            None => low + index as f64,
            Some(edges) => {
                let sum = self.centres.round(edges[place(index)] + edges[place(index) + 1]);
                self.centres.round(sum / 2.0)
            }
        }
    }
}

/// The lowest and the highest value.
pub(super) fn range<T: Pixel>(
    values: impl Iterator<Item = T>,
) -> Result<(f64, f64), ThresholdError> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, value) in values.map(T::to_f64).enumerate() {
        if !value.is_finite() {
            return Err(ThresholdError::NotFinite { index, value });
        }
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high { Err(ThresholdError::Empty) } else { Ok((low, high)) }
}

/// Whole numbers as their distance from the lowest, and how often each occurs.
fn counted(values: impl Iterator<Item = f64>, low: f64, high: f64) -> Vec<(u64, u64)> {
    if high - low < TABLE {
        let mut counts = vec![0_u64; place(whole(high - low)) + 1];
        values.for_each(|value| counts[place(whole(value - low))] += 1);
        return occupied(counts);
    }
    let mut counts = BTreeMap::<u64, u64>::new();
    values.for_each(|value| *counts.entry(whole(value - low)).or_default() += 1);
    counts.into_iter().collect()
}

/// The edges that NumPy's `histogram` gives the bins.
fn edges(low: f64, high: f64, type_: Rounding) -> Result<Vec<f64>, ThresholdError> {
    let span = type_.round(high - low);
    if !span.is_finite() {
        return Err(ThresholdError::TooWide { low, high });
    }
    let step = type_.round(span / BINS as f64);
    let edge = |at: usize| match at {
        BINS => high,
        _ => type_.round(type_.round(at as f64 * step) + low),
    };
    Ok((0..=BINS).map(edge).collect())
}

fn binned(values: impl Iterator<Item = f64>, edges: &[f64]) -> Vec<(u64, u64)> {
    let (low, high) = (edges[0], edges[BINS]);
    let per_value = BINS as f64 / (high - low);
    let mut counts = vec![0_u64; BINS];
    for value in values {
        let guess = place(whole((value - low) * per_value)).min(BINS - 1);
        counts[settle(value, guess, edges)] += 1;
    }
    occupied(counts)
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

fn occupied(counts: Vec<u64>) -> Vec<(u64, u64)> {
    (0..).zip(counts).filter(|&(_, count)| count > 0).collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and what exceeds the range is its end"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[allow(clippy::cast_possible_truncation, reason = "the lengths of tables are limited")]
fn place(index: u64) -> usize {
    index as usize
}
