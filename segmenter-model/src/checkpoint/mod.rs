//! Checkpoints of MONAI's DynUNet, as Lightning and CytoDL write them.

mod bundle;
mod export;
mod names;
mod network;
mod settings;
mod train_config;
mod usage;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use segmenter_core::{
    Space,
    pickle::Value,
    torch::{NamedTensor, TorchFile},
};

use crate::{LoadError, Model, ModelCard, load::build};
use settings::Settings;

/// Under which a Lightning checkpoint keeps what the model was made with.
const HYPER_PARAMETERS: &str = "hyper_parameters";

/// What PyTorch counts in a batch normalisation, and nobody uses.
const COUNTER: &str = ".num_batches_tracked";

/// A checkpoint that was read, but not made a model yet.
pub(crate) struct Checkpoint {
    path: PathBuf,
    settings: Settings,
    /// The `train_config.yaml` that belongs to it.
    config: Option<Settings>,
    axes: &'static str,
    steps: u64,
    tensors: Vec<(String, NamedTensor)>,
}

impl Checkpoint {
    /// Reads a checkpoint, and the `train_config.yaml` beside it or in the folder above.
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let config = beside(path).map(|config| train_config::read(&config)).transpose()?;
        Self::new(path, TorchFile::open(path)?, config)
    }

    fn new(
        path: &Path,
        mut file: TorchFile,
        mut config: Option<Settings>,
    ) -> Result<Self, LoadError> {
        let described = file.hyper_parameters().filter(|values| values.get("backbone").is_some());
        let settings = match described {
            Some(values) => Settings::new(path, HYPER_PARAMETERS, values),
            None => config.take().ok_or_else(|| LoadError::NoNetwork { path: path.to_owned() })?,
        };
        let axes = network::axes(&settings)?;
        let steps = file.entry("global_step").and_then(Value::as_size).unwrap_or(0) as u64;
        let tensors = file.tensors()?;
        Ok(Self { path: path.to_owned(), settings, config, axes, steps, tensors })
    }

    pub(crate) fn axes(&self) -> &'static str {
        self.axes
    }

    pub(crate) fn into_model<S: Space>(self, device: &Device) -> Result<Model<S>, LoadError> {
        let network = network::network::<S>(&self.settings)?;
        let mut card = usage::card(&self.settings, network)?;
        if let Some(config) = &self.config {
            card.normalisation = usage::normalisation(config)?;
        }
        card.provenance.steps = self.steps;
        let tensors = network_tensors(&self.path, self.tensors, &card)?;
        build(&self.path, card, tensors, device)
    }
}

/// The configuration that CytoDL keeps above its `checkpoints`, or that somebody put beside a file.
fn beside(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let folders = [Some(folder), folder.parent().filter(|_| folder.ends_with("checkpoints"))];
    let mut configs = folders.into_iter().flatten().map(|folder| folder.join(train_config::NAME));
    configs.find(|config| config.is_file())
}

/// The network's own tensors of a state dictionary, under the network's names.
///
/// Other modules of a training program are left out: they are no part of the network. The second
/// path to each block is folded into the first, after checking that they agree.
pub(crate) fn network_tensors<S: Space>(
    path: &Path,
    tensors: Vec<(String, NamedTensor)>,
    card: &ModelCard<S>,
) -> Result<BTreeMap<String, NamedTensor>, LoadError> {
    let prefix = names::prefix(tensors.iter().map(|(name, _)| name.as_str()));
    let prefix = prefix.unwrap_or_default().to_owned();
    let levels = card.network.filters.len();
    let own = |(name, tensor): (String, NamedTensor)| {
        let name = name.strip_prefix(&prefix)?;
        (!name.ends_with(COUNTER)).then(|| (name.to_owned(), tensor))
    };
    let (aliases, mut tensors): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tensors.into_iter().filter_map(own).partition(|(name, _)| names::is_alias(name));
    for (alias, tensor) in aliases {
        let Some(name) = names::aliased(&alias, levels) else {
            // Not a path that MONAI makes: left to be reported as unknown.
            tensors.insert(alias, tensor);
            continue;
        };
        if tensors.get(&name).is_some_and(|same| *same != tensor) {
            return Err(LoadError::Alias { path: path.to_owned(), alias, name });
        }
    }
    Ok(tensors)
}
