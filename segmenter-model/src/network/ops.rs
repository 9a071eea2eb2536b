//! The operations that networks are made of, by the kernels of `segmenter-kernels` where the device
//! is the CPU, and by burn's own anywhere else.

use burn::tensor::{
    Tensor,
    activation::leaky_relu,
    module::{conv_transpose3d, conv3d},
    ops::{ConvOptions, ConvTransposeOptions},
};

use super::norm::NormLayer;
use crate::Precision;

/// A convolution without bias.
pub(super) fn conv(
    input: Tensor<5>,
    weight: Tensor<5>,
    stride: [usize; 3],
    padding: [usize; 3],
    precision: Precision,
) -> Tensor<5> {
    #[cfg(feature = "flex")]
    if on_cpu(&input) {
        let conv = shape(&weight, stride, padding);
        let [input, weight] = [input, weight].map(Tensor::into_dispatch);
        let output = <Dispatch as Kernels>::conv(input, weight, conv, precision.into());
        return Tensor::from_dispatch(output);
    }
    let _ = precision;
    conv3d(input, weight, None, ConvOptions::new(stride, padding, [1; 3], 1))
}

/// A transposed convolution without bias, whose kernel is its stride.
pub(super) fn transposed(
    input: Tensor<5>,
    weight: Tensor<5>,
    stride: [usize; 3],
    precision: Precision,
) -> Tensor<5> {
    #[cfg(feature = "flex")]
    if on_cpu(&input) {
        let [_, _, z, y, x] = input.dims();
        let extent = [z * stride[0], y * stride[1], x * stride[2]];
        let conv = shape(&weight, stride, [0; 3]);
        let [input, weight] = [input, weight].map(Tensor::into_dispatch);
        let output =
            <Dispatch as Kernels>::transposed(input, weight, conv, extent, precision.into());
        return Tensor::from_dispatch(output);
    }
    let _ = precision;
    conv_transpose3d(
        input,
        weight,
        None,
        ConvTransposeOptions::new(stride, [0; 3], [0; 3], [1; 3], 1),
    )
}

/// A normalisation, then the residual if there is one, then a leaky ReLU.
pub(super) fn normalise(
    input: Tensor<5>,
    norm: &NormLayer,
    residual: Option<Tensor<5>>,
    slope: f64,
) -> Tensor<5> {
    #[cfg(feature = "flex")]
    if slope >= 0.0
        && on_cpu(&input)
        && let Some((scale, offset)) = norm.instance_affine()
    {
        let epsilon = norm.epsilon();
        #[allow(clippy::cast_possible_truncation, reason = "a slope is a small number")]
        let slope = slope as f32;
        let [scale, offset] = [scale, offset].map(Tensor::into_dispatch);
        let input = input.into_dispatch();
        return Tensor::from_dispatch(match residual.map(Tensor::into_dispatch) {
            None => <Dispatch as Kernels>::normalise(input, scale, offset, epsilon, slope),
            Some(residual) => <Dispatch as Kernels>::normalise_and_add(
                input, scale, offset, residual, epsilon, slope,
            ),
        });
    }
    let normalised = norm.forward(input);
    leaky_relu(
        match residual {
            None => normalised,
            Some(residual) => normalised + residual,
        },
        slope,
    )
}

#[cfg(feature = "flex")]
use {super::cpu::Kernels, burn::backend::Dispatch, segmenter_kernels::Conv};

/// Whether the kernels can take a tensor: the device has to be burn's CPU backend, and the numbers
/// `f32`.
#[cfg(feature = "flex")]
fn on_cpu(tensor: &Tensor<5>) -> bool {
    tensor.dtype() == burn::tensor::DType::F32
        && tensor.device().inner() == burn::tensor::Device::flex()
}

#[cfg(feature = "flex")]
fn shape(weight: &Tensor<5>, stride: [usize; 3], padding: [usize; 3]) -> Conv {
    let [outputs, inputs, z, y, x] = weight.dims();
    Conv { channels: [inputs, outputs], kernel: [z, y, x], stride, padding }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.3, 1.0), &Device::flex())
    }

    fn assert_near(found: Tensor<5>, expected: Tensor<5>) {
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let difference = (found - expected).abs().max().into_scalar::<f32>();
        assert!(difference <= 1e-5 * largest, "{difference} of {largest}");
    }

    #[test]
    fn a_convolution_is_burns_own() {
        for (stride, padding) in [([1; 3], [1; 3]), ([2, 1, 2], [1, 1, 0]), ([2; 3], [1; 3])] {
            let (input, weight) = (random([2, 3, 5, 6, 19]), random([5, 3, 3, 3, 3]));
            let options = ConvOptions::new(stride, padding, [1; 3], 1);
            let expected = conv3d(input.clone(), weight.clone(), None, options);
            assert_near(conv(input, weight, stride, padding, Precision::F32), expected);
        }
    }

    #[test]
    fn a_transposed_convolution_is_burns_own() {
        for stride in [[2; 3], [1, 2, 2], [2, 1, 3]] {
            let [z, y, x] = stride;
            let (input, weight) = (random([2, 6, 3, 4, 9]), random([6, 5, z, y, x]));
            let options = ConvTransposeOptions::new(stride, [0; 3], [0; 3], [1; 3], 1);
            let expected = conv_transpose3d(input.clone(), weight.clone(), None, options);
            assert_near(transposed(input, weight, stride, Precision::F32), expected);
        }
    }
}
