//! The blocks a DynUNet is made of.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::{init::Init, norm::NormLayer, ops, padding};
use crate::{Norm, Precision};

/// What a block is built from.
#[derive(Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) channels: [usize; 2],
    pub(super) kernel: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) residual: bool,
    pub(super) norm: Norm,
    pub(super) negative_slope: f64,
}

/// A convolution that keeps the extent, or divides it by the stride.
#[derive(Module, Debug)]
pub(super) struct Conv {
    conv: ConvWeights,
    #[module(skip)]
    stride: [usize; 3],
    #[module(skip)]
    padding: [usize; 3],
}

/// Apart from [`Conv`] only for the sake of its name in a checkpoint: `conv1.conv.weight`.
#[derive(Module, Debug)]
struct ConvWeights {
    weight: Param<Tensor<5>>,
    bias: Option<Param<Tensor<1>>>,
}

impl ConvWeights {
    fn biased(&self, output: Tensor<5>) -> Tensor<5> {
        let Some(bias) = &self.bias else { return output };
        let [channels] = bias.dims();
        output + bias.val().reshape([1, channels, 1, 1, 1])
    }
}

impl Conv {
    pub(super) fn new(
        [in_channels, out_channels]: [usize; 2],
        kernel: [usize; 3],
        stride: [usize; 3],
        init: &mut Init<'_>,
    ) -> Self {
        let [z, y, x] = kernel;
        let weight = init.kaiming_normal([out_channels, in_channels, z, y, x]);
        let padding = padding(kernel, stride);
        Self { conv: ConvWeights { weight, bias: None }, stride, padding }
    }

    pub(super) fn with_bias(mut self, init: &mut Init<'_>) -> Self {
        let [out_channels, ..] = self.conv.weight.dims();
        self.conv.bias = Some(init.constant(0.0, out_channels));
        self
    }

    pub(super) fn forward(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let weight = self.conv.weight.val();
        self.conv.biased(ops::conv(input, weight, self.stride, self.padding, precision))
    }
}

/// A transposed convolution whose kernel is its stride: each voxel becomes a block of voxels.
#[derive(Module, Debug)]
struct TransposedConv {
    conv: ConvWeights,
    #[module(skip)]
    stride: [usize; 3],
}

impl TransposedConv {
    fn new(
        [in_channels, out_channels]: [usize; 2],
        stride: [usize; 3],
        biased: bool,
        init: &mut Init<'_>,
    ) -> Self {
        let [z, y, x] = stride;
        let weight = init.kaiming_normal([in_channels, out_channels, z, y, x]);
        let bias = biased.then(|| init.constant(0.0, out_channels));
        Self { conv: ConvWeights { weight, bias }, stride }
    }

    fn forward(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let weight = self.conv.weight.val();
        self.conv.biased(ops::transposed(input, weight, self.stride, precision))
    }
}

/// Two convolutions with their normalisations, MONAI's `UnetBasicBlock`; with a residual
/// connection, its `UnetResBlock`.
#[derive(Module, Debug)]
pub(super) struct Block {
    conv1: Conv,
    conv2: Conv,
    norm1: NormLayer,
    norm2: NormLayer,
    conv3: Option<Conv>,
    norm3: Option<NormLayer>,
    #[module(skip)]
    residual: bool,
    #[module(skip)]
    negative_slope: f64,
}

impl Block {
    pub(super) fn new(shape: BlockShape, init: &mut Init<'_>) -> Self {
        let BlockShape { channels: [_, out], kernel, stride, residual, norm, .. } = shape;
        let projected = residual && (shape.channels[0] != out || stride != [1; 3]);
        Self {
            conv1: Conv::new(shape.channels, kernel, stride, init),
            conv2: Conv::new([out, out], kernel, [1; 3], init),
            norm1: NormLayer::new(norm, out, init),
            norm2: NormLayer::new(norm, out, init),
            conv3: projected.then(|| Conv::new(shape.channels, [1; 3], stride, init)),
            norm3: projected.then(|| NormLayer::new(norm, out, init)),
            residual,
            negative_slope: shape.negative_slope,
        }
    }

    pub(super) fn forward(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let slope = self.negative_slope;
        let hidden = self.conv1.forward(input.clone(), precision);
        let hidden = ops::normalise(hidden, &self.norm1, None, slope);
        let output = self.conv2.forward(hidden, precision);
        let shortcut = self.residual.then(|| self.shortcut(input, precision));
        ops::normalise(output, &self.norm2, shortcut, slope)
    }

    fn shortcut(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let projected = match &self.conv3 {
            Some(conv) => conv.forward(input, precision),
            None => input,
        };
        match &self.norm3 {
            // A slope of 1 changes nothing.
            Some(norm) => ops::normalise(projected, norm, None, 1.0),
            None => projected,
        }
    }
}

/// One step up: finer by a transposed convolution, joined with what the way down had at this level,
/// MONAI's `UnetUpBlock`.
#[derive(Module, Debug)]
pub(super) struct Up {
    transp_conv: TransposedConv,
    conv_block: Block,
}

impl Up {
    /// `shape.channels` are those below and those at this level; `shape.stride` is the step up, and
    /// `biased` whether that has a bias.
    pub(super) fn new(shape: BlockShape, biased: bool, init: &mut Init<'_>) -> Self {
        let [_, out] = shape.channels;
        let block =
            BlockShape { channels: [2 * out, out], stride: [1; 3], residual: false, ..shape };
        Self {
            transp_conv: TransposedConv::new(shape.channels, shape.stride, biased, init),
            conv_block: Block::new(block, init),
        }
    }

    pub(super) fn forward(
        &self,
        below: Tensor<5>,
        skip: Tensor<5>,
        precision: Precision,
    ) -> Tensor<5> {
        let up = self.transp_conv.forward(below, precision);
        self.conv_block.forward(Tensor::cat(vec![up, skip], 1), precision)
    }
}
