//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// What to do when a file of that name is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail with [`SaveError::Exists`].
    #[default]
    Refuse,
    /// Replace it, in one step: whoever opens the file sees the old one or the new one.
    Replace,
}

/// Why a file was not written. Nothing is left under the final name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file of that name is already there.
    #[error("{path}: already exists; remove it, choose another name, or allow it to be replaced")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// This kind of image does not go into this kind of file.
    #[error("{path}: {reason}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What does not fit, and what would.
        reason: String,
    },
    /// The file system failed.
    #[error("{path}: can't be written")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl SaveError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Writes a file that appears under its name only when it is complete and on disk.
///
/// The bytes go to a temporary file in the same folder, which is synced and then renamed. If
/// anything fails, the temporary file is removed and an existing file is untouched. Folders on the
/// way are made.
///
/// ```
/// use std::io::Write;
/// use segmenter_core::io::{Existing, SaveError, write_whole};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores/dice.csv");
/// write_whole(&path, Existing::Refuse, |file| writeln!(file, "name,dice"))?;
/// let again = write_whole(&path, Existing::Refuse, |file| writeln!(file, "other"));
/// assert!(matches!(again, Err(SaveError::Exists { .. })));
/// assert_eq!(std::fs::read_to_string(&path)?, "name,dice\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file exists and may not be replaced, or the file system fails.
pub fn write_whole(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), SaveError> {
    let fail = |source| SaveError::io(path)(source);
    let mut whole = Whole::create(path, existing)?;
    write(&mut whole.writer).map_err(fail)?;
    whole.finish()
}

/// A file on its way: under a temporary name until it is complete, and removed if it is dropped
/// before.
#[derive(Debug)]
pub(super) struct Whole {
    path: PathBuf,
    existing: Existing,
    temporary: NamedTempFile,
    pub(super) writer: BufWriter<File>,
}

impl Whole {
    pub(super) fn create(path: &Path, existing: Existing) -> Result<Self, SaveError> {
        let fail = |source| SaveError::io(path)(source);
        refuse_existing(path, existing)?;
        let folder = folder(path);
        fs::create_dir_all(folder).map_err(fail)?;
        let temporary = NamedTempFile::new_in(folder).map_err(fail)?;
        let writer = BufWriter::new(temporary.reopen().map_err(fail)?);
        Ok(Self { path: path.to_owned(), existing, temporary, writer })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name once it is on disk.
    pub(super) fn finish(self) -> Result<(), SaveError> {
        let fail = |source| SaveError::io(&self.path)(source);
        let file = self.writer.into_inner().map_err(|error| fail(error.into_error()))?;
        share(&file).and_then(|()| file.sync_all()).map_err(fail)?;
        rename(self.temporary, &self.path, self.existing)?;
        sync_folder(folder(&self.path)).map_err(fail)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn refuse_existing(path: &Path, existing: Existing) -> Result<(), SaveError> {
    if existing == Existing::Refuse && path.exists() {
        return Err(SaveError::Exists { path: path.to_owned() });
    }
    Ok(())
}

/// A temporary file is private; a result is a file like any other that the user makes.
#[cfg(unix)]
fn share(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_file: &File) -> io::Result<()> {
    Ok(())
}

fn rename(temporary: NamedTempFile, path: &Path, existing: Existing) -> Result<(), SaveError> {
    let renamed = match existing {
        Existing::Replace => temporary.persist(path),
        Existing::Refuse => temporary.persist_noclobber(path),
    };
    match renamed {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(SaveError::Exists { path: path.to_owned() })
        }
        Err(failed) => Err(SaveError::io(path)(failed.error)),
    }
}

/// The rename is on disk only once the folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_whole(&path, Existing::Refuse, |file| file.write_all(b"old")).unwrap();
        let error = write_whole(&path, Existing::Replace, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::Error::other("the disk is gone"))
        })
        .unwrap_err();
        assert!(matches!(error, SaveError::Io { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
