//! Summaries of scores.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among a few scores"
)]

use std::fmt;

use segmenter::{Mask, Space, Stack, threshold};

/// The Dice scores of some images.
pub(crate) struct Scores(Vec<f64>);

impl Scores {
    pub(crate) fn new(mut scores: Vec<f64>) -> Self {
        scores.sort_by(f64::total_cmp);
        Self(scores)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The score that a tenth of the images stays below, interpolated as numpy's `percentile` does.
    pub(crate) fn p10(&self) -> f64 {
        let place = 0.1 * (self.0.len() - 1) as f64;
        let below = self.0[place.floor() as usize];
        let above = self.0[place.ceil() as usize];
        below + (above - below) * place.fract()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mean {:.4}, p10 {:.4}, n {}", self.mean(), self.p10(), self.0.len())
    }
}

/// What a global threshold finds, without any learning: Otsu's.
pub(crate) fn otsu<S: Space>(raw: &Stack<S, f32>) -> Result<Mask<S>, threshold::ThresholdError> {
    let pixels = raw.channel(0);
    let threshold = threshold::otsu(pixels.iter().copied())?;
    Ok(Mask::new(pixels.mapv(|value| f64::from(value) > threshold)))
}
