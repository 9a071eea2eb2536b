//! The intermeans method.

use super::{Histogram, ThresholdError, rounding::single};

impl Histogram {
    /// The intermeans threshold; see [`isodata`](super::isodata).
    ///
    /// # Errors
    /// If no value lies halfway between the means.
    pub fn isodata(&self) -> Result<f64, ThresholdError> {
        if self.bins.len() == 1 {
            return Ok(self.bins[0].value);
        }
        let round = |number| self.sums.round(number);
        let (mut counts, mut sums) = (Vec::new(), Vec::new());
        let (mut count, mut sum) = (0.0, 0.0);
        for bin in &self.bins {
            let here = single(bin.count as f64);
            count = single(count + here);
            sum = round(sum + round(here * bin.value));
            counts.push(count);
            sums.push(sum);
        }
        for (at, pair) in self.bins.windows(2).enumerate() {
            let lower = round(sums[at] / counts[at]);
            let higher = round(round(sum - sums[at]) / single(count - counts[at]));
            let middle = round(round(lower + higher) / 2.0);
            if let Some(value) = self.just_below(middle, pair[0].index..pair[1].index) {
                return Ok(value);
            }
        }
        Err(ThresholdError::NoMidpoint)
    }

    /// The value of the first of these bins that is no more than a bin below.
    fn just_below(&self, middle: f64, bins: std::ops::Range<u64>) -> Option<f64> {
        let width = self.bin_width();
        // Of bins as wide as they are apart, two at most come into question, whatever the rounding.
        let guess = ((middle - self.bins[0].value) / width).floor().max(0.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and what exceeds the range is its end"
        )]
        let guess = guess as u64;
        let near = bins.start.max(guess.saturating_sub(2))..bins.end.min(guess.saturating_add(3));
        near.map(|index| self.value(index)).find(|value| {
            let distance = self.sums.round(middle - value);
            distance >= 0.0 && distance < width
        })
    }
}
