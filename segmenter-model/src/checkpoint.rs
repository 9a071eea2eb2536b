//! Checkpoints of MONAI's DynUNet, as Lightning and CytoDL write them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use segmenter_core::Space;
use serde_json::Value as Json;

use crate::{
    AnyModel, ConfigError, DynUNet, DynUNetConfig, Model, ModelCard, NamedTensor, Normalisation,
    PatchError, Provenance, WeightsError,
    torch::{TorchError, TorchFile},
    weights,
};

/// The name that CytoDL's module gives the network.
const BACKBONE: &str = "backbone.";

/// MONAI keeps a second path to each block, from which its forward pass recurses.
const ALIAS: &str = "skip_layers.";

/// Why a checkpoint did not become a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file can't be read as a checkpoint.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The description of the network lacks something, or holds something else there.
    #[error("{path}: `{key}` is {found}, but {expected} is needed")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The key under `hyper_parameters`.
        key: String,
        /// What is there.
        found: String,
        /// What has to be there.
        expected: &'static str,
    },
    /// Two paths to one block hold different values.
    #[error("{path}: `{alias}` differs from `{name}`, which is the same tensor in MONAI's DynUNet")]
    Alias {
        /// The file.
        path: PathBuf,
        /// The path through `skip_layers`.
        alias: String,
        /// The parameter.
        name: String,
    },
    /// The network that the file describes can't be built.
    #[error("{path}: describes a network that can't be built")]
    Config {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: ConfigError,
    },
    /// The patch that the file names does not suit its network.
    #[error("{path}: names a patch that its network can't take")]
    Patch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: PatchError,
    },
    /// The weights do not fit the network.
    #[error("{path}: holds weights that do not fit its network")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: WeightsError,
    },
}

impl AnyModel {
    /// Loads a Lightning checkpoint that holds a DynUNet, as CytoDL writes them, without running any
    /// of it. The network's shape comes from `hyper_parameters.backbone`, patch and overlap from
    /// `hyper_parameters.inference_args`; intensities are z-scored over the whole image, as CytoDL
    /// does it.
    ///
    /// # Errors
    /// If the file can't be read, holds a name that is not expected in it, describes a network that
    /// is none of ours, or its tensors do not fit that network.
    pub fn load_checkpoint(
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut file = TorchFile::open(&path)?;
        let settings =
            Settings { path: path.as_ref(), root: file.hyper_parameters().unwrap_or(Json::Null) };
        let tensors = file.tensors()?;
        match settings.number("backbone.spatial_dims")? {
            2 => Ok(Self::Yx(settings.model(tensors, device)?)),
            3 => Ok(Self::Zyx(settings.model(tensors, device)?)),
            found => Err(settings.fault("backbone.spatial_dims", &found.to_string(), "2 or 3")),
        }
    }
}

/// The `hyper_parameters` of a checkpoint.
struct Settings<'a> {
    path: &'a Path,
    root: Json,
}

