//! The layers a DynUNet is made of.

use burn::{
    module::{Module, Param},
    tensor::{
        Tensor,
        activation::leaky_relu,
        module::{conv_transpose3d, conv3d},
        ops::{ConvOptions, ConvTransposeOptions},
    },
};

use super::init::Init;

/// Slope for negative values, as MONAI's DynUNet has it.
const NEGATIVE_SLOPE: f64 = 0.01;

/// Added to the variance, as PyTorch's `InstanceNorm` has it.
const EPSILON: f64 = 1e-5;

/// What a block is built from.
#[derive(Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) channels: [usize; 2],
    pub(super) kernel: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) residual: bool,
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

impl Conv {
    pub(super) fn new(
        [in_channels, out_channels]: [usize; 2],
        kernel: [usize; 3],
        stride: [usize; 3],
        init: &mut Init<'_>,
    ) -> Self {
        let [z, y, x] = kernel;
        let weight = init.kaiming_normal([out_channels, in_channels, z, y, x]);
        // MONAI `get_padding`: (kernel - stride + 1) / 2, truncated.
        let padding =
            std::array::from_fn(|axis| (kernel[axis] + 1).saturating_sub(stride[axis]) / 2);
        Self { conv: ConvWeights { weight, bias: None }, stride, padding }
    }

    pub(super) fn with_bias(mut self, init: &mut Init<'_>) -> Self {
        let [out_channels, ..] = self.conv.weight.dims();
        self.conv.bias = Some(init.constant(0.0, out_channels));
        self
    }

    pub(super) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let options = ConvOptions::new(self.stride, self.padding, [1; 3], 1);
        let bias = self.conv.bias.as_ref().map(Param::val);
        conv3d(input, self.conv.weight.val(), bias, options)
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
        init: &mut Init<'_>,
    ) -> Self {
        let [z, y, x] = stride;
        let weight = init.kaiming_normal([in_channels, out_channels, z, y, x]);
        Self { conv: ConvWeights { weight, bias: None }, stride }
    }

    fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let options = ConvTransposeOptions::new(self.stride, [0; 3], [0; 3], [1; 3], 1);
        conv_transpose3d(input, self.conv.weight.val(), None, options)
    }
}

/// Instance normalisation: each channel of each image gets mean 0 and variance 1, then a learned
/// scale and offset.
#[derive(Module, Debug)]
struct InstanceNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl InstanceNorm {
    fn new(channels: usize, init: &mut Init<'_>) -> Self {
        Self { weight: init.constant(1.0, channels), bias: init.constant(0.0, channels) }
    }

    fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let [batch, channels, z, y, x] = input.dims();
        let flat: Tensor<3> = input.reshape([batch, channels, z * y * x]);
        let centred = flat.clone() - flat.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        let per_channel = |values: Tensor<1>| values.reshape([1, channels, 1]);
        let scale = per_channel(self.weight.val()) / (variance + EPSILON).sqrt();
        let normed = centred * scale + per_channel(self.bias.val());
        normed.reshape([batch, channels, z, y, x])
    }
}

/// Two convolutions with their normalisations, MONAI's `UnetBasicBlock`; with a residual
/// connection, its `UnetResBlock`.
#[derive(Module, Debug)]
pub(super) struct Block {
    conv1: Conv,
    conv2: Conv,
    norm1: InstanceNorm,
    norm2: InstanceNorm,
    conv3: Option<Conv>,
    norm3: Option<InstanceNorm>,
    #[module(skip)]
    residual: bool,
}

impl Block {
    pub(super) fn new(shape: BlockShape, init: &mut Init<'_>) -> Self {
        let BlockShape { channels: [_, out], kernel, stride, residual } = shape;
        let projected = residual && (shape.channels[0] != out || stride != [1; 3]);
        Self {
            conv1: Conv::new(shape.channels, kernel, stride, init),
            conv2: Conv::new([out, out], kernel, [1; 3], init),
            norm1: InstanceNorm::new(out, init),
            norm2: InstanceNorm::new(out, init),
            conv3: projected.then(|| Conv::new(shape.channels, [1; 3], stride, init)),
            norm3: projected.then(|| InstanceNorm::new(out, init)),
            residual,
        }
    }

    pub(super) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let hidden = self.norm1.forward(self.conv1.forward(input.clone()));
        let hidden = leaky_relu(hidden, NEGATIVE_SLOPE);
        let output = self.norm2.forward(self.conv2.forward(hidden));
        let output = if self.residual { output + self.shortcut(input) } else { output };
        leaky_relu(output, NEGATIVE_SLOPE)
    }

    fn shortcut(&self, input: Tensor<5>) -> Tensor<5> {
        let projected = match &self.conv3 {
            Some(conv) => conv.forward(input),
            None => input,
        };
        match &self.norm3 {
            Some(norm) => norm.forward(projected),
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
    /// `shape.channels` are those below and those at this level; `shape.stride` is the step up.
    pub(super) fn new(shape: BlockShape, init: &mut Init<'_>) -> Self {
        let [_, out] = shape.channels;
        let block = BlockShape {
            channels: [2 * out, out],
            kernel: shape.kernel,
            stride: [1; 3],
            residual: false,
        };
        Self {
            transp_conv: TransposedConv::new(shape.channels, shape.stride, init),
            conv_block: Block::new(block, init),
        }
    }

    pub(super) fn forward(&self, below: Tensor<5>, skip: Tensor<5>) -> Tensor<5> {
        let up = self.transp_conv.forward(below);
        self.conv_block.forward(Tensor::cat(vec![up, skip], 1))
    }
}
