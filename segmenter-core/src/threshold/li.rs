//! Li's method.

use super::{Histogram, ThresholdError, histogram::range, rounding::Rounding};
use crate::Pixel;

/// A value above the lowest, and how often it occurs.
type Point = (f64, f64);

pub(super) fn of<T: Pixel>(values: impl Iterator<Item = T> + Clone) -> Result<f64, ThresholdError> {
    if !T::TYPE.is_float() {
        return Ok(Histogram::of(values)?.li());
    }
    let (low, high) = range(values.clone())?;
    let type_ = Rounding::of_bins(T::TYPE);
    let mut values: Vec<f64> = values.map(|value| type_.round(value.to_f64() - low)).collect();
    if low == high {
        return Ok(low);
    }
    values.sort_unstable_by(f64::total_cmp);
    let steps = values.windows(2).map(|pair| type_.round(pair[1] - pair[0]));
    let step = steps.filter(|&step| step > 0.0).fold(f64::INFINITY, f64::min);
    let points: Vec<Point> = values.into_iter().map(|value| (value, 1.0)).collect();
    Ok(iterate(&points, step / 2.0) + low)
}

impl Histogram {
    /// Li's threshold of the values of the bins; see [`li`](super::li()).
    #[must_use]
    pub fn li(&self) -> f64 {
        let low = self.bins[0].value;
        if self.bins.len() == 1 {
            return low;
        }
        let points = self.bins.iter().map(|bin| (bin.value - low, bin.count as f64));
        iterate(&points.collect::<Vec<_>>(), self.bin_width() / 2.0) + low
    }
}

/// Moves the threshold between the means of the two classes until it moves by no more than the
/// tolerance, or the lower class is all zero. Points are ascending.
fn iterate(points: &[Point], tolerance: f64) -> f64 {
    let mut sums = vec![(0.0, 0.0)];
    for &(value, count) in points {
        let (weight, sum) = sums[sums.len() - 1];
        sums.push((weight + count, sum + value * count));
    }
    let (all, total) = sums[points.len()];
    let (mut next, mut current) = (total / all, -2.0 * tolerance);
    while (next - current).abs() > tolerance {
        current = next;
        let (below, sum) = sums[points.partition_point(|&(value, _)| value <= current)];
        let (lower, upper) = (sum / below, (total - sum) / (all - below));
        if lower == 0.0 {
            break;
        }
        next = (lower - upper) / (lower.ln() - upper.ln());
    }
    next
}
