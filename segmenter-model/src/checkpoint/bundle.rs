//! Experiments of the Allen Cell Segmenter ML plugin: folders, and the zip archives that it
//! downloads.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use segmenter_core::{
    io::zip::{Archive, ZipError},
    pickle::Unknown,
    torch::TorchFile,
};

use super::{Checkpoint, train_config};
use crate::LoadError;

/// What the entries of an archive may unpack to together.
const LIMIT: u64 = 16 << 30;

impl Checkpoint {
    /// Reads the checkpoint of an experiment that has the best recorded score.
    pub(crate) fn read_folder(folder: &Path) -> Result<Self, LoadError> {
        Err(LoadError::NoCheckpoint { path: folder.to_owned() })
    }

    /// Reads the checkpoint of a zipped experiment that has the best recorded score; `None` if the
    /// archive is a checkpoint itself.
    pub(crate) fn read_zipped(path: &Path) -> Result<Option<Self>, LoadError> {
        let fail = |source| LoadError::Zip { path: path.to_owned(), source };
        let file =
            File::open(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        let mut archive = Archive::new(BufReader::new(file), LIMIT).map_err(fail)?;
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        if names.iter().any(|name| name.ends_with("/data.pkl")) {
            return Ok(None);
        }
        Err(LoadError::NoCheckpoint { path: path.to_owned() })
    }
}
