//! A folder that appears whole or not at all.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    super::{Existing, SaveError},
    folder::share,
};

/// A folder under a hidden name, which is removed if it is dropped before it is finished.
#[derive(Debug)]
pub(super) struct Staging {
    target: PathBuf,
    existing: Existing,
    temporary: TempDir,
}

impl Staging {
    pub(super) fn create(target: &Path, existing: Existing) -> Result<Self, SaveError> {
        if target.file_name().is_none() {
            let reason = "is not a name that a store can have".to_owned();
            return Err(SaveError::Unsupported { path: target.to_owned(), reason });
        }
        refuse(target, existing)?;
        let parent = parent(target);
        let prefix = format!(".{}.partial-", file_name(target));
        let temporary = fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix(&prefix).tempdir_in(parent));
        let temporary = temporary.map_err(SaveError::io(target))?;
        Ok(Self { target: target.to_owned(), existing, temporary })
    }

    /// Where the folder is for now.
    pub(super) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// The name that it will have.
    pub(super) fn name(&self) -> String {
        file_name(&self.target)
    }

    /// Gives the folder its name once all of it is on disk.
    pub(super) fn finish(self) -> Result<(), SaveError> {
        let fail = |error| SaveError::io(&self.target)(error);
        File::open(self.path()).and_then(|file| share(&file, 0o755)).map_err(fail)?;
        sync_folders(self.path()).map_err(fail)?;
        refuse(&self.target, self.existing)?;
        let parent = parent(&self.target);
        let mut old = None;
        if self.target.symlink_metadata().is_ok() {
            let prefix = format!(".{}.replaced-", file_name(&self.target));
            let aside =
                tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(fail)?;
            fs::rename(&self.target, aside.path().join("old")).map_err(fail)?;
            old = Some(aside);
        }
        if let Err(error) = fs::rename(self.path(), &self.target) {
            if let Some(old) = old {
                // What was there comes back if it can; otherwise it stays where it is.
                let old = old.keep();
                let _ =
                    fs::rename(old.join("old"), &self.target).and_then(|()| fs::remove_dir(old));
            }
            return Err(fail(error));
        }
        // Nothing is left to remove under the hidden name.
        let _ = self.temporary.keep();
        sync_folder(parent).map_err(|error| SaveError::io(&self.target)(error))
    }
}

fn refuse(target: &Path, existing: Existing) -> Result<(), SaveError> {
    if existing == Existing::Refuse && target.symlink_metadata().is_ok() {
        return Err(SaveError::Exists { path: target.to_owned() });
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Files are on disk as they are written; that they are in their folders is not, before this.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
