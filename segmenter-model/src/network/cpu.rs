//! The kernels of `segmenter-kernels` as operations of burn's CPU backend, with their gradients.
//!
//! burn knows them as a backend extension. Extensions panic on devices that they are not made for, so
//! [`super::ops`] asks for the device first.

use burn::{
    backend::{
        Autodiff, Backend, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Bytes, DType, Shape},
};
use burn_flex::{FlexTensor, Layout};
use segmenter_kernels::{Conv, Input, InstanceNorm, Moments, Precision, Settings};

/// Axes of all features: batch, channels, z, y, x.
const RANK: usize = 5;

#[backend_extension(Autodiff, Flex)]
pub(super) trait Kernels: Backend {
    /// A convolution of `[batch, in, z, y, x]` with `[out, in, z, y, x]`.
    fn conv(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        conv: Conv,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// A transposed convolution: `conv` is the one whose input gradient it is, for inputs of `extent`.
    fn transposed(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        conv: Conv,
        extent: [usize; 3],
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// An instance normalisation with a scale and an offset, and then a leaky ReLU.
    fn normalise(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        epsilon: f64,
        slope: f32,
    ) -> FloatTensor<Self>;

    /// The same with something added ahead of the leaky ReLU.
    fn normalise_and_add(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f64,
        slope: f32,
    ) -> FloatTensor<Self>;
}

impl Kernels for Flex {
    fn conv(input: FlexTensor, weight: FlexTensor, conv: Conv, precision: Precision) -> FlexTensor {
        convolve(&input, &weight, conv, precision)
    }

    fn transposed(
        input: FlexTensor,
        weight: FlexTensor,
        conv: Conv,
        extent: [usize; 3],
        precision: Precision,
    ) -> FlexTensor {
        back_to_input(&input, &weight, conv, extent, precision)
    }

    fn normalise(
        input: FlexTensor,
        scale: FlexTensor,
        offset: FlexTensor,
        epsilon: f64,
        slope: f32,
    ) -> FlexTensor {
        norm(&input, [&scale, &offset], None, epsilon, slope).0
    }

    fn normalise_and_add(
        input: FlexTensor,
        scale: FlexTensor,
        offset: FlexTensor,
        residual: FlexTensor,
        epsilon: f64,
        slope: f32,
    ) -> FlexTensor {
        norm(&input, [&scale, &offset], Some(&residual), epsilon, slope).0
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn conv(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        conv: Conv,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let output = convolve(input.primitive(), weight.primitive(), conv, precision);
        let nodes = [input.node(), weight.node()];
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => {
                let operands = Operands::new(&input, &weight);
                prepared.finish((operands, conv, precision), output)
            }
        }
    }

    fn transposed(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        conv: Conv,
        extent: [usize; 3],
        precision: Precision,
    ) -> FloatTensor<Self> {
        let output = back_to_input(input.primitive(), weight.primitive(), conv, extent, precision);
        let nodes = [input.node(), weight.node()];
        match TransposedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => {
                let operands = Operands::new(&input, &weight);
                prepared.finish((operands, conv, precision), output)
            }
        }
    }

    fn normalise(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        epsilon: f64,
        slope: f32,
    ) -> FloatTensor<Self> {
        let affine = [scale.primitive(), offset.primitive()];
        let (output, moments) = norm(input.primitive(), affine, None, epsilon, slope);
        let nodes = [input.node(), scale.node(), offset.node()];
        match NormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => {
                let tensors = [input.primitive(), &output, scale.primitive(), offset.primitive()];
                prepared.finish(Normalised::new(tensors, moments, slope), output)
            }
        }
    }

    fn normalise_and_add(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        epsilon: f64,
        slope: f32,
    ) -> FloatTensor<Self> {
        let affine = [scale.primitive(), offset.primitive()];
        let added = Some(residual.primitive());
        let (output, moments) = norm(input.primitive(), affine, added, epsilon, slope);
        let nodes = [input.node(), scale.node(), offset.node(), residual.node()];
        match NormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(output),
            OpsKind::Tracked(prepared) => {
                let tensors = [input.primitive(), &output, scale.primitive(), offset.primitive()];
                prepared.finish(Normalised::new(tensors, moments, slope), output)
            }
        }
    }
}

/// What a convolution's gradients are computed from.
#[derive(Clone, Debug)]
struct Operands {
    input: FlexTensor,
    weight: FlexTensor,
}

impl Operands {
    fn new(input: &FloatTensor<Autodiff<Flex>>, weight: &FloatTensor<Autodiff<Flex>>) -> Self {
        Self { input: input.primitive().clone(), weight: weight.primitive().clone() }
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 2> for ConvBackward {
    type State = (Operands, Conv, Precision);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (Operands { input, weight }, conv, precision) = ops.state;
        let [input_node, weight_node] = ops.parents;
        if let Some(node) = input_node {
            let extent = extent(&input);
            let back = back_to_input(&gradient, &weight, conv, extent, precision);
            gradients.register::<Flex>(node.id, back);
        }
        if let Some(node) = weight_node {
            let back = back_to_weight(&input, &gradient, conv, precision);
            gradients.register::<Flex>(node.id, back);
        }
    }
}

#[derive(Debug)]
struct TransposedBackward;

impl Backward<Flex, 2> for TransposedBackward {
    type State = (Operands, Conv, Precision);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (Operands { input, weight }, conv, precision) = ops.state;
        let [input_node, weight_node] = ops.parents;
        if let Some(node) = input_node {
            gradients.register::<Flex>(node.id, convolve(&gradient, &weight, conv, precision));
        }
        if let Some(node) = weight_node {
            let back = back_to_weight(&gradient, &input, conv, precision);
            gradients.register::<Flex>(node.id, back);
        }
    }
}

