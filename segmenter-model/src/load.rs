//! Loading a model from any of the files that hold one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use segmenter_core::{
    Space, Yx, Zyx,
    io::zip::ZipError,
    torch::{CheckpointsError, TorchError, TorchFile},
};

use crate::{
    ConfigError, DynUNet, DynUNetConfig, Model, ModelCard, NamedTensor, PatchError, WeightsError,
    checkpoint::{self, Checkpoint},
    file::{self, ModelFile},
    weights,
};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file system failed.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not a model file, or a damaged one.
    #[error("{path}: is not a model file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file's bytes changed since it was written.
    #[error("{path}: is damaged: its content does not match its sha256; fetch or copy it again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The model is for images of another rank.
    #[error("{path}: is a model for {found} images, but one for {expected} was asked for")]
    Axes {
        /// The file.
        path: PathBuf,
        /// The axes that the model is for.
        found: String,
        /// The axes asked for.
        expected: &'static str,
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
    /// The file is a zip archive, but can't be read as a checkpoint.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A checkpoint holds weights, and nothing tells of which network.
    #[error(
        "{path}: says nothing about its network: it has no `hyper_parameters.backbone`, and no \
         train_config.yaml lies beside it or above its folder; `Model::load_weights` takes the \
         network as an argument"
    )]
    NoNetwork {
        /// The file.
        path: PathBuf,
    },
    /// A zip archive can't be read.
    #[error("{path}: can't be unpacked")]
    Zip {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// The checkpoints of an experiment can't be read.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointsError),
    /// An experiment or an archive of one has no checkpoint.
    #[error("{path}: has no checkpoint: no file checkpoints/*.ckpt")]
    NoCheckpoint {
        /// The folder or archive.
        path: PathBuf,
    },
    /// A `train_config.yaml` can't be read as one.
    #[error("{path}: can't be read: {reason}")]
    TrainConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A checkpoint's description of the network lacks something, or holds something else there.
    #[error("{path}: `{key}` is {found}, but {expected} is needed")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is there.
        found: String,
        /// What has to be there.
        expected: &'static str,
    },
    /// A checkpoint's two paths to one block hold different values.
    #[error("{path}: `{alias}` differs from `{name}`, which is the same tensor in MONAI's DynUNet")]
    Alias {
        /// The file.
        path: PathBuf,
        /// The path through `skip_layers`.
        alias: String,
        /// The parameter.
        name: String,
    },
    /// The network that the file describes has far more parameters than the file has numbers.
    #[error(
        "{path}: describes a network that needs {needed} numbers as weights, and holds {found}"
    )]
    TooFewWeights {
        /// The file.
        path: PathBuf,
        /// Numbers that the network needs; more than can be counted is the largest number.
        needed: usize,
        /// Numbers in the file.
        found: usize,
    },
    /// The weights do not fit the network.
    #[error("{path}: holds weights that do not fit its network")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: WeightsError,
    },
    /// The network gives other logits than when it was saved.
    #[error(
        "{path}: the network gives logits that are off by {difference} from those saved with it; \
         this device or this version computes it wrongly"
    )]
    SelfTest {
        /// The file.
        path: PathBuf,
        /// The largest difference.
        difference: f32,
    },
}

/// A model of either rank, for files of which the rank is not known beforehand.
#[derive(Clone, Debug)]
pub enum AnyModel {
    /// For planes.
    Yx(Model<Yx>),
    /// For volumes.
    Zyx(Model<Zyx>),
}

impl AnyModel {
    /// Loads a model of either rank, from any file that [`Model::load`] takes.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let stored = Stored::read(path)?;
        match stored.axes() {
            Yx::AXES => Ok(Self::Yx(stored.into_model(path, device)?)),
            _ => Ok(Self::Zyx(stored.into_model(path, device)?)),
        }
    }
}

