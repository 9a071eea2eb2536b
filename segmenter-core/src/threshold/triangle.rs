//! The triangle method.

use super::Histogram;

impl Histogram {
    /// The triangle threshold; see [`triangle`](super::triangle).
    #[must_use]
    pub fn triangle(&self) -> f64 {
        let (first, last) = (self.bins[0].index, self.bins[self.bins.len() - 1].index);
        let mut peak = self.bins[0];
        for bin in &self.bins {
            if bin.count > peak.count {
                peak = *bin;
            }
        }
        let flip = peak.index - first < last - peak.index;
        let width = if flip { last - peak.index } else { peak.index - first };
        // Seen from the end of the longer tail.
        let away = |index: u64| if flip { last - index } else { index - first };
        let (height, reach) = (peak.count as f64, width as f64);
        let scale = (height * height + reach * reach).sqrt();
        let length = |x: u64, count: u64| height / scale * x as f64 - reach / scale * count as f64;
        let mut best = (0, f64::NEG_INFINITY);
        let mut consider = |x: u64, count: u64| {
            let length = length(x, count);
            if x < width && length > best.1 {
                best = (x, length);
            }
        };
        let tail: Vec<(u64, u64)> = if flip {
            self.bins.iter().rev().map(|bin| (away(bin.index), bin.count)).collect()
        } else {
            self.bins.iter().map(|bin| (away(bin.index), bin.count)).collect()
        };
        for (at, &(x, count)) in tail.iter().enumerate() {
            consider(x, count);
            // Of the empty bins up to the next, the last is the furthest.
            if let Some(&(next, _)) = tail.get(at + 1).filter(|(next, _)| *next > x + 1) {
                consider(next - 1, 0);
            }
        }
        self.value(if flip { last - best.0 } else { first + best.0 })
    }
}