/// What a normalisation's gradients are computed from.
#[derive(Clone, Debug)]
struct Normalised {
    input: FlexTensor,
    output: FlexTensor,
    scale: FlexTensor,
    offset: FlexTensor,
    moments: Vec<Moments>,
    slope: f32,
}

impl Normalised {
    fn new(tensors: [&FlexTensor; 4], moments: Vec<Moments>, slope: f32) -> Self {
        let [input, output, scale, offset] = tensors.map(FlexTensor::clone);
        Self { input, output, scale, offset, moments, slope }
    }
}

#[derive(Debug)]
struct NormBackward;

/// With a residual, that is the fourth parent.
impl<const PARENTS: usize> Backward<Flex, PARENTS> for NormBackward {
    type State = Normalised;

    fn backward(
        self,
        ops: Ops<Normalised, PARENTS>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let Normalised { input, output, scale, offset, moments, slope } = ops.state;
        let norm = InstanceNorm {
            scale: values(&scale),
            offset: values(&offset),
            // Already part of the moments.
            epsilon: 0.0,
            slope,
        };
        let tensors = [values(&input), values(&output), values(&gradient)];
        let with_residual = PARENTS > 3 && ops.parents[3].is_some();
        let back = norm.gradients(tensors, &moments, with_residual, Settings::default());
        let shape = input.layout().shape();
        let channels = scale.layout().shape();
        let all = [
            Some((back.input, shape)),
            Some((back.scale, channels)),
            Some((back.offset, channels)),
            back.residual.map(|residual| (residual, shape)),
        ];
        for (node, back) in ops.parents.iter().zip(all) {
            if let (Some(node), Some((values, shape))) = (node, back) {
                gradients.register::<Flex>(node.id, tensor(values, shape.clone()));
            }
        }
    }
}

fn convolve(
    input: &FlexTensor,
    weight: &FlexTensor,
    conv: Conv,
    precision: Precision,
) -> FlexTensor {
    let settings = Settings { precision, ..Settings::default() };
    let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
    let extent = extent(&input);
    let prepared = segmenter_kernels::Prepared::forward(conv, extent, values(&weight), settings);
    run(&prepared, &input, conv.channels, conv.output_extent(extent), settings)
}

fn back_to_input(
    gradient: &FlexTensor,
    weight: &FlexTensor,
    conv: Conv,
    extent: [usize; 3],
    precision: Precision,
) -> FlexTensor {
    let settings = Settings { precision, ..Settings::default() };
    let (gradient, weight) = (gradient.to_contiguous(), weight.to_contiguous());
    let prepared = segmenter_kernels::Prepared::backward(conv, extent, values(&weight), settings);
    let [inputs, outputs] = conv.channels;
    run(&prepared, &gradient, [outputs, inputs], extent, settings)
}

/// Runs image by image.
fn run(
    prepared: &segmenter_kernels::Prepared,
    input: &FlexTensor,
    [channels, outputs]: [usize; 2],
    [z, y, x]: [usize; 3],
    settings: Settings,
) -> FlexTensor {
    let batch = input.layout().shape()[0];
    let size = outputs * z * y * x;
    let input = values(input);
    let images = input.chunks_exact(input.len() / batch);
    if batch == 1 {
        let output = prepared.run(&[Input::new(input, channels)], None, settings.threads);
        return tensor(output, Shape::new([1, outputs, z, y, x]));
    }
    let output = segmenter_memory::zeroed(batch * size);
    let mut output: Vec<f32> = output.expect("memory for the features");
    for (image, output) in images.zip(output.chunks_exact_mut(size)) {
        prepared.run_into(&[Input::new(image, channels)], None, output, settings.threads);
    }
    tensor(output, Shape::new([batch, outputs, z, y, x]))
}

fn back_to_weight(
    input: &FlexTensor,
    gradient: &FlexTensor,
    conv: Conv,
    precision: Precision,
) -> FlexTensor {
    let settings = Settings { precision, ..Settings::default() };
    let (input, gradient) = (input.to_contiguous(), gradient.to_contiguous());
    let [inputs, outputs] = conv.channels;
    let batch = input.layout().shape()[0];
    let mut sums = vec![0.0; conv.weights()];
    let images = [Input::new(values(&input), batch * inputs)];
    let gradients = [Input::new(values(&gradient), batch * outputs)];
    conv.add_weight_gradient(extent(&input), &images, &gradients, &mut sums, settings);
    let [z, y, x] = conv.kernel;
    tensor(sums, Shape::new([outputs, inputs, z, y, x]))
}

fn norm(
    input: &FlexTensor,
    [scale, offset]: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    epsilon: f64,
    slope: f32,
) -> (FlexTensor, Vec<Moments>) {
    let input = input.to_contiguous();
    let residual = residual.map(FlexTensor::to_contiguous);
    let norm = InstanceNorm { scale: values(scale), offset: values(offset), epsilon, slope };
    let voxels = extent(&input).iter().product();
    let residual = residual.as_ref().map(values);
    let (output, moments) = norm.forward(values(&input), residual, voxels, Settings::default());
    (tensor(output, input.layout().shape().clone()), moments)
}

fn extent(tensor: &FlexTensor) -> [usize; 3] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|axis| shape[RANK - 3 + axis])
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("contiguous numbers of f32"))
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
