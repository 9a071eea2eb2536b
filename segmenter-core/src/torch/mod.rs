//! The checkpoints of PyTorch and Lightning: reading them, and running nothing; writing them.
//!
//! Since version 1.6, `torch.save` writes a zip archive: `data.pkl` is a pickle of everything but
//! the numbers, and `data/0`, `data/1`, … are the storages that its tensors look into. The pickle
//! is read as data (see [`mod@pickle`]); of Python's names it may hold only those that tensors and
//! dictionaries need, and every other is refused by name.
//!
//! ```no_run
//! use segmenter_core::torch::TorchFile;
//!
//! let mut file = TorchFile::open("checkpoints/last.ckpt")?;
//! if let Some(parameters) = file.hyper_parameters() {
//!     println!("channels at each level: {}", parameters["backbone"]["filters"]);
//! }
//! for (name, tensor) in file.tensors()? {
//!     println!("{name}: {:?}", tensor.shape);
//! }
//! # Ok::<(), segmenter_core::torch::TorchError>(())
//! ```

mod checkpoints;
mod decode;
mod error;
mod json;
mod recorded;
mod tensor;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

use crate::{
    io::zip::Archive,
    pickle::{self, Reader, Unknown, Value},
};

pub use checkpoints::{Checkpoint, Checkpoints, CheckpointsError};
pub use error::{TensorFault, TorchError};
pub use json::to_json;
pub use recorded::{Recorded, Score};
pub use write::StateDict;

use tensor::View;

/// A checkpoint, of which the numbers are read when they are asked for.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    archive: Archive<Box<dyn Input>>,
    /// The folder in the archive that everything is in.
    folder: String,
    root: Value,
    /// The length of the file in bytes.
    length: u64,
}

/// One named array of `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The length of each axis, slowest first.
    pub shape: Vec<usize>,
    /// The values in that order.
    pub values: Vec<f32>,
}

/// A file on disk, or one that was inside another.
trait Input: Read + Seek + fmt::Debug + Send {}

impl<T: Read + Seek + fmt::Debug + Send> Input for T {}

/// Where the values of each tensor are, or why that can't be said, by its name.
type Views = Vec<(String, Result<View, String>)>;

