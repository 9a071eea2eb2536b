//! What Lightning recorded about a checkpoint.

use super::{TorchFile, tensor::View};
use crate::pickle::Value;

/// What Lightning recorded in a checkpoint: when it was written, and how good it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// The epoch it was written in, from 0.
    pub epoch: Option<u64>,
    /// Optimiser steps taken.
    pub step: Option<u64>,
    /// The score that Lightning's `ModelCheckpoint` saved it for.
    pub score: Option<Score>,
}

/// A score as `ModelCheckpoint` watched it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// What is measured, such as `val/loss`.
    pub monitor: String,
    /// Whether more is better; of a loss, less is.
    pub more_is_better: bool,
    /// The score.
    pub value: f64,
}

impl Score {
    /// Whether this is better than another score of the same thing.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        if self.more_is_better { self.value > other.value } else { self.value < other.value }
    }

    /// Whether another score is of the same thing.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        (&self.monitor, self.more_is_better) == (&other.monitor, other.more_is_better)
    }
}

impl TorchFile {
    /// What Lightning recorded in the file, as far as it did.
    ///
    /// The score is that of the file itself, which `ModelCheckpoint` notes under the file's name
    /// where it lists the best. A `last.ckpt` has none: what `current_score` says in it may be of an
    /// earlier epoch.
    pub fn recorded(&mut self) -> Recorded {
        let number = |key: &str| self.entry(key).and_then(Value::as_size).map(|size| size as u64);
        let (epoch, step) = (number("epoch"), number("global_step"));
        Recorded { epoch, step, score: self.score() }
    }

    fn score(&mut self) -> Option<Score> {
        let callbacks = self.entry("callbacks")?.entries()?;
        let watched = callbacks.iter().filter_map(|(key, state)| {
            let key = key.as_str().filter(|key| key.starts_with("ModelCheckpoint"))?;
            let best = state.get("best_k_models")?.entries()?;
            let (_, score) = best.iter().find(|(path, _)| self.is_called(path))?;
            let monitor = state.get("monitor")?.as_str()?.to_owned();
            Some((monitor, key.contains("'mode': 'max'"), score.clone()))
        });
        let (monitor, more_is_better, score) = watched.collect::<Vec<_>>().into_iter().next()?;
        let value = self.number(&score).filter(|value| !value.is_nan())?;
        Some(Score { monitor, more_is_better, value })
    }

    /// Whether a path of the machine that wrote the file leads to a file of this one's name.
    fn is_called(&self, path: &Value) -> bool {
        let own = self.path.file_name().and_then(|name| name.to_str());
        let name = path.as_str().and_then(|path| path.rsplit(['/', '\\']).next());
        own.is_some() && name == own
    }

    /// A number, or a tensor of one.
    fn number(&mut self, value: &Value) -> Option<f64> {
        match value {
            Value::Float(number) => Some(*number),
            #[allow(clippy::cast_precision_loss, reason = "a score")]
            Value::Int(number) => Some(*number as f64),
            tensor => {
                let view = View::of(tensor).ok().filter(|view| view.count == 1)?;
                let (_, tensor) = self.read(vec![(String::new(), Ok(view))]).pop()?;
                tensor.ok()?.values.first().map(|&value| value.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::tests::open;

    fn dice(value: f64) -> Option<Score> {
        Some(Score { monitor: "val/dice".to_owned(), more_is_better: true, value })
    }

    #[test]
    fn each_file_has_its_own_score_and_the_last_file_none() {
        for (name, epoch, score) in
            [("epoch_000", 0, dice(0.5)), ("epoch_001", 1, dice(0.75)), ("last", 2, None)]
        {
            let recorded = open(&format!("dice/{name}.ckpt")).recorded();
            let expected = Recorded { epoch: Some(epoch), step: Some(3 * epoch + 3), score };
            assert_eq!(recorded, expected, "{name}");
        }
    }

    #[test]
    fn the_callback_that_kept_the_file_for_its_score_counts() {
        let score = open("two_callbacks.ckpt").recorded().score;
        let monitor = "val/loss".to_owned();
        assert_eq!(score, Some(Score { monitor, more_is_better: false, value: 0.125 }));
    }

    #[test]
    fn what_is_not_recorded_or_odd_is_left_out() {
        for name in ["numbers.pt", "list.pt", "odd_record.ckpt"] {
            assert_eq!(open(name).recorded(), Recorded::default(), "{name}");
        }
        let epoch = Recorded { epoch: Some(3), ..Recorded::default() };
        assert_eq!(open("views.ckpt").recorded(), epoch);
    }
}
