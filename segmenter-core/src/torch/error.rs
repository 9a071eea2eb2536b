//! What can be wrong with a checkpoint.

use std::{fmt, io, path::PathBuf};

use crate::{io::zip::ZipError, pickle::PickleError};

/// Why a checkpoint was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// The file can't be read.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is no zip archive, or a damaged one.
    #[error("{path}: not a checkpoint as PyTorch has written them since version 1.6")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// The archive holds something else.
    #[error("{path}: not a checkpoint: {found} folders in the archive have a data.pkl, not one")]
    NoPickle {
        /// The file.
        path: PathBuf,
        /// The number of such folders.
        found: usize,
    },
    /// The file was written on a big-endian machine.
    #[error("{path}: its byte order is {found:?}; save it again on a little-endian machine")]
    ByteOrder {
        /// The file.
        path: PathBuf,
        /// The byte order that it names.
        found: String,
    },
    /// The pickle in the file is damaged or not to be trusted.
    #[error("{path}: can't be read as a checkpoint")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// There are no tensors where they are looked for.
    #[error(
        "{path}: no state dictionary: expected tensors, or the key \"state_dict\", \
         and found the keys {keys:?}"
    )]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// The keys at the top level.
        keys: Vec<String>,
    },
    /// Some of the state dictionary can't be read as tensors.
    #[error("{path}: {} of the tensors can't be read: {}", .faults.len(), list(.faults))]
    Tensors {
        /// The file.
        path: PathBuf,
        /// All of them.
        faults: Vec<TensorFault>,
    },
    /// The tensors take far more memory than the file has bytes.
    #[error("{path}: its tensors take {found} bytes, more than the {limit} that its length allows")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What they take as `f32`, in bytes.
        found: u64,
        /// What they may.
        limit: u64,
    },
}

/// A tensor that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFault {
    /// Its key in the state dictionary.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for TensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name, self.reason)
    }
}

fn list(faults: &[TensorFault]) -> String {
    faults.iter().map(TensorFault::to_string).collect::<Vec<_>>().join("; ")
}