impl<S: Space> Model<S> {
    /// Loads a model. What the path leads to tells what it is:
    ///
    /// - a [model file](mod@crate::file);
    /// - a checkpoint of PyTorch or Lightning (`.ckpt`, `.pt`) that holds a DynUNet of MONAI's, as
    ///   CytoDL writes them. Nothing in it is run. The network's shape comes from
    ///   `hyper_parameters.backbone`, patch, overlap and blending from
    ///   `hyper_parameters.inference_args`, and what CytoDL makes of the logits from
    ///   `hyper_parameters.task_heads`. Where it has none of them, they come from a
    ///   `train_config.yaml` beside it, or above a folder `checkpoints`. Intensities are z-scored
    ///   over the whole image, as CytoDL does it; a `train_config.yaml` that says otherwise is
    ///   refused;
    /// - the folder of an experiment of the Allen Cell Segmenter ML plugin, or a zip archive of one
    ///   such as the plugin downloads: `train_config.yaml` and `checkpoints/*.ckpt`, of which the one
    ///   with the best recorded score is taken.
    ///
    /// # Errors
    /// If the file can't be read or is damaged, is for images of another rank, describes a network
    /// that is none of ours, or holds weights that do not fit it.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let stored = Stored::read(path)?;
        if stored.axes() != S::AXES {
            let (path, found) = (path.to_owned(), stored.axes().to_owned());
            return Err(LoadError::Axes { path, found, expected: S::AXES });
        }
        stored.into_model(path, device)
    }

    /// Loads weights alone, of a network that is known otherwise: a state dictionary that PyTorch
    /// saved, or a safetensors file, with MONAI's names. A prefix that all of the network's names
    /// share, such as `backbone.`, is left out, and so are other modules' weights.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use segmenter_core::Zyx;
    /// use segmenter_model::{DynUNetConfig, Model, ModelCard};
    ///
    /// let network = DynUNetConfig::<Zyx>::new(&[8, 16], &[[1, 1, 1], [1, 2, 2]]);
    /// let card = ModelCard::new(network, [16, 64, 64]);
    /// let model = Model::load_weights("state_dict.pt", card, &Device::flex())?;
    /// # Ok::<(), segmenter_model::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// If the file can't be read or is damaged, the network can't be built, or the weights do not
    /// fit it.
    pub fn load_weights(
        path: impl AsRef<Path>,
        card: ModelCard<S>,
        device: &Device,
    ) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let tensors = match is_zip(path)? {
            true => TorchFile::open(path)?.tensors()?,
            false => file::read_tensors(path)?,
        };
        let tensors = checkpoint::network_tensors(path, tensors, &card)?;
        build(path, card, tensors, device)
    }
}

/// A file that was read, but not made a model yet.
enum Stored {
    File(ModelFile),
    Checkpoint(Checkpoint),
}

impl Stored {
    fn read(path: &Path) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Ok(Self::Checkpoint(Checkpoint::read_folder(path)?));
        }
        if !is_zip(path)? {
            return Ok(Self::File(ModelFile::read(path)?));
        }
        Ok(Self::Checkpoint(match Checkpoint::read_zipped(path)? {
            Some(checkpoint) => checkpoint,
            None => Checkpoint::read(path)?,
        }))
    }

    fn axes(&self) -> &str {
        match self {
            Self::File(file) => &file.axes,
            Self::Checkpoint(checkpoint) => checkpoint.axes(),
        }
    }

    fn into_model<S: Space>(self, path: &Path, device: &Device) -> Result<Model<S>, LoadError> {
        match self {
            Self::File(file) => file.into_model(path, device),
            Self::Checkpoint(checkpoint) => checkpoint.into_model(device),
        }
    }
}

/// PyTorch's checkpoints are zip archives.
fn is_zip(path: &Path) -> Result<bool, LoadError> {
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut magic))
        .map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    Ok(magic == b"PK\x03\x04")
}

/// Puts a network together from its card and its weights.
pub(crate) fn build<S: Space>(
    path: &Path,
    card: ModelCard<S>,
    tensors: BTreeMap<String, NamedTensor>,
    device: &Device,
) -> Result<Model<S>, LoadError> {
    let path = || path.to_owned();
    card.network.check().map_err(|source| LoadError::Config { path: path(), source })?;
    check_size(&card.network, &tensors).map_err(|[needed, found]| LoadError::TooFewWeights {
        path: path(),
        needed,
        found,
    })?;
    let network = DynUNet::new(&card.network, 0, device)
        .map_err(|source| LoadError::Config { path: path(), source })?;
    for extent in [card.patch, card.tile] {
        let checked = card.network.check_patch(extent);
        checked.map_err(|source| LoadError::Patch { path: path(), source })?;
    }
    let network = weights::apply(network, S::RANK, tensors)
        .map_err(|source| LoadError::Weights { path: path(), source })?;
    Ok(Model::from_parts(network, card, device))
}

/// A small file can't ask for a large network. What is missing from one of a plausible size is told
/// by name later.
fn check_size<S: Space>(
    network: &DynUNetConfig<S>,
    tensors: &BTreeMap<String, NamedTensor>,
) -> Result<(), [usize; 2]> {
    const PLAUSIBLE: usize = 1 << 22;
    let found: usize = tensors.values().map(|tensor| tensor.values.len()).sum();
    let needed = network.parameters().unwrap_or(usize::MAX);
    if needed > found.max(PLAUSIBLE) { Err([needed, found]) } else { Ok(()) }
}
