//! The network without a graph, for images of one extent on the CPU.
//!
//! Weights are brought into the kernels' order once. What a convolution gives is kept as it is,
//! with the scale and offset of each channel that normalise it, and is normalised and activated when
//! the next convolution reads it: no pass over memory is spent on that. Where two branches meet in a
//! convolution, it reads both. The values are those of the network's operations, to the bit.

use std::collections::BTreeMap;

use segmenter_core::{Space, torch::NamedTensor};
use segmenter_kernels::{
    Affine, Conv, Input, InstanceNorm, Prepared, Scratch, Settings, Threads, add_activated, moments,
};

use super::{block_name, padding};
use crate::{DynUNetConfig, Precision};

/// A network ready for images of one extent.
#[derive(Debug)]
pub(crate) struct Inference {
    down: Vec<Block>,
    up: Vec<Up>,
    head: Layer,
    norm: NormSettings,
}

#[derive(Clone, Copy, Debug)]
struct NormSettings {
    epsilon: f64,
    slope: f32,
}

/// Two convolutions, and what the block's input goes through to be added to their result.
#[derive(Debug)]
struct Block {
    first: Layer,
    second: Layer,
    shortcut: Shortcut,
}

#[derive(Debug)]
enum Shortcut {
    None,
    Same,
    Projected(Box<Layer>),
}

#[derive(Debug)]
struct Up {
    transposed: Layer,
    block: Block,
}

/// A convolution with what comes after it.
#[derive(Debug)]
struct Layer {
    conv: Prepared,
    channels: usize,
    voxels: usize,
    bias: Option<Vec<f32>>,
    scale: Vec<f32>,
    offset: Vec<f32>,
}

/// Features, and what brings them to their values.
struct Features {
    values: Scratch<f32>,
    channels: usize,
    scale: Vec<f32>,
    offset: Vec<f32>,
    slope: f32,
}

impl Features {
    fn affine(&self) -> Affine<'_> {
        Affine { scale: &self.scale, offset: &self.offset, slope: self.slope }
    }

    fn input(&self) -> Input<'_> {
        let input = Input::new(self.values.slice(), self.channels);
        match self.scale.is_empty() {
            true => input,
            false => input.with_affine(self.affine()),
        }
    }
}

impl Inference {
    /// The network with these parameters. Its normalisations have to be of the kind that is known here:
    /// by image and channel, with a learned scale and offset; see
    /// [`Model::is_compiled`](crate::Model::is_compiled).
    pub(crate) fn new<S: Space>(
        config: &DynUNetConfig<S>,
        tensors: &BTreeMap<String, NamedTensor>,
        extent: [usize; 3],
        precision: Precision,
    ) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "a slope is a small number")]
        let norm =
            NormSettings { epsilon: config.norm.epsilon, slope: config.negative_slope as f32 };
        let zyx = |sizes: &[S::Extent]| -> Vec<[usize; 3]> {
            sizes.iter().map(|&size| S::to_zyx(size)).collect()
        };
        let (kernels, strides) = (zyx(&config.kernel_size), zyx(&config.strides));
        let mut builder = Builder { tensors, settings: settings(precision, Threads::All), extent };
        let last = strides.len() - 1;
        let mut down = Vec::new();
        for level in 0..=last {
            let name = block_name(level, last);
            down.push(builder.block(&name, kernels[level], strides[level], config.res_block));
        }
        let mut up = Vec::new();
        for (step, level) in (1..=last).rev().enumerate() {
            let name = format!("upsamples.{step}");
            let stride = S::to_zyx(config.upsample_kernel_size[level - 1]);
            let transposed = builder.transposed(&format!("{name}.transp_conv"), stride);
            let block = format!("{name}.conv_block");
            let block = builder.block(&block, kernels[level], [1; 3], false);
            up.push(Up { transposed, block });
        }
        let head = builder.conv("output_block.conv", None, [1; 3], [1; 3]);
        Self { down, up, head, norm }
    }

    /// Logits of an image, `[channels, z, y, x]`.
    pub(crate) fn forward(
        &self,
        image: &[f32],
        precision: Precision,
        threads: Threads,
    ) -> Vec<f32> {
        let run = Run { norm: self.norm, settings: settings(precision, threads) };
        let mut skips: Vec<Features> = Vec::new();
        for block in &self.down {
            let features = match skips.last() {
                None => {
                    let channels = block.first.inputs();
                    let mut values = Scratch::new(image.len());
                    values.slice_mut().copy_from_slice(image);
                    let [scale, offset] = [Vec::new(), Vec::new()];
                    run.block(block, &[&Features { values, channels, scale, offset, slope: 1.0 }])
                }
                Some(above) => run.block(block, &[above]),
            };
            skips.push(features);
        }
        let Some(mut features) = skips.pop() else { return Vec::new() };
        for (up, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            let above = run.layer(&up.transposed, &[&features]);
            let hidden = run.layer(&up.block.first, &[&above, &skip]);
            // The largest features there are: nobody reads them any more.
            drop((above, skip));
            features = run.layer(&up.block.second, &[&hidden]);
        }
        run.layer(&self.head, &[&features]).values.slice().to_vec()
    }
}

fn settings(precision: Precision, threads: Threads) -> Settings {
    Settings { precision: precision.into(), threads, ..Settings::default() }
}

/// Prepares layer after layer, for the extent that the one before it leaves.
struct Builder<'a> {
    tensors: &'a BTreeMap<String, NamedTensor>,
    settings: Settings,
    extent: [usize; 3],
}

