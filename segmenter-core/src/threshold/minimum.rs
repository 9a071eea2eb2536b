//! The minimum between two maxima.

use super::{Histogram, ThresholdError, rounding::single};

/// How often the histogram is smoothed at most: scikit-image's number.
const ROUNDS: usize = 10_000;

/// The most bins that are smoothed.
const MOST_BINS: u64 = 1 << 20;

impl Histogram {
    /// The minimum between two maxima; see [`minimum`](super::minimum).
    ///
    /// # Errors
    /// If the smoothed histogram has not two maxima, or whole numbers span more than 2²⁰.
    pub fn minimum(&self) -> Result<f64, ThresholdError> {
        let mut counts = self.dense(MOST_BINS)?;
        let mut peaks = Vec::new();
        for round in 0..ROUNDS {
            smooth(&mut counts);
            peaks = maxima(&counts);
            if peaks.len() < 3 {
                if round == ROUNDS - 1 {
                    break;
                }
                let [first, second] = peaks[..] else { break };
                let mut lowest = first;
                for at in first..=second {
                    if counts[at] < counts[lowest] {
                        lowest = at;
                    }
                }
                return Ok(self.value(lowest as u64));
            }
        }
        Err(ThresholdError::Maxima { found: peaks.len() })
    }
}

/// The mean of each bin and its neighbours; the ends are repeated.
fn smooth(counts: &mut [f64]) {
    let Some(&end) = counts.last() else { return };
    let mut before = counts[0];
    for at in 0..counts.len() {
        let (here, after) = (counts[at], counts.get(at + 1).copied().unwrap_or(end));
        counts[at] = single((before + here + after) / 3.0);
        before = here;
    }
}

/// Where counts begin to fall after they rose.
fn maxima(counts: &[f64]) -> Vec<usize> {
    let (mut found, mut rising) = (Vec::new(), true);
    for (at, pair) in counts.windows(2).enumerate() {
        if rising && pair[1] < pair[0] {
            rising = false;
            found.push(at);
        } else if !rising && pair[1] > pair[0] {
            rising = true;
        }
    }
    found
}
