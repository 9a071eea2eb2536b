//! Between arrays and tensors.

use crate::network::rounded;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array, ArrayView};
use segmenter_core::Space;

/// A batch of images as one tensor.
///
/// # Shapes
/// - images: `[channels, z, y, x]` or `[channels, y, x]` each, all of one shape
/// - output: `[batch, channels, z, y, x]`, one slice for planes
///
/// # Panics
/// If the images differ in shape.
#[must_use]
pub fn batch<S: Space>(images: &[ArrayView<'_, f32, S::ChannelDim>], device: &Device) -> Tensor<5> {
    let shape = images.first().map_or(vec![0; S::RANK + 1], |image| image.shape().to_vec());
    let extent = S::to_zyx(S::extent_from_fn(|axis| shape[axis + 1]));
    let mut values = Vec::with_capacity(images.len() * shape.iter().product::<usize>());
    for image in images {
        assert_eq!(image.shape(), shape, "the images of a batch are of one shape");
        values.extend(image.iter().copied());
    }
    let [z, y, x] = extent;
    Tensor::from_data(TensorData::new(values, [images.len(), shape[0], z, y, x]), device)
}

/// The images of a batch, in order.
///
/// # Shapes
/// - tensor: `[batch, channels, z, y, x]`, one slice for planes
/// - output: `[channels, z, y, x]` or `[channels, y, x]` each
#[must_use]
pub fn unbatch<S: Space>(tensor: Tensor<5>) -> Vec<Array<f32, S::ChannelDim>> {
    let [_, channels, z, y, x] = tensor.dims();
    let zyx = [z, y, x];
    let dim = S::channel_dim(channels, S::extent_from_fn(|axis| zyx[3 - S::RANK + axis]));
    let values: Vec<f32> = tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .unwrap_or_else(|_| unreachable!("converted to f32 just now"));
    let image = |values: &[f32]| {
        Array::from_shape_vec(dim.clone(), values.to_vec())
            .unwrap_or_else(|_| unreachable!("a chunk has as many values as the shape"))
    };
    values.chunks_exact(channels * z * y * x).map(image).collect()
}
/// The nearest number of bfloat16, the 16-bit format with the range of `f32`; of two that are equally
/// near, the even one.
#[must_use]
pub fn bfloat16(value: f32) -> f32 {
    rounded(value)
}
