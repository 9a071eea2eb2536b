//! How to train, as a value.

use segmenter_core::Space;
use segmenter_model::Precision;
use serde::{Deserialize, Serialize};

use crate::{Augmentation, Loss};

/// How to train: a plain value that is saved beside the weights and is enough to repeat the run.
///
/// ```
/// use segmenter_core::Zyx;
/// use segmenter_train::TrainConfig;
///
/// let config = TrainConfig::<Zyx>::new([16, 64, 64]).with_epochs(40).with_seed(7);
/// let json = serde_json::to_string(&config)?;
/// assert_eq!(serde_json::from_str::<TrainConfig<Zyx>>(&json)?, config);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct TrainConfig<S: Space> {
    /// The extent of the patches that are cut from the images. Images that are smaller are padded.
    pub patch: S::Extent,
    /// The largest extent of tiles in prediction, and so in validation; see
    /// [`Tiling::growing_to`](segmenter_predict::Tiling::growing_to). No smaller than the patch.
    ///
    /// Instance normalisation measures a feature over the whole tile. A small tile with nothing but
    /// background amplifies its noise until it looks like structure; a larger one holds something to
    /// measure against.
    pub tile: S::Extent,
    /// Patches in one optimiser step.
    pub batch: usize,
    /// Times that [`patches_per_image`](Self::patches_per_image) patches of every image are seen.
    pub epochs: usize,
    /// Patches cut from each image in one epoch.
    pub patches_per_image: usize,
    /// Where patches may lie.
    #[serde(default)]
    pub crop: Crop,
    /// The share of patches that are placed to hold a foreground voxel, from 0 to 1. The others lie
    /// anywhere.
    pub foreground_share: f64,
    /// The largest learning rate; the [schedule](Self::schedule) says when it is reached.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    pub schedule: Schedule,
    /// Added to each gradient, times the weight: Adam's L2 penalty.
    pub weight_decay: f32,
    /// What is minimised.
    pub loss: Loss,
    /// How patches are varied.
    pub augmentation: Augmentation,
    /// Epochs from one validation to the next. The last epoch is always validated.
    pub validate_every: usize,
    /// In which numbers the network multiplies on a CPU, in training and afterwards. Weights, sums and
    /// gradients are `f32` either way.
    #[serde(default)]
    pub precision: Precision,
    /// Every random choice follows from it: the same seed, data and device give the same model.
    pub seed: u64,
}

