//! What is made of logits, where another program trained the model.

use serde::{Deserialize, Serialize};

/// What the program that trained a model makes of its logits, as the model's file says.
///
/// Nothing here is done unless asked for: it is how to get that program's results, not how to get
/// the best ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Postprocess {
    /// Foreground is above Otsu's threshold of the logits of the whole image: CytoDL's
    /// `AutoThreshold("threshold_otsu")`. It finds foreground in every image, also where there is
    /// none.
    OtsuOfLogits,
    /// Probabilities from 0 to 255, stretched so that each image has both: CytoDL's
    /// `ActThreshLabel(activation=Sigmoid, rescale_dtype=uint8)`. What 128 means differs from image
    /// to image.
    StretchedProbability,
    /// Foreground is above this probability: CytoDL's `ActThreshLabel(activation=Sigmoid,
    /// threshold=…)`.
    Threshold(f32),
    /// Something else, as the file has it.
    Other(String),
}

/// How voxels that several tiles hold are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Blending {
    /// Weighted by a Gaussian around the tile's centre: a voxel near a tile's edge, of which the
    /// network saw less context, counts less.
    #[default]
    Gaussian,
    /// All alike.
    Constant,
}
