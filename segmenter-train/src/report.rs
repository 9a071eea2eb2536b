//! What a run tells, and what it ends with.

use std::path::Path;

use segmenter_core::{Space, io::SaveError};
use segmenter_model::{Model, PatchError};
use segmenter_predict::PredictError;

use crate::{ConfigFault, DataError};

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It begins.
    Started {
        /// Images to train on.
        images: usize,
        /// Epochs to go.
        epochs: usize,
        /// Optimiser steps to go.
        steps: usize,
    },
    /// One optimiser step was taken.
    Step {
        /// Steps taken.
        step: usize,
        /// Steps in all.
        steps: usize,
        /// The loss of this step's patches.
        loss: f32,
        /// The learning rate of this step.
        learning_rate: f64,
        /// Voxels learnt from in each second since the run began.
        voxels_per_second: f64,
    },
    /// One validation image was scored.
    Scored {
        /// Its name.
        name: &'a str,
        /// Its Dice.
        dice: f64,
    },
    /// An epoch ended.
    Epoch(&'a EpochReport),
    /// A model file was written.
    Saved {
        /// Where.
        path: &'a Path,
    },
}

/// What is known at the end of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Epochs done.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Optimiser steps done.
    pub step: usize,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean loss of the epoch's steps.
    pub loss: f64,
    /// The mean Dice of the validation images, if there are any and this epoch was validated.
    pub validation_dice: Option<f64>,
    /// Whether that is the best so far.
    pub best: bool,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// What a run ends with.
#[derive(Debug)]
pub struct Run<S: Space> {
    /// The network as it was at its best validation; without validation images, as it is at the end.
    pub model: Model<S>,
    /// The network as it is at the end.
    pub last: Model<S>,
    /// Every epoch.
    pub history: Vec<EpochReport>,
    /// Whether the callback stopped the run before its last step.
    pub stopped: bool,
}

/// Why a run did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Settings that make no sense.
    #[error("{} faults in the settings: {}", .0.len(), list(.0))]
    Config(Vec<ConfigFault>),
    /// The network can't take the patch.
    #[error("the patch doesn't suit the network")]
    Patch(#[from] PatchError),
    /// The network is made for other images.
    #[error("the images have {found} {what}, but the network has {expected}")]
    Channels {
        /// "channels" or "structures".
        what: &'static str,
        /// How many the images have.
        found: usize,
        /// How many the network has.
        expected: usize,
    },
    /// Images are shorter than the patch, and [CytoDL's crop](crate::Crop::CytoDl) pads nothing.
    #[error(
        "{names:?} are shorter than the patch of {patch:?} along an axis, which CytoDL's crop does \
         not take; Crop::Counted pads them"
    )]
    Shorter {
        /// All such images.
        names: Vec<String>,
        /// The patch.
        patch: Vec<usize>,
    },
    /// An image can't be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A validation image can't be predicted.
    #[error("the validation image `{name}` can't be predicted")]
    Validation {
        /// The image.
        name: String,
        /// Why.
        source: PredictError,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step}, with a learning rate of {learning_rate:e}; a smaller \
         one keeps it finite"
    )]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// NaN or an infinity.
        loss: f32,
        /// The learning rate of that step.
        learning_rate: f64,
    },
    /// A file of the run can't be written.
    #[error(transparent)]
    Save(#[from] SaveError),
}

fn list(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
