//! A model made ready for tiles of one extent.

use ndarray::{Array, ArrayView};
use segmenter_core::Space;

use crate::{Model, tensor};
#[cfg(feature = "flex")]
use {
    crate::{NormKind, network::Inference, weights},
    burn::tensor::Device,
};

/// A [`Model`] made ready for tiles of one extent: see [`Model::compile`].
#[derive(Debug)]
pub struct Compiled<'a, S: Space> {
    model: &'a Model<S>,
    tile: S::Extent,
    #[cfg(feature = "flex")]
    inference: Option<Inference>,
}

impl<'a, S: Space> Compiled<'a, S> {
    pub(crate) fn new(model: &'a Model<S>, tile: S::Extent) -> Self {
        Self {
            model,
            tile,
            #[cfg(feature = "flex")]
            inference: inference(model, tile),
        }
    }

    /// How many tiles are best computed at once: as many as there are threads on a CPU, where each
    /// thread computes one; a single one on other devices, and where burn's own operations compute.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.model.tiles_at_once()
    }

    /// The logits of tiles of scaled intensities. They don't depend on how many come at once.
    ///
    /// # Shapes
    /// - tiles: `[channels, z, y, x]` or `[channels, y, x]` each, of the extent that this is for
    /// - output: the same with the network's output channels
    ///
    /// # Panics
    /// If a tile has another extent or number of channels.
    #[must_use]
    pub fn logits(
        &self,
        tiles: &[ArrayView<'_, f32, S::ChannelDim>],
    ) -> Vec<Array<f32, S::ChannelDim>> {
        let channels = self.model.card().network.in_channels;
        let dim = S::channel_dim(channels, self.tile);
        assert!(tiles.iter().all(|tile| tile.raw_dim() == dim), "tiles of another shape");
        #[cfg(feature = "flex")]
        if let Some(inference) = &self.inference {
            let (outputs, precision) =
                (self.model.card().network.out_channels, self.model.network().precision());
            let dim = S::channel_dim(outputs, self.tile);
            return segmenter_kernels::each_on_one_thread(tiles, |tile, threads| {
                let tile = tile.as_standard_layout();
                let values = tile.as_slice().unwrap_or_else(|| unreachable!("in standard layout"));
                let logits = inference.forward(values, precision, threads);
                Array::from_shape_vec(dim.clone(), logits)
                    .unwrap_or_else(|_| unreachable!("a network keeps the extent"))
            });
        }
        let logits = |tile: &ArrayView<'_, f32, S::ChannelDim>| {
            let batch = tensor::batch::<S>(&[tile.view()], self.model.device());
            tensor::unbatch::<S>(self.model.forward(batch))
        };
        tiles.iter().flat_map(logits).collect()
    }
}

impl<S: Space> Model<S> {
    /// Whether a [`Compiled`] of it computes without burn: on the CPU, in a type that kernels have, and
    /// if the network normalises by image and channel with a learned scale and offset.
    #[must_use]
    pub fn is_compiled(&self) -> bool {
        #[cfg(feature = "flex")]
        {
            let norm = &self.card().network.norm;
            let usual = norm.kind == NormKind::Instance && norm.affine;
            usual && !self.is_autocast() && *self.device() == Device::flex()
        }
        #[cfg(not(feature = "flex"))]
        false
    }

    /// How many tiles a [`Compiled`] of it best computes [at once](Compiled::at_once).
    #[must_use]
    pub fn tiles_at_once(&self) -> usize {
        #[cfg(feature = "flex")]
        if self.is_compiled() {
            return segmenter_kernels::available_threads();
        }
        1
    }
}

/// The network by itself, if the device is the CPU and the network is of the usual kind.
#[cfg(feature = "flex")]
fn inference<S: Space>(model: &Model<S>, tile: S::Extent) -> Option<Inference> {
    if !model.is_compiled() {
        return None;
    }
    let tensors = weights::collect(model.network(), 3);
    let network = &model.card().network;
    Some(Inference::new(network, &tensors, S::to_zyx(tile), model.network().precision()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tensor};
    use ndarray::Ix4;
    use segmenter_core::{Yx, Zyx};

    use super::*;
    use crate::{DynUNetConfig, Precision};

    fn check<S: Space>(config: DynUNetConfig<S>, tile: S::Extent, precision: Precision) {
        let device = Device::flex();
        let model = Model::init(config, tile, 3, &device).unwrap().with_precision(precision);
        let [z, y, x] = S::to_zyx(tile);
        let channels = model.card().network.in_channels;
        let distribution = Distribution::Normal(0.2, 1.5);
        let input = Tensor::<5>::random([3, channels, z, y, x], distribution, &device);
        let tiles = tensor::unbatch::<S>(input.clone());
        let views: Vec<_> = tiles.iter().map(|tile| tile.view()).collect();
        let compiled = model.compile(tile);
        assert!(compiled.inference.is_some());
        let expected = tensor::unbatch::<S>(model.forward(input));
        assert_eq!(compiled.logits(&views), expected);
        assert_eq!(compiled.logits(&views[1..2]), expected[1..2]);
    }

    #[test]
    fn the_logits_are_the_networks_to_the_bit() {
        for precision in [Precision::F32, Precision::Bf16] {
            check(DynUNetConfig::<Yx>::small(), [20, 36], precision);
            check(DynUNetConfig::<Zyx>::small(), [4, 12, 8], precision);
        }
        let mut config = DynUNetConfig::<Zyx>::new(
            &[4, 8, 8, 12],
            &[[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]],
        );
        config.kernel_size = vec![[1, 3, 3], [3, 3, 3], [3, 5, 3], [3, 3, 3]];
        config.trans_bias = true;
        let config = config.with_in_channels(2).with_out_channels(3);
        check(config.clone(), [2, 16, 24], Precision::F32);
        check(DynUNetConfig { res_block: false, ..config }, [2, 16, 24], Precision::F32);
    }

    #[test]
    fn networks_with_other_normalisations_are_computed_by_their_operations() {
        let mut config = DynUNetConfig::<Zyx>::small();
        config.norm.affine = false;
        let model = Model::init(config, [4, 8, 8], 0, &Device::flex()).unwrap();
        let compiled = model.compile([4, 8, 8]);
        assert_eq!(compiled.at_once(), 1);
        let tile = Array::<f32, Ix4>::ones((1, 4, 8, 8));
        assert_eq!(compiled.logits(&[tile.view()])[0].dim(), (1, 4, 8, 8));
    }
}
