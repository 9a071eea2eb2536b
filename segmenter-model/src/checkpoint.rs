//! Checkpoints of MONAI's DynUNet, as Lightning and CytoDL write them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use segmenter_core::{Space, Yx, Zyx, torch::TorchFile};
use serde_json::Value as Json;

use crate::{
    DynUNetConfig, LoadError, Model, ModelCard, NamedTensor, Normalisation, Provenance, load::build,
};

/// The name that CytoDL's module gives the network.
const BACKBONE: &str = "backbone.";

/// MONAI keeps a second path to each block, from which its forward pass recurses.
const ALIAS: &str = "skip_layers.";

const SPATIAL_DIMS: &str = "backbone.spatial_dims";

/// A checkpoint that was read, but not made a model yet.
pub(crate) struct Checkpoint {
    path: PathBuf,
    /// `hyper_parameters`.
    settings: Json,
    axes: &'static str,
    tensors: Vec<(String, NamedTensor)>,
}

impl Checkpoint {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let mut file = TorchFile::open(path)?;
        let settings = file.hyper_parameters().unwrap_or(Json::Null);
        let tensors = file.tensors()?;
        let mut checkpoint = Self { path: path.to_owned(), settings, axes: "", tensors };
        checkpoint.axes = match checkpoint.number(SPATIAL_DIMS)? {
            2 => Yx::AXES,
            3 => Zyx::AXES,
            found => return Err(checkpoint.fault(SPATIAL_DIMS, &found.to_string(), "2 or 3")),
        };
        Ok(checkpoint)
    }

    pub(crate) fn axes(&self) -> &'static str {
        self.axes
    }

    pub(crate) fn into_model<S: Space>(mut self, device: &Device) -> Result<Model<S>, LoadError> {
        let card = self.card::<S>()?;
        let tensors = std::mem::take(&mut self.tensors);
        let tensors = self.without_aliases(tensors, card.network.filters.len())?;
        build(&self.path, card, tensors, device)
    }

    fn card<S: Space>(&self) -> Result<ModelCard<S>, LoadError> {
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

    fn network<S: Space>(&self) -> Result<DynUNetConfig<S>, LoadError> {
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
    fn filters(&self, levels: usize) -> Result<Vec<usize>, LoadError> {
        let key = "backbone.filters";
        let Some(value) = self.get(key).filter(|value| !value.is_null()) else {
            let most = if self.number(SPATIAL_DIMS)? == 2 { 512 } else { 320 };
            let width = |level: usize| 32_usize.checked_shl(u32::try_from(level).unwrap_or(32));
            return Ok((0..levels).map(|level| width(level).unwrap_or(most).min(most)).collect());
        };
        let numbers = value.as_array().and_then(|list| list.iter().map(size).collect());
        numbers.ok_or_else(|| self.fault(key, &value.to_string(), "a list of whole numbers"))
    }

    fn check_norm(&self) -> Result<(), LoadError> {
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
    ) -> Result<BTreeMap<String, NamedTensor>, LoadError> {
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
                return Err(LoadError::Alias { path: self.path.clone(), alias, name });
            }
        }
        Ok(tensors)
    }

    fn get(&self, key: &str) -> Option<&Json> {
        key.split('.').try_fold(&self.settings, |value, part| value.get(part))
    }

    fn number(&self, key: &str) -> Result<usize, LoadError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        size(found).ok_or_else(|| self.fault(key, &found.to_string(), "a whole number"))
    }

    fn flag(&self, key: &str) -> Result<bool, LoadError> {
        match self.get(key) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.fault(key, &value.to_string(), "true or false"))
            }
        }
    }

    /// One number for all axes, or one an axis.
    fn extent<S: Space>(&self, key: &str) -> Result<S::Extent, LoadError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        extent::<S>(found)
            .ok_or_else(|| self.fault(key, &found.to_string(), "a whole number, or one an axis"))
    }

    /// One extent a level.
    fn extents<S: Space>(&self, key: &str) -> Result<Vec<S::Extent>, LoadError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        let extents = found.as_array().and_then(|list| list.iter().map(extent::<S>).collect());
        let needed = "a list with a whole number, or one an axis, for each level";
        extents.ok_or_else(|| self.fault(key, &found.to_string(), needed))
    }

    fn fault(&self, key: &str, found: &str, expected: &'static str) -> LoadError {
        LoadError::Setting {
            path: self.path.clone(),
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
