//! How overlapping tiles become one image.

use ndarray::{Array, ArrayView, Axis, Zip};
use segmenter_core::{Space, Window};
use segmenter_model::{Blending, tensor::bfloat16};

use crate::Tiling;

/// Standard deviation of the weights as a share of the tile: MONAI's `sigma_scale`.
const SIGMA: f64 = 0.125;

/// No weight is smaller, so that a voxel at a corner is never divided by nearly nothing. From
/// MONAI's `compute_importance_map`.
const SMALLEST: f32 = 1e-3;

/// The weight of each voxel of a tile: a Gaussian around the tile's centre with a standard deviation
/// of an eighth of the tile, as in MONAI's sliding window. A voxel near a tile's edge, of which the
/// network saw less context, counts less than the same voxel near the centre of another tile.
#[must_use]
pub fn gaussian_weights<S: Space>(tile: S::Extent) -> Array<f32, S::Dim> {
    let mut weights = Array::ones(S::dim(tile));
    for axis in 0..S::RANK {
        let profile = profile(tile.as_ref()[axis]);
        for (mut lane, &weight) in weights.axis_iter_mut(Axis(axis)).zip(&profile) {
            lane.mapv_inplace(|value: f32| value * weight);
        }
    }
    let smallest = weights.iter().copied().fold(f32::INFINITY, f32::min).max(SMALLEST);
    weights.mapv_into(|weight| weight.max(smallest))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "extents of tiles are small, weights are f32"
)]
fn profile(size: usize) -> Vec<f32> {
    let sigma = SIGMA * size as f64;
    let centre = (size as f64 - 1.0) / 2.0;
    let weight = |index: usize| (-(index as f64 - centre).powi(2) / (2.0 * sigma * sigma)).exp();
    (0..size).map(|index| weight(index) as f32).collect()
}

/// The weighted mean of tiles, as far as they have been added.
pub(crate) struct Blend<S: Space> {
    sums: Array<f32, S::ChannelDim>,
    totals: Array<f32, S::Dim>,
    weights: Array<f32, S::Dim>,
    /// Whether weighted values are rounded to bfloat16, as in MONAI's sliding window where the
    /// network's logits are of that type.
    rounding: bool,
}

impl<S: Space> Blend<S> {
    pub(crate) fn new(channels: usize, image: S::Extent, tiling: &Tiling<S>) -> Self {
        Self {
            sums: Array::zeros(S::channel_dim(channels, image)),
            totals: Array::zeros(S::dim(image)),
            weights: match tiling.blending() {
                Blending::Constant => Array::ones(S::dim(tiling.tile())),
                _ => gaussian_weights::<S>(tiling.tile()),
            },
            rounding: false,
        }
    }

    pub(crate) fn with_rounding(self, rounding: bool) -> Self {
        Self { rounding, ..self }
    }

    pub(crate) fn add(&mut self, window: &Window<S>, tile: &ArrayView<'_, f32, S::ChannelDim>) {
        for (mut sums, tile) in self.sums.axis_iter_mut(Axis(0)).zip(tile.axis_iter(Axis(0))) {
            let place = window.view_mut(&mut sums);
            let weighted = Zip::from(place).and(tile).and(&self.weights);
            if self.rounding {
                weighted.for_each(|sum, &value, &weight| *sum += bfloat16(weight * value));
            } else {
                weighted.for_each(|sum, &value, &weight| *sum += weight * value);
            }
        }
        let mut totals = self.totals.view_mut();
        Zip::from(window.view_mut(&mut totals)).and(&self.weights).for_each(|total, &weight| {
            *total += weight;
        });
    }

    pub(crate) fn finish(mut self) -> Array<f32, S::ChannelDim> {
        for mut sums in self.sums.axis_iter_mut(Axis(0)) {
            Zip::from(&mut sums).and(&self.totals).for_each(|sum, &total| *sum /= total);
        }
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use segmenter_core::{Yx, Zyx};

    use super::*;

    /// MONAI 1.4, `compute_importance_map((16, 32, 32), "gaussian", 0.125)`: the smallest and the
    /// largest weight.
    #[test]
    fn the_weights_are_monais() {
        let weights = gaussian_weights::<Zyx>([16, 32, 32]);
        assert_eq!(weights.iter().copied().fold(f32::INFINITY, f32::min), 1e-3);
        let largest = weights.iter().copied().fold(0.0, f32::max);
        assert_relative_eq!(largest, 0.954_206_7, max_relative = 1e-6);
    }

    #[test]
    fn tiles_that_agree_blend_to_what_they_agree_on() {
        let mut blend = Blend::<Yx>::new(1, [4, 7], &Tiling::new([4, 4]));
        let tile = Array::from_elem((1, 4, 4), 2.5);
        for start in [0, 2, 3] {
            blend.add(&Window::new([0, start], [4, 4]), &tile.view());
        }
        assert!(blend.finish().iter().all(|&value| (value - 2.5).abs() < 1e-6));
    }
}
