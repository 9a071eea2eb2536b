//! Yen's method.

use super::{
    Histogram,
    rounding::{single, single_log},
};

impl Histogram {
    /// Yen's threshold; see [`yen`](super::yen).
    #[must_use]
    pub fn yen(&self) -> f64 {
        let total = single(self.total as f64);
        let share = |count: u64| single(single(count as f64) / total);
        let shares: Vec<f64> = self.bins.iter().map(|bin| share(bin.count)).collect();
        let squares = shares.iter().map(|share| single(share * share));
        let below = sums(shares.iter().copied());
        let squares_below = sums(squares.clone());
        let mut squares_above = sums(squares.rev());
        squares_above.reverse();
        let mut best = (self.bins[0].value, f32::NEG_INFINITY);
        for at in 1..self.bins.len() {
            let product = single(squares_below[at - 1] * squares_above[at]);
            let weights = single(below[at - 1] * single(1.0 - below[at - 1]));
            let criterion = single(single(1.0 / product) * single(weights * weights));
            let criterion = single_log(criterion);
            if criterion > best.1 {
                best = (self.bins[at - 1].value, criterion);
            }
        }
        best.0
    }
}

/// Sums of the first, of the first two, and so on, in single precision.
fn sums(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    numbers
        .map(|number| {
            sum = single(sum + number);
            sum
        })
        .collect()
}
