//! What PyTorch computes under `torch.autocast("cpu", torch.bfloat16)`, to the bit.
//!
//! Lightning trains and predicts on a CPU like that when it is told `precision: 16`, as the Allen
//! Cell Segmenter ML plugin does. Features are rounded to bfloat16 after every layer, which has 8 bits
//! of fraction; a rounding that goes the other way changes the statistics of a normalisation and with
//! them everything after it. So the sums have to be taken in PyTorch's order, found by comparing each
//! layer's output with that of PyTorch 2.0.1 on a processor with AVX-512 (oneDNN's kernels for
//! `avx512_core_bf16`, ATen's for AVX2):
//!
//! - a convolution goes over blocks of 16 input channels, in each over the kernel, last axis fastest,
//!   and at each place over pairs of channels, of which the second comes first (`VDPBF16PS`); products
//!   of two bfloat16 are exact, sums are `f32`;
//! - a normalisation has 8 partial sums, added up in order, for the mean and then for the squared
//!   differences from it, which are multiplied and added in one rounding; so is the offset, and each
//!   value when it is scaled and shifted;
//! - where tiles are blended, a weighted logit is rounded once more, and sums are `f32`.

use std::collections::BTreeMap;

use segmenter_core::{Space, torch::NamedTensor};

use super::{block_name, padding};
use crate::{DynUNetConfig, NormKind};

/// Input channels that oneDNN's kernels take at a time.
const BLOCK: usize = 16;

/// Partial sums of ATen's kernels for AVX2.
const LANES: usize = 8;

/// A network whose convolutions have their weights in bfloat16.
#[derive(Clone, Debug)]
pub(crate) struct Autocast {
    tensors: BTreeMap<String, NamedTensor>,
    kernel_size: Vec<[usize; 3]>,
    strides: Vec<[usize; 3]>,
    res_block: bool,
    negative_slope: f32,
    epsilon: f64,
}

/// A network that is not computed so, because PyTorch's order of sums is not known for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "PyTorch's rounding is known for instance normalisation with a learned scale and offset, and not \
     for this network's {found}"
)]
pub struct UnknownRounding {
    /// The normalisation of the network.
    pub found: String,
}

/// The features of one image.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    pub(crate) channels: usize,
    pub(crate) extent: [usize; 3],
    pub(crate) values: Vec<f32>,
}