impl Builder<'_> {
    fn block(
        &mut self,
        name: &str,
        kernel: [usize; 3],
        stride: [usize; 3],
        residual: bool,
    ) -> Block {
        let extent = self.extent;
        let layer = |builder: &mut Self, number: u8, kernel, stride| {
            let norm = format!("{name}.norm{number}");
            builder.conv(&format!("{name}.conv{number}"), Some(&norm), kernel, stride)
        };
        let first = layer(self, 1, kernel, stride);
        let second = layer(self, 2, kernel, [1; 3]);
        let projected = self.tensors.contains_key(&format!("{name}.conv3.conv.weight"));
        let shortcut = match (residual, projected) {
            (false, _) => Shortcut::None,
            (true, false) => Shortcut::Same,
            (true, true) => {
                self.extent = extent;
                Shortcut::Projected(Box::new(layer(self, 3, [1; 3], stride)))
            }
        };
        Block { first, second, shortcut }
    }

    fn conv(
        &mut self,
        name: &str,
        norm: Option<&str>,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Layer {
        let weight = &self.tensors[&format!("{name}.conv.weight")];
        let padding = padding(kernel, stride);
        let conv = Conv { channels: [weight.shape[1], weight.shape[0]], kernel, stride, padding };
        let prepared = Prepared::forward(conv, self.extent, &weight.values, self.settings);
        self.extent = conv.output_extent(self.extent);
        self.layer(name, norm, prepared, conv.channels[1])
    }

    fn transposed(&mut self, name: &str, stride: [usize; 3]) -> Layer {
        let weight = &self.tensors[&format!("{name}.conv.weight")];
        let channels = [weight.shape[1], weight.shape[0]];
        let conv = Conv { channels, kernel: stride, stride, padding: [0; 3] };
        self.extent = [0, 1, 2].map(|axis| self.extent[axis] * stride[axis]);
        let prepared = Prepared::backward(conv, self.extent, &weight.values, self.settings);
        self.layer(name, None, prepared, conv.channels[0])
    }

    fn layer(&self, name: &str, norm: Option<&str>, conv: Prepared, channels: usize) -> Layer {
        let values = |name: String| self.tensors.get(&name).map(|tensor| tensor.values.clone());
        let parameter =
            |part: &str| norm.and_then(|norm| values(format!("{norm}.{part}"))).unwrap_or_default();
        Layer {
            conv,
            channels,
            voxels: self.extent.iter().product(),
            bias: values(format!("{name}.conv.bias")),
            scale: parameter("weight"),
            offset: parameter("bias"),
        }
    }
}

impl Layer {
    fn inputs(&self) -> usize {
        self.conv.inputs()
    }
}

/// One image on its way through.
struct Run {
    norm: NormSettings,
    settings: Settings,
}

impl Run {
    fn block(&self, block: &Block, inputs: &[&Features]) -> Features {
        let hidden = self.layer(&block.first, inputs);
        let output = self.layer(&block.second, &[&hidden]);
        match (&block.shortcut, inputs) {
            (Shortcut::Same, [input]) => self.added(output, input, block.second.voxels),
            (Shortcut::Projected(layer), inputs) => {
                let projected = Features { slope: 1.0, ..self.layer(layer, inputs) };
                self.added(output, &projected, layer.voxels)
            }
            _ => output,
        }
    }

    fn layer(&self, layer: &Layer, inputs: &[&Features]) -> Features {
        let Layer { channels, voxels, .. } = *layer;
        let mut values = Scratch::new(channels * voxels);
        let inputs: Vec<Input<'_>> = inputs.iter().map(|input| input.input()).collect();
        layer.conv.run_into(&inputs, None, values.slice_mut(), self.settings.threads);
        if let Some(bias) = &layer.bias {
            for (values, bias) in values.slice_mut().chunks_exact_mut(voxels).zip(bias) {
                values.iter_mut().for_each(|value| *value += bias);
            }
        }
        let (scale, offset) = self.normalising(layer, values.slice());
        Features { values, channels, scale, offset, slope: self.norm.slope }
    }

    /// What brings each channel to its mean and deviation; nothing for a layer without.
    fn normalising(&self, layer: &Layer, values: &[f32]) -> (Vec<f32>, Vec<f32>) {
        if layer.scale.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let NormSettings { epsilon, slope } = self.norm;
        let norm = InstanceNorm { scale: &layer.scale, offset: &layer.offset, epsilon, slope };
        let moments = moments(values, layer.voxels, epsilon, self.settings);
        moments.into_iter().enumerate().map(|(at, moments)| norm.affine(at, moments)).unzip()
    }

    /// The features of a block with its shortcut added, activated.
    fn added(&self, output: Features, shortcut: &Features, voxels: usize) -> Features {
        let channels = output.channels;
        let ones = vec![1.0; channels];
        let zeros = vec![0.0; channels];
        let other = match shortcut.scale.is_empty() {
            true => Affine { scale: &ones, offset: &zeros, slope: 1.0 },
            false => shortcut.affine(),
        };
        let mut values = output.values;
        let affine = Affine { scale: &output.scale, offset: &output.offset, slope: 1.0 };
        let shortcut = shortcut.values.slice();
        let slope = self.norm.slope;
        let by = [affine, other];
        add_activated(values.slice_mut(), shortcut, by, slope, voxels, self.settings);
        Features { values, channels, scale: Vec::new(), offset: Vec::new(), slope: 1.0 }
    }
}
