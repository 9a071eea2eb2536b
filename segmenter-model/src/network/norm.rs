//! The normalisation between convolutions.

use burn::{
    module::{Module, Param, RunningState},
    tensor::Tensor,
};

use super::init::Init;
use crate::{Norm, NormKind};

/// A normalisation, and then a learned scale and offset a channel if there are any.
///
/// The fields are named as in PyTorch, whose batch normalisation keeps its statistics in buffers.
#[derive(Module, Debug)]
pub(super) struct NormLayer {
    weight: Option<Param<Tensor<1>>>,
    bias: Option<Param<Tensor<1>>>,
    running_mean: Option<RunningState<Tensor<1>>>,
    running_var: Option<RunningState<Tensor<1>>>,
    #[module(skip)]
    norm: Norm,
}

impl NormLayer {
    pub(super) fn new(norm: Norm, channels: usize, init: &mut Init<'_>) -> Self {
        let batch = matches!(norm.kind, NormKind::Batch { .. });
        let state = |value| RunningState::new(init.constant(value, channels).val());
        Self {
            weight: norm.affine.then(|| init.constant(1.0, channels)),
            bias: norm.affine.then(|| init.constant(0.0, channels)),
            running_mean: batch.then(|| state(0.0)),
            running_var: batch.then(|| state(1.0)),
            norm,
        }
    }

    /// Scale and offset, if this is an instance normalisation.
    #[cfg(feature = "flex")]
    pub(super) fn instance_affine(&self) -> Option<(Tensor<1>, Tensor<1>)> {
        let instance = self.norm.kind == NormKind::Instance;
        let (scale, offset) = self.weight.as_ref().zip(self.bias.as_ref()).filter(|_| instance)?;
        Some((scale.val(), offset.val()))
    }

    #[cfg(feature = "flex")]
    pub(super) fn epsilon(&self) -> f64 {
        self.norm.epsilon
    }

    pub(super) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let shape = input.dims();
        let [batch, channels, z, y, x] = shape;
        let flat: Tensor<3> = input.reshape([batch, channels, z * y * x]);
        let known = self.known_statistics().filter(|_| !flat.device().is_autodiff());
        let (centred, variance) = match known {
            Some((mean, variance)) => (flat - mean, variance),
            None => self.centred(flat),
        };
        self.scaled(centred, variance).reshape(shape)
    }

    /// In prediction, a batch normalisation goes by what it has seen in training.
    fn known_statistics(&self) -> Option<(Tensor<3>, Tensor<3>)> {
        let (mean, variance) = (self.running_mean.as_ref()?, self.running_var.as_ref()?);
        Some((per_channel(mean.value()), per_channel(variance.value())))
    }

    /// The features around their mean, and their variance.
    fn centred(&self, flat: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [batch, _, voxels] = flat.dims();
        let mean = self.pooled(flat.clone().mean_dim(2));
        let centred = flat - mean.clone();
        let variance = self.pooled((centred.clone() * centred.clone()).mean_dim(2));
        if let NormKind::Batch { momentum } = self.norm.kind {
            // PyTorch normalises by the variance of the batch, but keeps the unbiased estimate.
            #[allow(clippy::cast_precision_loss, reason = "a number of voxels")]
            let unbiased = (batch * voxels) as f64 / (batch * voxels - 1).max(1) as f64;
            follow(self.running_mean.as_ref(), mean, momentum);
            follow(self.running_var.as_ref(), variance.clone() * unbiased, momentum);
        }
        (centred, variance)
    }

    /// Averages statistics of each channel of each image, `[batch, channels, 1]`, over what is
    /// normalised together.
    fn pooled(&self, each: Tensor<3>) -> Tensor<3> {
        let [batch, channels, _] = each.dims();
        match self.norm.kind {
            NormKind::Instance => each,
            NormKind::Batch { .. } => each.mean_dim(0),
            NormKind::Group { groups } => {
                let members = channels / groups;
                let grouped: Tensor<3> = each.reshape([batch, groups, members]);
                grouped.mean_dim(2).repeat_dim(2, members).reshape([batch, channels, 1])
            }
        }
    }

    fn scaled(&self, centred: Tensor<3>, variance: Tensor<3>) -> Tensor<3> {
        let deviation = (variance + self.norm.epsilon).sqrt();
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => {
                centred * (per_channel(weight.val()) / deviation) + per_channel(bias.val())
            }
            _ => centred / deviation,
        }
    }
}

/// Moves a running statistic towards what was seen, which is `[1, channels, 1]`.
fn follow(state: Option<&RunningState<Tensor<1>>>, seen: Tensor<3>, momentum: f64) {
    let Some(state) = state else { return };
    let seen = seen.detach().flatten(0, 2) * momentum;
    state.update((state.value_sync() * (1.0 - momentum) + seen).detach());
}

/// `[channels]` to `[1, channels, 1]`.
fn per_channel(values: Tensor<1>) -> Tensor<3> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1])
}
