//! What a network says.

use ndarray::{Array, ArrayView, Axis};
use segmenter_core::{Mask, Probability, Space, Stack, VoxelSize};

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
        Probability::new(logits.mapv(sigmoid)).with_voxel_size(self.voxel_size)
    }

    /// The voxels of a structure whose probability is above the threshold.
    ///
    /// # Panics
    /// If there is no such structure.
    #[must_use]
    pub fn mask(&self, structure: usize, threshold: f32) -> Mask<S> {
        self.probability(structure).threshold(threshold)
    }

    /// The logits as an image, for saving.
    #[must_use]
    pub fn into_stack(self) -> Stack<S, f32> {
        Stack::from_channels(self.values).with_voxel_size(self.voxel_size)
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