impl Autocast {
    /// Takes the parameters of a network under their names, with kernels of three axes.
    pub(crate) fn new<S: Space>(
        config: &DynUNetConfig<S>,
        tensors: BTreeMap<String, NamedTensor>,
    ) -> Result<Self, UnknownRounding> {
        if config.norm.kind != NormKind::Instance || !config.norm.affine {
            return Err(UnknownRounding { found: format!("{:?}", config.norm) });
        }
        let mut tensors = tensors;
        for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains(".conv.")) {
            tensor.values.iter_mut().for_each(|value| *value = rounded(*value));
        }
        let zyx = |extents: &[S::Extent]| extents.iter().map(|&extent| S::to_zyx(extent)).collect();
        #[allow(clippy::cast_possible_truncation, reason = "a slope is a small number")]
        let negative_slope = config.negative_slope as f32;
        Ok(Self {
            tensors,
            kernel_size: zyx(&config.kernel_size),
            strides: zyx(&config.strides),
            res_block: config.res_block,
            negative_slope,
            epsilon: config.norm.epsilon,
        })
    }

    /// Computes logits.
    pub(crate) fn forward(&self, mut input: Features) -> Features {
        input.values.iter_mut().for_each(|value| *value = rounded(*value));
        let last = self.strides.len() - 1;
        let mut skips = Vec::new();
        let mut features = input;
        for level in 0..=last {
            let name = block_name(level, last);
            features = self.block(&name, &features, level);
            skips.push(features.clone());
        }
        skips.pop();
        for (step, skip) in skips.into_iter().rev().enumerate() {
            let level = last - step;
            let name = format!("upsamples.{step}");
            let up = self.transposed(&format!("{name}.transp_conv"), &features, level);
            features =
                self.plain_block(&format!("{name}.conv_block"), &up.joined(skip), level, [1; 3]);
        }
        self.conv("output_block.conv", &features, [1; 3], [1; 3])
    }

    fn block(&self, name: &str, input: &Features, level: usize) -> Features {
        let stride = self.strides[level];
        if !self.res_block {
            return self.plain_block(name, input, level, stride);
        }
        let kernel = self.kernel_size[level];
        let mut hidden = self.conv(&format!("{name}.conv1"), input, kernel, stride);
        self.normalise(&format!("{name}.norm1"), &mut hidden);
        self.activate(&mut hidden);
        let mut output = self.conv(&format!("{name}.conv2"), &hidden, kernel, [1; 3]);
        self.normalise(&format!("{name}.norm2"), &mut output);
        let shortcut = match self.tensors.contains_key(&format!("{name}.conv3.conv.weight")) {
            true => {
                let mut shortcut = self.conv(&format!("{name}.conv3"), input, [1; 3], stride);
                self.normalise(&format!("{name}.norm3"), &mut shortcut);
                shortcut
            }
            false => input.clone(),
        };
        for (output, shortcut) in output.values.iter_mut().zip(&shortcut.values) {
            *output = rounded(*output + shortcut);
        }
        self.activate(&mut output);
        output
    }

    fn plain_block(
        &self,
        name: &str,
        input: &Features,
        level: usize,
        stride: [usize; 3],
    ) -> Features {
        let mut features = input.clone();
        for (number, stride) in [(1, stride), (2, [1; 3])] {
            let kernel = self.kernel_size[level];
            features = self.conv(&format!("{name}.conv{number}"), &features, kernel, stride);
            self.normalise(&format!("{name}.norm{number}"), &mut features);
            self.activate(&mut features);
        }
        features
    }

    fn conv(
        &self,
        name: &str,
        input: &Features,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Features {
        let weight = &self.tensors[&format!("{name}.conv.weight")];
        let padding = padding(kernel, stride);
        let extent = std::array::from_fn(|axis| {
            (input.extent[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1
        });
        let mut output = Features::zeros(weight.shape[0], extent);
        let taps = Taps { kernel, stride, padding };
        for (channel, sums) in output.values.chunks_exact_mut(extent.iter().product()).enumerate() {
            taps.add_all(input, extent, &weight.values, channel, sums);
            let bias = self.tensors.get(&format!("{name}.conv.bias"));
            let bias = bias.map_or(0.0, |bias| bias.values[channel]);
            sums.iter_mut().for_each(|sum| *sum = rounded(*sum + bias));
        }
        output
    }

    /// Each voxel becomes a block of voxels.
    fn transposed(&self, name: &str, input: &Features, level: usize) -> Features {
        let weight = &self.tensors[&format!("{name}.conv.weight")];
        let step = self.strides[level];
        let extent = std::array::from_fn(|axis| input.extent[axis] * step[axis]);
        let channels = weight.shape[1];
        let mut output = Features::zeros(channels, extent);
        let [z, y, x] = extent;
        let size: usize = step.iter().product();
        for (index, value) in output.values.iter_mut().enumerate() {
            let channel = index / (z * y * x);
            let at = [index / (y * x) % z, index / x % y, index % x];
            let from: [usize; 3] = std::array::from_fn(|axis| at[axis] / step[axis]);
            let tap = ((at[0] % step[0]) * step[1] + at[1] % step[1]) * step[2] + at[2] % step[2];
            let mut sum = 0.0;
            for above in paired(input.channels) {
                sum += input.at(above, from)
                    * weight.values[(above * channels + channel) * size + tap];
            }
            let bias = self.tensors.get(&format!("{name}.conv.bias"));
            *value = rounded(sum + bias.map_or(0.0, |bias| bias.values[channel]));
        }
        output
    }

    fn normalise(&self, name: &str, features: &mut Features) {
        let (weight, bias) =
            (&self.tensors[&format!("{name}.weight")], &self.tensors[&format!("{name}.bias")]);
        let voxels = features.extent.iter().product();
        for (channel, values) in features.values.chunks_exact_mut(voxels).enumerate() {
            #[allow(clippy::cast_precision_loss, reason = "as PyTorch has it")]
            let count = voxels as f32;
            let mean = sum(values, |sum, value| sum + value) / count;
            let squares = |sum: f32, value: f32| (value - mean).mul_add(value - mean, sum);
            let variance = sum(values, squares) / count;
            #[allow(clippy::cast_possible_truncation, reason = "as PyTorch has it")]
            let scale = (1.0 / (f64::from(variance) + self.epsilon).sqrt()) as f32;
            let scale = scale * weight.values[channel];
            let offset = (-mean).mul_add(scale, bias.values[channel]);
            values.iter_mut().for_each(|value| *value = rounded(value.mul_add(scale, offset)));
        }
    }

    fn activate(&self, features: &mut Features) {
        for value in features.values.iter_mut().filter(|value| **value <= 0.0) {
            *value = rounded(*value * self.negative_slope);
        }
    }
}

/// How a kernel lies over its input.
struct Taps {
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
}

impl Taps {
    /// Adds the products of one output channel in oneDNN's order.
    fn add_all(
        &self,
        input: &Features,
        extent: [usize; 3],
        weights: &[f32],
        channel: usize,
        sums: &mut [f32],
    ) {
        let [_, kernel_y, kernel_x] = self.kernel;
        let size: usize = self.kernel.iter().product();
        for block in (0..input.channels).step_by(BLOCK) {
            let members = (input.channels - block).min(BLOCK);
            for tap in 0..size {
                let at = [tap / (kernel_y * kernel_x), tap / kernel_x % kernel_y, tap % kernel_x];
                for from in paired(members).map(|member| block + member) {
                    let weight = weights[(channel * input.channels + from) * size + tap];
                    self.add(input, from, at, extent, weight, sums);
                }
            }
        }
    }

    /// Adds one channel at one place of the kernel. Where the kernel leaves the image, there is
    /// nothing to add.
    fn add(
        &self,
        input: &Features,
        from: usize,
        at: [usize; 3],
        extent: [usize; 3],
        weight: f32,
        sums: &mut [f32],
    ) {
        let [z, y, x] = input.extent;
        let source = |axis: usize, index: usize| {
            let place = (index * self.stride[axis] + at[axis]).checked_sub(self.padding[axis]);
            place.filter(|&place| place < input.extent[axis])
        };
        for out_z in 0..extent[0] {
            let Some(in_z) = source(0, out_z) else { continue };
            for out_y in 0..extent[1] {
                let Some(in_y) = source(1, out_y) else { continue };
                let row = ((from * z + in_z) * y + in_y) * x;
                let out_row = (out_z * extent[1] + out_y) * extent[2];
                for out_x in 0..extent[2] {
                    if let Some(in_x) = source(2, out_x) {
                        sums[out_row + out_x] += input.values[row + in_x] * weight;
                    }
                }
            }
        }
    }
}

impl Features {
    fn zeros(channels: usize, extent: [usize; 3]) -> Self {
        let values = vec![0.0; channels * extent.iter().product::<usize>()];
        Self { channels, extent, values }
    }

    fn at(&self, channel: usize, [z, y, x]: [usize; 3]) -> f32 {
        self.values[((channel * self.extent[0] + z) * self.extent[1] + y) * self.extent[2] + x]
    }

    fn joined(mut self, other: Self) -> Self {
        self.channels += other.channels;
        self.values.extend(other.values);
        self
    }
}

/// Channels in pairs, of which the second comes first.
fn paired(channels: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(2).flat_map(move |first| {
        let second = Some(first + 1).filter(|&second| second < channels);
        second.into_iter().chain([first])
    })
}

/// Adds up in 8 parts, which are added up in order; what is left over is added up apart.
fn sum(values: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let (whole, rest) = values.split_at(values.len() - values.len() % (2 * LANES));
    let mut lanes = [0.0; LANES];
    for values in whole.chunks_exact(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane = add(*lane, value);
        }
    }
    let lanes = lanes.iter().fold(0.0, |sum, lane| sum + lane);
    lanes + rest.iter().fold(0.0, |sum, &value| add(sum, value))
}

/// The nearest number of bfloat16; of two that are equally near, the even one.
pub(crate) fn rounded(value: f32) -> f32 {
    if value.is_nan() {
        return value;
    }
    let bits = value.to_bits();
    let up = 0x7fff + (bits >> 16 & 1);
    f32::from_bits(bits.wrapping_add(up) & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.tensor(values).bfloat16().float()`.
    #[test]
    fn numbers_are_rounded_as_pytorch_rounds_them() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.003_906_2, 1.0),
            (1.003_906_4, 1.007_812_5),
            (1.011_718_8, 1.015_625),
            (-0.1, -0.100_097_656),
            (3.4e38, f32::INFINITY),
        ] {
            assert_eq!(rounded(value), expected, "{value}");
        }
        assert!(rounded(f32::NAN).is_nan());
    }

    #[test]
    fn the_second_of_a_pair_comes_first() {
        assert_eq!(paired(5).collect::<Vec<_>>(), [1, 0, 3, 2, 4]);
    }
}
