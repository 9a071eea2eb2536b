//! How far a value is from those of the rest of the set.

/// What makes the median absolute deviation of normally distributed values their standard deviation:
/// 1 / Φ⁻¹(3/4).
pub(crate) const NORMAL: f64 = 1.482_602_218_505_602;

/// The median and the spread (scaled median absolute deviation) of values.
pub(crate) fn centre_and_spread(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.collect();
    let centre = median(values.iter().copied())?;
    let spread = NORMAL * median(values.iter().map(|value| (value - centre).abs()))?;
    Some((centre, spread))
}

/// How many standard deviations each value is away from the median, where the standard deviation is
/// 1.4826 times the median absolute deviation from it, so that outliers don't hide each other (Iglewicz
/// and Hoaglin 1993, *How to Detect and Handle Outliers*; they call beyond ±3.5 an outlier).
///
/// Where a value is `None`, so is its deviation; where more than half of the values are equal there is
/// no measure of their spread, and all are `None`.
///
/// ```
/// use segmenter_curation::quality::deviations;
///
/// let shares = [0.20, 0.22, 0.19, 0.21, 0.90].map(Some);
/// let out = deviations(&shares);
/// assert!(out[4].unwrap() > 40.0 && out[1].unwrap() < 1.0);
/// ```
#[must_use]
pub fn deviations(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let known = values.iter().copied().flatten();
    let scale = centre_and_spread(known).filter(|(_, spread)| *spread > 0.0);
    let deviation = |value: f64| scale.map(|(centre, spread)| (value - centre) / spread);
    values.iter().map(|value| value.and_then(deviation)).collect()
}

/// The middle value, or the mean of the two middle ones.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_worked_by_hand() {
        // The median is 3, the absolute deviations are 2, 1, 0, 1 and 97, and their median is 1.
        let out = deviations(&[1.0, 2.0, 3.0, 4.0, 100.0].map(Some));
        assert_eq!(out[4], Some(97.0 / NORMAL));
        assert_eq!(out[2], Some(0.0));
    }

    #[test]
    fn values_without_spread_and_unknown_values_have_no_deviation() {
        assert_eq!(deviations(&[Some(1.0), Some(1.0), Some(2.0)]), [None; 3]);
        assert_eq!(deviations(&[Some(1.0), None, Some(3.0)])[1], None);
        assert_eq!(deviations(&[]), []);
    }
}
