//! Otsu's method.

use super::{Histogram, histogram::Bin, rounding::single};

impl Histogram {
    /// Otsu's threshold; see [`otsu`](super::otsu).
    #[must_use]
    pub fn otsu(&self) -> f64 {
        let below = self.classes(self.bins.iter());
        let mut above = self.classes(self.bins.iter().rev());
        above.reverse();
        let splits = below.iter().zip(above.iter().skip(1)).zip(&self.bins);
        let mut best = (self.bins[0].value, f64::NEG_INFINITY);
        for (((weight, mean), (other_weight, other_mean)), bin) in splits {
            let apart = self.sums.round(mean - other_mean);
            let weights = single(weight * other_weight);
            let variance = self.sums.round(weights * self.sums.round(apart * apart));
            if variance > best.1 {
                best = (bin.value, variance);
            }
        }
        best.0
    }

    /// The count and the mean of the first bin, of the first two, and so on. Empty bins would only
    /// repeat the split before them.
    fn classes<'a>(&self, bins: impl Iterator<Item = &'a Bin>) -> Vec<(f64, f64)> {
        let (mut weight, mut sum) = (0.0, 0.0);
        bins.map(|bin| {
            let count = single(bin.count as f64);
            weight = single(weight + count);
            sum = self.sums.round(sum + self.sums.round(count * bin.value));
            (weight, self.sums.round(sum / weight))
        })
        .collect()
    }
}
