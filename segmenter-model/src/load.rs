//! Loading a model from any of the files that hold one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use segmenter_core::{Space, Yx, Zyx, torch::TorchError};

use crate::{
    ConfigError, DynUNet, Model, ModelCard, NamedTensor, PatchError, WeightsError,
    checkpoint::Checkpoint, file::ModelFile, weights,
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
    /// Loads a model. The file's first bytes tell what it is:
    ///
    /// - a [model file](mod@crate::file);
    /// - a Lightning checkpoint (`.ckpt`) that holds a DynUNet, as CytoDL writes them. Nothing in it
    ///   is run. The network's shape comes from `hyper_parameters.backbone`, patch and overlap from
    ///   `hyper_parameters.inference_args`; intensities are z-scored over the whole image, as CytoDL
    ///   does it.
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
}

/// A file that was read, but not made a model yet.
enum Stored {
    File(ModelFile),
    Checkpoint(Checkpoint),
}

impl Stored {
    fn read(path: &Path) -> Result<Self, LoadError> {
        if is_zip(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })? {
            return Ok(Self::Checkpoint(Checkpoint::read(path)?));
        }
        Ok(Self::File(ModelFile::read(path)?))
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
fn is_zip(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
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