/// The names that tensors and dictionaries need.
const KNOWN: [(&str, &str); 14] = [
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "BFloat16Storage"),
    ("torch", "BoolStorage"),
    ("torch", "ByteStorage"),
    ("torch", "CharStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "FloatStorage"),
    ("torch", "HalfStorage"),
    ("torch", "IntStorage"),
    ("torch", "LongStorage"),
    ("torch", "ShortStorage"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
];

impl TorchFile {
    /// Opens a checkpoint, and reads all of it but the numbers.
    ///
    /// # Errors
    /// If the file can't be read, is no checkpoint or a damaged one, or names anything but tensors
    /// and dictionaries.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TorchError> {
        Self::open_with(path, Unknown::Refuse)
    }

    /// Opens a checkpoint that may hold other objects, such as the `functools.partial` that some
    /// put among the hyper-parameters. With [`Unknown::Keep`] they are named in what is read and
    /// otherwise ignored; they are not run in any case.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, unknown: Unknown) -> Result<Self, TorchError> {
        let path = path.as_ref().to_owned();
        let (file, length) = open_file(&path)?;
        Self::new(path, Box::new(BufReader::new(file)), length, unknown)
    }

    /// Reads a checkpoint that is in memory, such as one out of an archive; errors name it by
    /// `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(
        path: impl Into<PathBuf>,
        bytes: Vec<u8>,
        unknown: Unknown,
    ) -> Result<Self, TorchError> {
        let length = bytes.len() as u64;
        Self::new(path.into(), Box::new(Cursor::new(bytes)), length, unknown)
    }

    fn new(
        path: PathBuf,
        input: Box<dyn Input>,
        length: u64,
        unknown: Unknown,
    ) -> Result<Self, TorchError> {
        let fail = |source| TorchError::Archive { path: path.clone(), source };
        let mut archive = Archive::new(input, room(length)).map_err(fail)?;
        let folder = folder(&archive, &path)?;
        let bytes = archive.read(&format!("{folder}/data.pkl")).map_err(fail)?;
        check_byte_order(&mut archive, &folder, &path)?;
        let root = Reader::new(&KNOWN)
            .with_unknown(unknown)
            .with_limits(limits(length))
            .read(&bytes)
            .map_err(|source| TorchError::Pickle { path: path.clone(), source })?;
        Ok(Self { path, archive, folder, root, length })
    }

    /// The keys at the top level, if the file holds a dictionary: of Lightning's `epoch`,
    /// `state_dict`, `hyper_parameters` and others.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.root.entries().into_iter().flatten().filter_map(|(key, _)| key.as_str())
    }

    /// What is kept under a key at the top level.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Value> {
        self.root.get(key)
    }

    /// What the model was made with, if the file is one of Lightning's. For values that JSON does
    /// not have, see [`to_json`].
    #[must_use]
    pub fn hyper_parameters(&self) -> Option<serde_json::Value> {
        self.entry("hyper_parameters").map(to_json)
    }

    /// The tensors under `state_dict`, or of the file if that is all it holds, by their names and
    /// in their order. Tensors that share a storage are given each on its own.
    ///
    /// # Errors
    /// If there is no state dictionary, any of its tensors does not fit its storage, or the file
    /// can't be read. All faults are told at once.
    pub fn tensors(&mut self) -> Result<Vec<(String, NamedTensor)>, TorchError> {
        let views = self.views()?;
        self.check_size(&views)?;
        let mut tensors = Vec::new();
        let mut faults = Vec::new();
        for (name, tensor) in self.read(views) {
            match tensor {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(reason) => faults.push(TensorFault { name, reason }),
            }
        }
        if faults.is_empty() {
            return Ok(tensors);
        }
        Err(TorchError::Tensors { path: self.path.clone(), faults })
    }

    fn views(&self) -> Result<Views, TorchError> {
        let state = self.entry("state_dict").unwrap_or(&self.root);
        let Some(entries) = state.entries().filter(|_| self.has_state()) else {
            let keys = self.keys().map(str::to_owned).collect();
            return Err(TorchError::NoStateDict { path: self.path.clone(), keys });
        };
        let name = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Ok(entries.iter().map(|(key, value)| (name(key), View::of(value))).collect())
    }

    /// Reads each storage once, however many tensors look into it.
    fn read(&mut self, views: Views) -> Vec<(String, Result<NamedTensor, String>)> {
        let mut tensors = Vec::new();
        let mut by_storage: BTreeMap<String, Vec<(usize, View)>> = BTreeMap::new();
        for (place, (name, view)) in views.into_iter().enumerate() {
            let unread = view.map(|view| {
                by_storage.entry(view.storage.clone()).or_default().push((place, view));
                NamedTensor { shape: Vec::new(), values: Vec::new() }
            });
            tensors.push((name, unread));
        }
        for (storage, views) in by_storage {
            let entry = format!("{}/data/{storage}", self.folder);
            let bytes = self.archive.read(&entry).map_err(|error| error.to_string());
            for (place, view) in views {
                tensors[place].1 = bytes.as_ref().map_err(String::clone).and_then(|b| view.read(b));
            }
        }
        tensors
    }

    /// A file without `state_dict` is taken for one if it begins with a tensor.
    fn has_state(&self) -> bool {
        let first = self.root.entries().and_then(<[_]>::first);
        self.entry("state_dict").is_some()
            || first.is_some_and(|(_, value)| View::of(value).is_ok())
    }

    /// Tensors may share storages, so a small file could ask for any amount of memory.
    fn check_size(&self, views: &Views) -> Result<(), TorchError> {
        let limit = room(self.length);
        let views = views.iter().filter_map(|(_, view)| view.as_ref().ok());
        let values = views.fold(0_u64, |sum, view| sum.saturating_add(view.count));
        let found = values.saturating_mul(4);
        if found > limit {
            return Err(TorchError::TooLarge { path: self.path.clone(), found, limit });
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<(File, u64), TorchError> {
    File::open(path)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata.len())))
        .map_err(|source| TorchError::Io { path: path.to_owned(), source })
}

/// What a file of this length may unpack to, and what its tensors may take. PyTorch compresses
/// nothing, and half precision and a few aliases take four times the file; more is no checkpoint.
fn room(length: u64) -> u64 {
    length.saturating_mul(8).saturating_add(64 << 20)
}

/// The pickle holds names and numbers of tensors, and so takes little beside the file.
fn limits(length: u64) -> pickle::Limits {
    let standard = pickle::Limits::default();
    let room = usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(16);
    pickle::Limits { memory: standard.memory.min(room.saturating_add(64 << 20)), ..standard }
}

/// The one folder at the top of the archive that has a `data.pkl`.
fn folder(archive: &Archive<Box<dyn Input>>, path: &Path) -> Result<String, TorchError> {
    let folders = archive.names().filter_map(|name| name.strip_suffix("/data.pkl"));
    let found: Vec<&str> = folders.filter(|folder| !folder.contains('/')).collect();
    match found[..] {
        [folder] => Ok(folder.to_owned()),
        _ => Err(TorchError::NoPickle { path: path.to_owned(), found: found.len() }),
    }
}

/// Newer versions say the byte order; older ones know only little-endian.
fn check_byte_order(
    archive: &mut Archive<Box<dyn Input>>,
    folder: &str,
    path: &Path,
) -> Result<(), TorchError> {
    let entry = format!("{folder}/byteorder");
    if !archive.names().any(|name| name == entry) {
        return Ok(());
    }
    let fail = |source| TorchError::Archive { path: path.to_owned(), source };
    let found = archive.read(&entry).map_err(fail)?;
    if found == b"little" {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&found[..found.len().min(32)]).into_owned();
    Err(TorchError::ByteOrder { path: path.to_owned(), found })
}
