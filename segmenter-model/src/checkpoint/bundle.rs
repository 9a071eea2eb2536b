//! Experiments of the Allen Cell Segmenter ML plugin: folders, and the zip archives that it
//! downloads.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use segmenter_core::{
    io::zip::Archive,
    pickle::Unknown,
    torch::{Checkpoint as Candidate, Checkpoints, TorchFile},
};

use super::{Checkpoint, settings::Settings, train_config};
use crate::LoadError;

/// What the entries of an archive may unpack to together.
const LIMIT: u64 = 16 << 30;

const FOLDER: &str = "checkpoints";

impl Checkpoint {
    /// Reads the checkpoint of an experiment that has the best recorded score.
    pub(crate) fn read_folder(folder: &Path) -> Result<Self, LoadError> {
        let none = || LoadError::NoCheckpoint { path: folder.to_owned() };
        let checkpoints = folder.join(FOLDER);
        if !checkpoints.is_dir() {
            return Err(none());
        }
        let checkpoints = Checkpoints::open(checkpoints)?;
        Self::read(&checkpoints.best().ok_or_else(none)?.path)
    }

    /// Reads the checkpoint of a zipped experiment that has the best recorded score; `None` if the
    /// archive is a checkpoint itself.
    pub(crate) fn read_zipped(path: &Path) -> Result<Option<Self>, LoadError> {
        let mut bundle = Bundle::open(path)?;
        if bundle.names.iter().any(|name| name.ends_with("/data.pkl")) {
            return Ok(None);
        }
        let candidates = bundle.candidates()?;
        let best = candidates.best();
        let best = best.ok_or_else(|| LoadError::NoCheckpoint { path: path.to_owned() })?;
        let config = bundle.config(&best.path)?;
        let file = bundle.checkpoint(&best.path)?;
        Self::new(&path.join(&best.path), file, config).map(Some)
    }
}

/// A zipped experiment. Files in it are named by the archive's path with theirs in it.
struct Bundle {
    path: PathBuf,
    archive: Archive<BufReader<File>>,
    names: Vec<String>,
}

impl Bundle {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let file =
            File::open(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        let archive = Archive::new(BufReader::new(file), LIMIT)
            .map_err(|source| LoadError::Zip { path: path.to_owned(), source })?;
        let names = archive.names().map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), archive, names })
    }

    /// What is recorded in each `<name>/checkpoints/*.ckpt`.
    fn candidates(&mut self) -> Result<Checkpoints, LoadError> {
        let in_place = |name: &&String| {
            let path = Path::new(name.as_str());
            let folder = path.parent().is_some_and(|parent| parent.ends_with(FOLDER));
            let hidden =
                path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            folder && !hidden && path.extension().is_some_and(|ending| ending == "ckpt")
        };
        let names: Vec<PathBuf> = self.names.iter().filter(in_place).map(PathBuf::from).collect();
        let read = |path: PathBuf| {
            let recorded = self.checkpoint(&path)?.recorded();
            Ok(Candidate { path, recorded, modified: None })
        };
        names.into_iter().map(read).collect()
    }

    fn checkpoint(&mut self, name: &Path) -> Result<TorchFile, LoadError> {
        let bytes = self.read(name)?;
        Ok(TorchFile::from_bytes(self.path.join(name), bytes, Unknown::Refuse)?)
    }

    /// The `train_config.yaml` above a checkpoint's folder, if there is one.
    fn config(&mut self, checkpoint: &Path) -> Result<Option<Settings>, LoadError> {
        let above = checkpoint.ancestors().nth(2).unwrap_or(Path::new(""));
        let name = above.join(train_config::NAME);
        if !self.names.iter().any(|found| Path::new(found) == name) {
            return Ok(None);
        }
        let bytes = self.read(&name)?;
        train_config::parse(&self.path.join(&name), &String::from_utf8_lossy(&bytes)).map(Some)
    }

    fn read(&mut self, name: &Path) -> Result<Vec<u8>, LoadError> {
        // Entries are named with slashes on every system.
        let entry = self.names.iter().find(|found| Path::new(found) == name);
        let entry = entry.cloned().unwrap_or_default();
        let fail = |source| LoadError::Zip { path: self.path.clone(), source };
        self.archive.read(&entry).map_err(fail)
    }
}
