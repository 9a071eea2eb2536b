//! How overlapping tiles become one image.

use std::ops::Range;

use ndarray::{Array, Axis};
use segmenter_core::{Space, Window};
use segmenter_memory::OutOfMemory;
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

/// The weighted mean of tiles over a part of an image.
///
/// Of the first axis only so many slices are in memory, a ring of them: those that are complete are
/// taken out before later ones come to their place. (A slice of a plane is a line.)
pub(crate) struct Blend<S: Space> {
    channels: usize,
    /// The part that is blended, all of it along the first axis.
    part: Window<S>,
    /// Number of slices in the ring.
    height: usize,
    /// `[slice of the ring, channel, the other axes]`.
    sums: Vec<f32>,
    /// `[slice of the ring, the other axes]`.
    totals: Vec<f32>,
    weights: Vec<f32>,
    /// Whether weighted values are rounded to bfloat16, as in MONAI's sliding window where the
    /// network's logits are of that type.
    rounding: bool,
}

impl<S: Space> Blend<S> {
    pub(crate) fn new(
        channels: usize,
        part: Window<S>,
        height: usize,
        tiling: &Tiling<S>,
    ) -> Result<Self, OutOfMemory> {
        let [rows, columns] = cross_section(&part);
        let voxels = height.saturating_mul(rows.len()).saturating_mul(columns.len());
        let weights = match tiling.blending() {
            Blending::Constant => vec![1.0; tiling.tile().as_ref().iter().product()],
            _ => gaussian_weights::<S>(tiling.tile()).into_raw_vec_and_offset().0,
        };
        Ok(Self {
            channels,
            part,
            height,
            sums: segmenter_memory::zeroed(voxels.saturating_mul(channels))?,
            totals: segmenter_memory::zeroed(voxels)?,
            weights,
            rounding: false,
        })
    }

    pub(crate) fn with_rounding(self, rounding: bool) -> Self {
        Self { rounding, ..self }
    }

    /// Adds what a tile, `[c, …]`, has of the part.
    pub(crate) fn add(&mut self, window: &Window<S>, tile: &[f32]) {
        let ([rows, columns], [all_rows, all_columns]) =
            (cross_section(window), cross_section(&self.part));
        let left = columns.start.max(all_columns.start);
        let width = columns.end.min(all_columns.end).saturating_sub(left);
        let plane = all_rows.len() * all_columns.len();
        let voxels = self.weights.len();
        for slice in window.range(0) {
            let ring = slice % self.height;
            for row in rows.start.max(all_rows.start)..rows.end.min(all_rows.end) {
                let in_tile = (slice - window.range(0).start) * rows.len() + row - rows.start;
                let in_tile = in_tile * columns.len() + left - columns.start;
                let in_plane =
                    (row - all_rows.start) * all_columns.len() + left - all_columns.start;
                let weights = &self.weights[in_tile..][..width];
                let totals = &mut self.totals[ring * plane + in_plane..][..width];
                totals.iter_mut().zip(weights).for_each(|(total, weight)| *total += weight);
                for channel in 0..self.channels {
                    let line = (ring * self.channels + channel) * plane + in_plane;
                    let sums = &mut self.sums[line..][..width];
                    let values = &tile[channel * voxels + in_tile..][..width];
                    add_weighted(sums, values, weights, self.rounding);
                }
            }
        }
    }

    /// The means of slices that are complete, `[c, …]`, which makes room for others.
    pub(crate) fn take(&mut self, slices: Range<usize>) -> Array<f32, S::ChannelDim> {
        let [rows, columns] = cross_section(&self.part);
        let plane = rows.len() * columns.len();
        let mut means = segmenter_memory::with_capacity(self.channels * slices.len() * plane);
        for channel in 0..self.channels {
            for ring in slices.clone().map(|slice| slice % self.height) {
                let sums = &mut self.sums[(ring * self.channels + channel) * plane..][..plane];
                let totals = &self.totals[ring * plane..][..plane];
                means.extend(sums.iter().zip(totals).map(|(sum, total)| sum / total));
                sums.fill(0.0);
            }
        }
        for ring in slices.clone().map(|slice| slice % self.height) {
            self.totals[ring * plane..][..plane].fill(0.0);
        }
        let mut extent = self.part.extent;
        extent.as_mut()[0] = slices.len();
        Array::from_shape_vec(S::channel_dim(self.channels, extent), means)
            .unwrap_or_else(|_| unreachable!("as many as the shape has"))
    }
}

/// A box without its first axis: rows and columns, of which a line of a plane has one row.
fn cross_section<S: Space>(window: &Window<S>) -> [Range<usize>; 2] {
    if S::RANK == 2 { [0..1, window.range(1)] } else { [window.range(1), window.range(2)] }
}

fn add_weighted(sums: &mut [f32], values: &[f32], weights: &[f32], rounding: bool) {
    let numbers = sums.iter_mut().zip(values).zip(weights);
    if rounding {
        numbers.for_each(|((sum, value), weight)| *sum += bfloat16(weight * value));
    } else {
        numbers.for_each(|((sum, value), weight)| *sum += weight * value);
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
        let whole = Window::<Yx>::whole([4, 7]);
        let mut blend = Blend::new(1, whole, 4, &Tiling::new([4, 4])).unwrap();
        for start in [0, 2, 3] {
            blend.add(&Window::new([0, start], [4, 4]), &[2.5; 16]);
        }
        assert!(blend.take(0..4).iter().all(|&value| (value - 2.5).abs() < 1e-6));
    }

    #[test]
    fn a_ring_gives_of_a_part_what_the_whole_has_there() {
        let tiling = Tiling::<Zyx>::new([4, 4, 4]).with_overlap(0.5).unwrap();
        let tile = |window: &Window<Zyx>| -> Vec<f32> {
            let first = window.start.iter().fold(1.0, |hash, &start| hash * 7.3 + start as f32);
            (0_u16..128).map(|at| first + f32::from(at).sin()).collect()
        };
        let windows: Vec<_> = tiling.windows([9, 7, 10]).collect();
        let mut whole = Blend::new(2, Window::whole([9, 7, 10]), 9, &tiling).unwrap();
        windows.iter().for_each(|window| whole.add(window, &tile(window)));
        let whole = whole.take(0..9);
        let part = Window::<Zyx>::new([0, 2, 3], [9, 4, 5]);
        let mut blend = Blend::new(2, part, 4, &tiling).unwrap();
        for windows in windows.chunk_by(|a, b| a.start[0] == b.start[0]) {
            windows.iter().for_each(|window| blend.add(window, &tile(window)));
            let first = windows[0].start[0];
            let last = if first == 5 { 9 } else { (first + 2).min(5) };
            let expected = Window::<Zyx>::new([first, 2, 3], [last - first, 4, 5]);
            assert_eq!(blend.take(first..last), expected.view_channels(&whole.view()));
        }
    }
}