impl Settings<'_> {
    fn model<S: Space>(
        &self,
        tensors: Vec<(String, NamedTensor)>,
        device: &Device,
    ) -> Result<Model<S>, CheckpointError> {
        let path = || self.path.to_owned();
        let card = self.card::<S>()?;
        let network = DynUNet::new(&card.network, 0, device)
            .map_err(|source| CheckpointError::Config { path: path(), source })?;
        card.network
            .check_patch(card.patch)
            .map_err(|source| CheckpointError::Patch { path: path(), source })?;
        let tensors = self.without_aliases(tensors, card.network.filters.len())?;
        let network = weights::apply(network, S::RANK, tensors)
            .map_err(|source| CheckpointError::Weights { path: path(), source })?;
        Ok(Model::from_parts(network, card, device))
    }

    fn card<S: Space>(&self) -> Result<ModelCard<S>, CheckpointError> {
        let network = self.network::<S>()?;
        let patch = match self.get("inference_args.roi_size") {
            Some(_) => self.extent::<S>("inference_args.roi_size")?,
            None => network.next_patch(S::extent_from_fn(|_| 64)),
        };
        let overlap = self.get("inference_args.overlap").and_then(Json::as_f64).unwrap_or(0.25);
        Ok(ModelCard {
            network,
            normalisation: Normalisation::ZScore,
            patch,
            tile: patch,
            overlap,
            threshold: 0.5,
            voxel_size: None,
            provenance: Provenance { made_by: "CytoDL".to_owned(), ..Provenance::default() },
        })
    }

    fn network<S: Space>(&self) -> Result<DynUNetConfig<S>, CheckpointError> {
        self.check_norm()?;
        let strides = self.extents::<S>("backbone.strides")?;
        let upsample_kernel_size = match self.get("backbone.upsample_kernel_size") {
            Some(_) => self.extents::<S>("backbone.upsample_kernel_size")?,
            None => strides.get(1..).unwrap_or_default().to_vec(),
        };
        let kernel_size = self.extents::<S>("backbone.kernel_size")?;
        Ok(DynUNetConfig {
            in_channels: self.number("backbone.in_channels")?,
            out_channels: self.number("backbone.out_channels")?,
            filters: self.filters(kernel_size.len())?,
            kernel_size,
            strides,
            upsample_kernel_size,
            res_block: self.flag("backbone.res_block")?,
        })
    }

    /// MONAI's default doubles from 32, up to 512 over planes and 320 over volumes.
    fn filters(&self, levels: usize) -> Result<Vec<usize>, CheckpointError> {
        let key = "backbone.filters";
        let Some(value) = self.get(key).filter(|value| !value.is_null()) else {
            let most = if self.number("backbone.spatial_dims")? == 2 { 512 } else { 320 };
            let width = |level: usize| 32_usize.checked_shl(u32::try_from(level).unwrap_or(32));
            return Ok((0..levels).map(|level| width(level).unwrap_or(most).min(most)).collect());
        };
        let numbers = value.as_array().and_then(|list| list.iter().map(size).collect());
        numbers.ok_or_else(|| self.fault(key, &value.to_string(), "a list of whole numbers"))
    }

    fn check_norm(&self) -> Result<(), CheckpointError> {
        let key = "backbone.norm_name";
        let Some(norm) = self.get(key) else { return Ok(()) };
        let name = norm.as_array().map_or(norm, |list| list.first().unwrap_or(norm));
        match name.as_str().map(str::to_lowercase).as_deref() {
            Some("instance") => Ok(()),
            _ => Err(self.fault(key, &norm.to_string(), "instance normalisation")),
        }
    }

    /// Folds the second path to each block into the first, after checking that they agree.
    fn without_aliases(
        &self,
        tensors: Vec<(String, NamedTensor)>,
        levels: usize,
    ) -> Result<BTreeMap<String, NamedTensor>, CheckpointError> {
        let named = |(name, tensor): (String, NamedTensor)| {
            (name.strip_prefix(BACKBONE).map_or(name.clone(), str::to_owned), tensor)
        };
        let (aliases, mut tensors): (BTreeMap<_, _>, BTreeMap<_, _>) =
            tensors.into_iter().map(named).partition(|(name, _)| name.starts_with(ALIAS));
        for (alias, tensor) in aliases {
            let Some(name) = aliased(&alias, levels) else {
                // Not a path that MONAI makes: left to be reported as unknown.
                tensors.insert(alias, tensor);
                continue;
            };
            if tensors.get(&name).is_some_and(|same| *same != tensor) {
                return Err(CheckpointError::Alias { path: self.path.to_owned(), alias, name });
            }
        }
        Ok(tensors)
    }

    fn get(&self, key: &str) -> Option<&Json> {
        key.split('.').try_fold(&self.root, |value, part| value.get(part))
    }

    fn number(&self, key: &str) -> Result<usize, CheckpointError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        size(found).ok_or_else(|| self.fault(key, &found.to_string(), "a whole number"))
    }

    fn flag(&self, key: &str) -> Result<bool, CheckpointError> {
        match self.get(key) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.fault(key, &value.to_string(), "true or false"))
            }
        }
    }

    /// One number for all axes, or one an axis.
    fn extent<S: Space>(&self, key: &str) -> Result<S::Extent, CheckpointError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        extent::<S>(found)
            .ok_or_else(|| self.fault(key, &found.to_string(), "a whole number, or one an axis"))
    }

    /// One extent a level.
    fn extents<S: Space>(&self, key: &str) -> Result<Vec<S::Extent>, CheckpointError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        let extents = found.as_array().and_then(|list| list.iter().map(extent::<S>).collect());
        let needed = "a list with a whole number, or one an axis, for each level";
        extents.ok_or_else(|| self.fault(key, &found.to_string(), needed))
    }

    fn fault(&self, key: &str, found: &str, expected: &'static str) -> CheckpointError {
        CheckpointError::Setting {
            path: self.path.to_owned(),
            key: format!("hyper_parameters.{key}"),
            found: found.to_owned(),
            expected,
        }
    }
}

fn size(value: &Json) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn extent<S: Space>(value: &Json) -> Option<S::Extent> {
    if let Some(number) = size(value) {
        return Some(S::extent_from_fn(|_| number));
    }
    let numbers: Vec<usize> = value.as_array()?.iter().map(size).collect::<Option<_>>()?;
    (numbers.len() == S::RANK).then(|| S::extent_from_fn(|axis| numbers[axis]))
}

/// The parameter that a path through `skip_layers` leads to: each `next_layer` goes one level down,
/// then `downsample` or `upsample` is that level's block; at the lowest level it is the bottleneck.
fn aliased(alias: &str, levels: usize) -> Option<String> {
    let mut rest = alias.strip_prefix(ALIAS)?;
    let mut level = 0;
    while let Some(below) = rest.strip_prefix("next_layer.") {
        rest = below;
        level += 1;
    }
    let lowest = levels - 1;
    if level == lowest {
        return Some(format!("bottleneck.{rest}"));
    }
    if let Some(rest) = rest.strip_prefix("upsample.") {
        return (level < lowest).then(|| format!("upsamples.{}.{rest}", lowest - 1 - level));
    }
    let rest = rest.strip_prefix("downsample.")?;
    match level {
        0 => Some(format!("input_block.{rest}")),
        _ => Some(format!("downsamples.{}.{rest}", level - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alias map of MONAI 1.4 for three levels.
    #[test]
    fn skip_layers_lead_where_monais_do() {
        let lead = |alias: &str| aliased(alias, 3);
        for (alias, name) in [
            ("skip_layers.downsample.conv1", "input_block.conv1"),
            ("skip_layers.next_layer.downsample.conv1", "downsamples.0.conv1"),
            ("skip_layers.next_layer.next_layer.conv1", "bottleneck.conv1"),
            ("skip_layers.next_layer.upsample.conv1", "upsamples.0.conv1"),
            ("skip_layers.upsample.conv1", "upsamples.1.conv1"),
        ] {
            assert_eq!(lead(alias).as_deref(), Some(name));
        }
        assert_eq!(lead("skip_layers.sideways"), None);
    }
}
