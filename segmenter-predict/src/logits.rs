//! What a network says.

use ndarray::{Array, ArrayView, Axis, Dimension};
use segmenter_core::{Mask, Probability, Space, Stack, VoxelSize, threshold};
use segmenter_model::Postprocess;

use crate::{mask, probability};

/// The logits of an image, one channel a structure: above 0 is more likely foreground than not.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits<S: Space> {
    values: Array<f32, S::ChannelDim>,
    voxel_size: Option<VoxelSize<S>>,
}

impl<S: Space> Logits<S> {
    /// Logits from an array with a leading channel axis.
    #[must_use]
    pub fn new(values: Array<f32, S::ChannelDim>, voxel_size: Option<VoxelSize<S>>) -> Self {
        Self { values, voxel_size }
    }

    /// The logits, `[c, z, y, x]` or `[c, y, x]`.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_, f32, S::ChannelDim> {
        self.values.view()
    }

    /// Number of structures.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.values.len_of(Axis(0))
    }

    /// The probability that a voxel belongs to a structure: 1 / (1 + exp(-logit)).
    ///
    /// # Panics
    /// If there is no such structure.
    #[must_use]
    pub fn probability(&self, structure: usize) -> Probability<S> {
        let logits = self.values.index_axis(Axis(0), structure);
        Probability::new(logits.mapv(probability)).with_voxel_size(self.voxel_size)
    }

    /// The voxels of a structure whose probability is above the threshold.
    ///
    /// # Panics
    /// If there is no such structure.
    #[must_use]
    pub fn mask(&self, structure: usize, threshold: f32) -> Mask<S> {
        self.probability(structure).threshold(threshold)
    }

    /// What the program that trained the model would write of a structure, value for value: a mask
    /// as 0 and 1, or probabilities as 0 to 255. `None` if what it does is not known here.
    ///
    /// This is for comparing with that program's files. [`mask`](Self::mask) and
    /// [`probability`](Self::probability) mean the same in every image, and these do not.
    ///
    /// # Panics
    /// If there is no such structure.
    #[must_use]
    pub fn postprocessed(
        &self,
        structure: usize,
        postprocess: &Postprocess,
    ) -> Option<Stack<S, u8>> {
        let logits = self.values.index_axis(Axis(0), structure);
        let bytes = match *postprocess {
            Postprocess::OtsuOfLogits => {
                // Without voxels, or with one that is no number, nothing is above a threshold.
                let cut = threshold::otsu(logits.iter().copied()).unwrap_or(f64::INFINITY);
                logits.mapv(|logit| u8::from(f64::from(logit) > cut))
            }
            Postprocess::StretchedProbability => stretched(&logits.mapv(probability)),
            Postprocess::Threshold(cut) => logits.mapv(|logit| mask(cut)(logit)),
            _ => return None,
        };
        Some(Stack::new(bytes).with_voxel_size(self.voxel_size))
    }

    /// The logits as an image, for saving.
    #[must_use]
    pub fn into_stack(self) -> Stack<S, f32> {
        Stack::from_channels(self.values).with_voxel_size(self.voxel_size)
    }
}

/// scikit-image's `rescale_intensity(image, out_range="uint8")`, which counts in the image's `f32`,
/// and then NumPy's conversion, which cuts off.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are from 0 to 255, and are cut off on purpose"
)]
fn stretched<D: Dimension>(probabilities: &Array<f32, D>) -> Array<u8, D> {
    let low = probabilities.iter().copied().fold(f32::INFINITY, f32::min);
    let high = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (f64::from(high) - f64::from(low)) as f32;
    if range > 0.0 {
        probabilities.mapv(|value| ((value - low) / range * 255.0) as u8)
    } else {
        // An image of one value is only limited to the range.
        probabilities.mapv(|value| value as u8)
    }
}
