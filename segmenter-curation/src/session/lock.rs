//! Only one writer at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::SessionError;

/// Held while a log is open for writing. The operating system gives it up when the process ends,
/// however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing the file gives up the lock.
    _file: File,
}

impl Lock {
    /// Takes the lock of a log, which is there, for somebody.
    pub(super) fn take(log: &Path, holder: &str) -> Result<Self, SessionError> {
        // By whatever link a log is opened, it has one lock.
        let path = lock_path(&fs::canonicalize(log).map_err(SessionError::io(log))?);
        let io = || SessionError::io(&path);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io())?;
        if !try_lock(&file).map_err(io())? {
            let mut holder = String::new();
            // Some systems don't let others read what is locked.
            let _ = file.read_to_string(&mut holder);
            return Err(SessionError::Locked { path: log.to_owned(), holder });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{holder}, process {}", std::process::id()))
            .map_err(io())?;
        Ok(Self { _file: file })
    }
}

/// Whether the lock was free.
///
/// A process that is just being started holds copies of the open files of whoever starts it, for a
/// few milliseconds: a lock that was given up meanwhile seems to be held.
fn try_lock(file: &File) -> io::Result<bool> {
    for patience in [0, 5, 20, 75] {
        thread::sleep(Duration::from_millis(patience));
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Beside the log, which others may read meanwhile. The file stays: to remove it while somebody else
/// is about to take it would make two writers.
fn lock_path(log: &Path) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    log.with_file_name(name)
}