/// Where patches may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Crop {
    /// Anywhere in the image, but so that some voxel counts. A shorter image is padded.
    #[default]
    Counted,
    /// As CytoDL's `RandomMultiScaleCropd` cuts them: never at the last place along an axis, also
    /// where nothing counts, and not at all from a shorter image. For comparing with models of
    /// CytoDL, not for making better ones.
    CytoDl,
}

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// It stays as it is.
    Constant,
    /// It is multiplied by `gamma` after each epoch, as the Allen Cell Segmenter ML plugin does with
    /// 0.995.
    Exponential {
        /// The factor.
        gamma: f64,
    },
    /// It rises along a cosine from a 25th of the largest over the first `warmup` of the steps, and
    /// falls along a cosine to a ten-thousandth of where it started: PyTorch's `OneCycleLR`
    /// (Smith and Topin 2017).
    OneCycle {
        /// The share of the steps that it rises for, from 0 to 1.
        warmup: f64,
    },
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{field}` is {found}, but it has to be {needed}")]
pub struct ConfigFault {
    /// The field of [`TrainConfig`].
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it may be.
    pub needed: &'static str,
}

impl<S: Space> TrainConfig<S> {
    /// Settings that suit most images, for patches of this extent: Dice and cross-entropy, Adam
    /// with a one-cycle learning rate up to 3·10⁻³, batches of 8, flips, turns and changes of
    /// contrast.
    #[must_use]
    pub fn new(patch: S::Extent) -> Self {
        Self {
            patch,
            tile: larger::<S>(patch),
            batch: 8,
            epochs: 100,
            patches_per_image: 4,
            crop: Crop::default(),
            foreground_share: 0.5,
            learning_rate: 3e-3,
            schedule: Schedule::OneCycle { warmup: 0.3 },
            weight_decay: 1e-5,
            loss: Loss::DiceCrossEntropy,
            augmentation: Augmentation::default(),
            validate_every: 1,
            precision: Precision::F32,
            seed: 0,
        }
    }

    /// Training as the Allen Cell Segmenter ML plugin has CytoDL do it, quirks included: one patch
    /// an image and epoch, [cut](Crop::CytoDl) and [scored](Loss::MaskedLogitsDice) by its rules, a
    /// learning rate of 10⁻⁴ that falls by 0.5 % an epoch, no augmentation.
    #[must_use]
    pub fn plugin(patch: S::Extent) -> Self {
        Self {
            tile: patch,
            patches_per_image: 1,
            crop: Crop::CytoDl,
            foreground_share: 0.0,
            learning_rate: 1e-4,
            schedule: Schedule::Exponential { gamma: 0.995 },
            weight_decay: 1e-4,
            loss: Loss::MaskedLogitsDice,
            augmentation: Augmentation::none(),
            ..Self::new(patch)
        }
    }

    /// The same settings with tiles of up to this extent in prediction.
    #[must_use]
    pub fn with_tile(self, tile: S::Extent) -> Self {
        Self { tile, ..self }
    }

    /// The same settings for so many epochs.
    #[must_use]
    pub fn with_epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// The same settings with so many patches a step.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same settings with so many patches of each image an epoch.
    #[must_use]
    pub fn with_patches_per_image(self, patches_per_image: usize) -> Self {
        Self { patches_per_image, ..self }
    }

    /// The same settings with this learning rate.
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f64) -> Self {
        Self { learning_rate, ..self }
    }

    /// The same settings with this schedule.
    #[must_use]
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The same settings with this loss.
    #[must_use]
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The same settings with patches lying where this says.
    #[must_use]
    pub fn with_crop(self, crop: Crop) -> Self {
        Self { crop, ..self }
    }

    /// The same settings with this augmentation.
    #[must_use]
    pub fn with_augmentation(self, augmentation: Augmentation) -> Self {
        Self { augmentation, ..self }
    }

    /// The same settings with other numbers to multiply in.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same settings with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same settings with so many epochs from one validation to the next.
    #[must_use]
    pub fn with_validate_every(self, validate_every: usize) -> Self {
        Self { validate_every, ..self }
    }

    /// Optimiser steps in one epoch over so many images.
    #[must_use]
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        (images * self.patches_per_image).div_ceil(self.batch.max(1))
    }

    /// The same settings with as many epochs as make at least this number of optimiser steps over
    /// so many images.
    #[must_use]
    pub fn with_steps(self, steps: usize, images: usize) -> Self {
        let epochs = steps.div_ceil(self.steps_per_epoch(images).max(1));
        self.with_epochs(epochs)
    }

    /// Everything that makes no sense in these settings.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut need = |holds: bool, field, found: String, needed| {
            if !holds {
                faults.push(ConfigFault { field, found, needed });
            }
        };
        for (field, count) in [
            ("batch", self.batch),
            ("epochs", self.epochs),
            ("patches_per_image", self.patches_per_image),
            ("validate_every", self.validate_every),
        ] {
            need(count > 0, field, count.to_string(), "at least 1");
        }
        let tile = self.tile.as_ref();
        let covers = tile.iter().zip(self.patch.as_ref()).all(|(tile, patch)| tile >= patch);
        need(covers, "tile", format!("{tile:?}"), "no smaller than the patch along any axis");
        let share = self.foreground_share;
        need(is_share(share), "foreground_share", share.to_string(), "from 0 to 1");
        let rate = self.learning_rate;
        need(rate.is_finite() && rate > 0.0, "learning_rate", rate.to_string(), "above 0");
        let decay = self.weight_decay;
        need(decay.is_finite() && decay >= 0.0, "weight_decay", decay.to_string(), "0 or more");
        match self.schedule {
            Schedule::Constant => {}
            Schedule::Exponential { gamma } => {
                let holds = gamma > 0.0 && gamma <= 1.0;
                need(holds, "schedule.gamma", gamma.to_string(), "above 0 and up to 1");
            }
            Schedule::OneCycle { warmup } => {
                need(is_share(warmup), "schedule.warmup", warmup.to_string(), "from 0 to 1");
            }
        }
        faults.extend(self.augmentation.faults());
        faults
    }
}

impl Schedule {
    /// The learning rate of a step.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
    pub fn rate(&self, largest: f64, step: usize, steps: usize, steps_per_epoch: usize) -> f64 {
        match *self {
            Self::Constant => largest,
            Self::Exponential { gamma } => {
                let epoch = step / steps_per_epoch.max(1);
                largest * gamma.powi(i32::try_from(epoch).unwrap_or(i32::MAX))
            }
            Self::OneCycle { warmup } => one_cycle(largest, step as f64, steps as f64, warmup),
        }
    }
}

/// Twice as long and as wide as the patch.
fn larger<S: Space>(patch: S::Extent) -> S::Extent {
    S::extent_from_fn(|axis| patch.as_ref()[axis] * if axis + 2 < S::RANK { 1 } else { 2 })
}

/// `OneCycleLR(max_lr, total_steps, pct_start=warmup)` of PyTorch with its other defaults.
fn one_cycle(largest: f64, step: f64, steps: f64, warmup: f64) -> f64 {
    let (first, last) = (largest / 25.0, largest / 25.0 / 1e4);
    let (peak, end) = (warmup * steps - 1.0, steps - 1.0);
    if step <= peak {
        cosine(first, largest, step / peak.max(1.0))
    } else {
        cosine(largest, last, ((step - peak) / (end - peak)).min(1.0))
    }
}

/// From `from` to `to` along half a cosine.
fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share).cos())
}

pub(crate) fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use segmenter_core::Yx;

    use super::*;

    /// PyTorch 2's `OneCycleLR(SGD, max_lr=3e-3, total_steps=100)`: its formula
    /// (`_annealing_cos`, `pct_start` 0.3, `div_factor` 25, `final_div_factor` 1e4) at these steps.
    #[test]
    fn one_cycle_rises_and_falls_as_in_pytorch() {
        let rate = |step| Schedule::OneCycle { warmup: 0.3 }.rate(3e-3, step, 100, 10);
        assert_relative_eq!(rate(0), 1.2e-4);
        assert_relative_eq!(rate(29), 3e-3);
        assert_relative_eq!(rate(64), (3e-3 + 1.2e-8) / 2.0);
        assert_relative_eq!(rate(99), 1.2e-8, epsilon = 1e-15);
    }

    #[test]
    fn exponential_decay_counts_epochs() {
        let rate = |step| Schedule::Exponential { gamma: 0.5 }.rate(1.0, step, 100, 10);
        assert_eq!([rate(0), rate(9), rate(10), rate(25)], [1.0, 1.0, 0.5, 0.25]);
    }

    #[test]
    fn every_fault_is_listed() {
        let mut config = TrainConfig::<Yx>::new([32, 32]).with_epochs(0).with_batch(0);
        config.foreground_share = 1.5;
        config.learning_rate = f64::NAN;
        let fields: Vec<_> = config.faults().iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["batch", "epochs", "foreground_share", "learning_rate"]);
        assert_eq!(TrainConfig::<Yx>::new([32, 32]).faults(), []);
    }
}
