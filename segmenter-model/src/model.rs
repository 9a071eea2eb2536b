//! A network with all that prediction needs to know about it.

use std::sync::Arc;

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use segmenter_core::{Space, VoxelSize, Yx, Zyx};
use serde::{Deserialize, Serialize};

use crate::{
    Blending, Compiled, ConfigError, DynUNet, DynUNetConfig, Normalisation, PatchError,
    Postprocess, Precision, UnknownRounding,
    network::{Autocast, Features},
    weights,
};

/// A network with all that prediction needs to know about it: how to scale intensities, which patch
/// it was trained on, where to cut its probabilities.
///
/// ```
/// use burn::tensor::Device;
/// use segmenter_core::Yx;
/// use segmenter_model::{DynUNetConfig, Model};
///
/// let device = Device::flex();
/// let model = Model::<Yx>::init(DynUNetConfig::small(), [64, 64], 7, &device)?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("nuclei.safetensors");
/// model.save(&path)?;
/// assert_eq!(Model::<Yx>::load(&path, &device)?.card(), model.card());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model<S: Space> {
    card: ModelCard<S>,
    network: DynUNet,
    device: Device,
    /// If it is to compute as PyTorch does in bfloat16.
    autocast: Option<Arc<Autocast>>,
}

/// A [`Model`] over planes.
pub type Model2 = Model<Yx>;

/// A [`Model`] over volumes.
pub type Model3 = Model<Zyx>;

/// What is to know about a network besides its weights. It is saved with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct ModelCard<S: Space> {
    /// The network's shape.
    pub network: DynUNetConfig<S>,
    /// How intensities are scaled before they reach the network.
    pub normalisation: Normalisation,
    /// The extent of the patches trained on. Images that are smaller are padded to it in prediction.
    pub patch: S::Extent,
    /// The largest extent of tiles in prediction, no smaller than the patch.
    pub tile: S::Extent,
    /// The share of a tile that it has in common with the next one in prediction, from 0 to below 1.
    pub overlap: f64,
    /// How voxels that several tiles hold are put together.
    #[serde(default)]
    pub blending: Blending,
    /// The probability above which a voxel is foreground.
    pub threshold: f32,
    /// What the program that trained the model makes of its logits, if that was another.
    #[serde(default)]
    pub postprocess: Option<Postprocess>,
    /// The voxel size of the images trained on, if they agreed on one.
    pub voxel_size: Option<VoxelSize<S>>,
    /// Where the weights come from.
    pub provenance: Provenance,
}

impl<S: Space> ModelCard<S> {
    /// What is known of a network that was made for patches of this extent: nothing but that.
    #[must_use]
    pub fn new(network: DynUNetConfig<S>, patch: S::Extent) -> Self {
        Self {
            network,
            normalisation: Normalisation::default(),
            patch,
            tile: patch,
            overlap: 0.2,
            blending: Blending::default(),
            threshold: 0.5,
            postprocess: None,
            voxel_size: None,
            provenance: Provenance::default(),
        }
    }
}

/// Where weights come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provenance {
    /// Program and version that made the file.
    pub made_by: String,
    /// Names of the images trained on, without their folders.
    pub images: Vec<String>,
    /// Optimiser steps taken, over all rounds of training.
    pub steps: u64,
    /// Dice on the validation images, if there were any.
    pub validation_dice: Option<f64>,
    /// What the training started from, if not from random weights.
    pub parent: Option<Box<Self>>,
}

/// A model that can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The network can't be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network can't take the patch.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

impl<S: Space> Model<S> {
    /// A model with random weights; the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// If the network can't be built, or can't take patches of that extent.
    pub fn init(
        network: DynUNetConfig<S>,
        patch: S::Extent,
        seed: u64,
        device: &Device,
    ) -> Result<Self, InitError> {
        network.check()?;
        network.check_patch(patch)?;
        let card = ModelCard::new(network, patch);
        Ok(Self::from_parts(DynUNet::new(&card.network, seed, device)?, card, device))
    }

    /// A model from a network and what is to know about it, which have to belong together.
    #[must_use]
    pub fn from_parts(network: DynUNet, card: ModelCard<S>, device: &Device) -> Self {
        Self { card, network, device: device.clone(), autocast: None }
    }

    /// What is to know about the network.
    #[must_use]
    pub fn card(&self) -> &ModelCard<S> {
        &self.card
    }

    /// The same model with another threshold.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.card.threshold = threshold;
        self
    }

    /// The same model, but it multiplies in other numbers on a CPU.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.network = self.network.with_precision(precision);
        self
    }

    /// The same model, but its logits are those of PyTorch on a CPU under
    /// `torch.autocast("cpu", torch.bfloat16)`, to the bit: what CytoDL computes when the Allen Cell
    /// Segmenter ML plugin runs it without a GPU.
    ///
    /// This is for comparing with that program's files. It computes on one thread and ten times as
    /// long, and a logit of it is off by up to a tenth. The bits are those of PyTorch 2.0 on
    /// processors with AVX-512; other versions and processors add up in other orders.
    ///
    /// # Errors
    /// If the network has another normalisation than the plugin's.
    pub fn with_autocast(mut self) -> Result<Self, UnknownRounding> {
        let tensors = weights::collect(&self.network, Zyx::RANK);
        self.autocast = Some(Arc::new(Autocast::new(&self.card.network, tensors)?));
        Ok(self)
    }

    /// Whether the model computes [as PyTorch does under autocast](Self::with_autocast).
    #[must_use]
    pub fn is_autocast(&self) -> bool {
        self.autocast.is_some()
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &DynUNet {
        &self.network
    }

    /// The network without what is known about it.
    #[must_use]
    pub fn into_network(self) -> DynUNet {
        self.network
    }

    /// Number of the network's parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// Where the network computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The model made ready for tiles of one extent, for prediction: on a CPU, weights are brought
    /// into the order in which they are used, normalisation costs no pass over memory, and each
    /// thread computes a tile of its own.
    #[must_use]
    pub fn compile(&self, tile: S::Extent) -> Compiled<'_, S> {
        Compiled::new(self, tile)
    }

    /// Computes logits from scaled intensities; see [`DynUNet::forward`].
    ///
    /// # Shapes
    /// - input: `[batch, in_channels, z, y, x]`, one slice for planes
    /// - output: `[batch, out_channels, z, y, x]`
    #[must_use]
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        match &self.autocast {
            None => self.network.forward(input),
            Some(autocast) => on_host(autocast, input),
        }
    }
}

/// Computes image by image, outside of the device.
fn on_host(autocast: &Autocast, input: Tensor<5>) -> Tensor<5> {
    let [batch, channels, z, y, x] = input.dims();
    let device = input.device();
    let values = input.into_data().convert::<f32>().try_to_vec::<f32>();
    let values = values.unwrap_or_else(|_| unreachable!("converted to f32 just now"));
    let (mut logits, mut structures) = (Vec::new(), 0);
    for image in values.chunks_exact(channels * z * y * x) {
        let features = Features { channels, extent: [z, y, x], values: image.to_vec() };
        let output = autocast.forward(features);
        structures = output.channels;
        logits.extend(output.values);
    }
    Tensor::from_data(TensorData::new(logits, [batch, structures, z, y, x]), &device)
}
