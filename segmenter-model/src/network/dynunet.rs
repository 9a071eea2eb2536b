//! MONAI's DynUNet.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use segmenter_core::Space;

use super::{
    init::Init,
    layers::{Block, BlockShape, Conv, Up},
};
use crate::{ConfigError, DynUNetConfig, Precision};

/// The U-Net of nnU-Net as MONAI builds it (`monai.networks.nets.DynUNet`): residual blocks down,
/// transposed convolutions up, skip connections across, normalisation after each convolution.
#[derive(Module, Debug)]
pub struct DynUNet {
    input_block: Block,
    downsamples: Vec<Block>,
    bottleneck: Block,
    upsamples: Vec<Up>,
    output_block: Head,
    /// Trained elsewhere to give logits at coarser levels. Kept, so that they are there when the
    /// network goes back; nothing here computes with them.
    deep_supervision_heads: Vec<Head>,
    #[module(skip)]
    precision: Precision,
}

/// Apart from [`Conv`] only for the sake of its name in a checkpoint: `output_block.conv.conv.weight`.
#[derive(Module, Debug)]
struct Head {
    conv: Conv,
}

impl DynUNet {
    /// A network with random weights: normal with He's variance for a leaky ReLU, as MONAI
    /// initialises it. The same seed gives the same weights on every device.
    ///
    /// # Errors
    /// If a network of this shape can't be built.
    pub fn new<S: Space>(
        config: &DynUNetConfig<S>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let mut init = Init::new(seed, device);
        let last = config.filters.len() - 1;
        let down = |level: usize, init: &mut Init<'_>| Block::new(block_shape(config, level), init);
        Ok(Self {
            input_block: down(0, &mut init),
            downsamples: (1..last).map(|level| down(level, &mut init)).collect(),
            bottleneck: down(last, &mut init),
            upsamples: (0..last).rev().map(|to| up(config, to, &mut init)).collect(),
            output_block: head(config, 0, &mut init),
            deep_supervision_heads: (1..=config.deep_supervision_heads)
                .map(|level| head(config, level, &mut init))
                .collect(),
            precision: Precision::F32,
        })
    }

    /// The same network, but it multiplies in other numbers on a CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// In which numbers the network multiplies on a CPU.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Computes logits.
    ///
    /// # Shapes
    /// - input: `[batch, in_channels, z, y, x]`, one slice for planes; each axis a multiple of the
    ///   network's [divisor](DynUNetConfig::divisor)
    /// - output: `[batch, out_channels, z, y, x]`
    #[must_use]
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let precision = self.precision;
        let mut skips = vec![self.input_block.forward(input, precision)];
        for block in &self.downsamples {
            skips.push(block.forward(skips[skips.len() - 1].clone(), precision));
        }
        let deepest = self.bottleneck.forward(skips[skips.len() - 1].clone(), precision);
        let finest = self
            .upsamples
            .iter()
            .zip(skips.into_iter().rev())
            .fold(deepest, |below, (up, skip)| up.forward(below, skip, precision));
        self.output_block.conv.forward(finest, precision)
    }
}

fn block_shape<S: Space>(config: &DynUNetConfig<S>, level: usize) -> BlockShape {
    let above = match level {
        0 => config.in_channels,
        _ => config.filters[level - 1],
    };
    BlockShape {
        channels: [above, config.filters[level]],
        kernel: S::to_zyx(config.kernel_size[level]),
        stride: S::to_zyx(config.strides[level]),
        residual: config.res_block,
        norm: config.norm,
        negative_slope: config.negative_slope,
    }
}

/// MONAI gives the block that arrives at a level the kernel of the level that it came from.
fn up<S: Space>(config: &DynUNetConfig<S>, to: usize, init: &mut Init<'_>) -> Up {
    let shape = BlockShape {
        channels: [config.filters[to + 1], config.filters[to]],
        kernel: S::to_zyx(config.kernel_size[to + 1]),
        stride: S::to_zyx(config.upsample_kernel_size[to]),
        residual: false,
        norm: config.norm,
        negative_slope: config.negative_slope,
    };
    Up::new(shape, config.trans_bias, init)
}

fn head<S: Space>(config: &DynUNetConfig<S>, level: usize, init: &mut Init<'_>) -> Head {
    let channels = [config.filters[level], config.out_channels];
    Head { conv: Conv::new(channels, [1; 3], [1; 3], init).with_bias(init) }
}

#[cfg(test)]
mod tests {
    use segmenter_core::{Yx, Zyx};

    use super::*;
    use crate::Size;

    /// The parameter counts that MONAI 1.4 prints for the same configurations.
    #[test]
    fn the_plugins_sizes_have_as_many_parameters_as_in_monai() {
        let device = Device::flex();
        for (size, plane, volume) in [
            (Size::Small, 30_217, 85_913),
            (Size::Medium, 119_825, 342_321),
            (Size::Large, 477_217, 1_366_625),
        ] {
            let count = DynUNet::new(&DynUNetConfig::<Yx>::of_size(size), 0, &device).unwrap();
            assert_eq!(count.num_params(), plane);
            let count = DynUNet::new(&DynUNetConfig::<Zyx>::of_size(size), 0, &device).unwrap();
            assert_eq!(count.num_params(), volume);
        }
    }

    #[test]
    fn logits_have_the_extent_of_the_image_in_an_anisotropic_network_without_residuals() {
        let device = Device::flex();
        let mut config =
            DynUNetConfig::<Zyx>::new(&[4, 8, 8, 8], &[[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]]);
        config.kernel_size = vec![[1, 3, 3], [3, 3, 3], [3, 5, 3], [3, 3, 3]];
        config.res_block = false;
        let config = config.with_in_channels(2).with_out_channels(3);
        let network = DynUNet::new(&config, 0, &device).unwrap();
        let logits = network.forward(Tensor::zeros([1, 2, 2, 16, 24], &device));
        assert_eq!(logits.dims(), [1, 3, 2, 16, 24]);
    }
}
