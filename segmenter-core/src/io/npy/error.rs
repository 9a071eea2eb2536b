//! What can be wrong with NumPy's files.

use std::{io, path::PathBuf};

use crate::{io::zip::ZipError, pickle::PickleError};

/// Why a NumPy file was not read. For an entry of an `.npz` file, the path goes on with the entry's
/// name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The file can't be read.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file doesn't begin as a `.npy` file does.
    #[error("{path}: not a NumPy file, or a damaged one: {reason}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with its first lines.
        reason: String,
    },
    /// It holds something other than what was asked for.
    #[error("{path}: holds values of type {found:?}, but {expected} are needed")]
    Type {
        /// The file.
        path: PathBuf,
        /// NumPy's name of the type, such as `<f4`.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
    /// The header says more values than fit the address space, or not those that follow.
    #[error("{path}: {shape:?} values of type {found_type:?} do not fill the {found} bytes there")]
    Length {
        /// The file.
        path: PathBuf,
        /// Number of values along each axis, as the header says.
        shape: Vec<usize>,
        /// NumPy's name of their type.
        found_type: String,
        /// Bytes after the header.
        found: usize,
    },
    /// The pickle in the file is damaged or not to be trusted.
    #[error("{path}: can't be read as polygons")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// The pickle in the file is no list of polygons.
    #[error("{path}: not polygons: {reason}")]
    Polygons {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The `.npz` archive is damaged, or has no such entry.
    #[error("{path}: can't be read as an archive of arrays")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
}
