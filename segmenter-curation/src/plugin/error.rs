//! What can be wrong with the plugin's files.

use std::{error::Error, io, path::PathBuf};

use segmenter_core::{InvalidRegion, io::npy::NpyError};

use crate::table::{TableError, list};

/// Why the plugin's files were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file is not a table with the plugin's columns.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows are wrong; all of them are listed.
    #[error("{path}: {}", list(.faults))]
    Rows {
        /// The table.
        path: PathBuf,
        /// What is wrong, in the order of the lines.
        faults: Vec<RowFault>,
    },
    /// Files that the table names are not there.
    #[error("{path}: the files {files:?} are missing; name the root folder they are in now")]
    Missing {
        /// The table.
        path: PathBuf,
        /// All files that are not there, or not below the root, as the table names them.
        files: Vec<String>,
    },
    /// Masks can't be read; all of them are listed.
    #[error("{}", list(.faults))]
    Masks {
        /// What is wrong.
        faults: Vec<MaskFault>,
    },
    /// The choice of channels can't be read.
    #[error("{path}: not the plugin's choice of channels")]
    Channels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RowFault {
    /// The line in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: RowFaultReason,
}

/// What can be wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFaultReason {
    /// A file that every row has is not named.
    #[error("{column} is empty")]
    Empty {
        /// The column.
        column: &'static str,
    },
    /// The base is neither segmentation.
    #[error("base_image is `{found}`, but has to be seg1 or seg2")]
    Base {
        /// The cell.
        found: String,
    },
    /// There is no second segmentation for what the row says.
    #[error("{column} needs a second segmentation, but seg2 is empty")]
    NoSecondSegmentation {
        /// The column that needs one.
        column: &'static str,
    },
    /// Two columns name the same file, or files that can't be told apart below the root.
    #[error("{first} and {second} are both {file}; name a root that tells them apart")]
    SameFile {
        /// A column.
        first: &'static str,
        /// Another column.
        second: &'static str,
        /// The file.
        file: PathBuf,
    },
}

/// What is wrong with a mask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskFault {
    /// The file can't be read.
    #[error("{}", chain(.0))]
    Npy(#[from] NpyError),
    /// A polygon bounds no region.
    #[error("{path}: polygon {polygon}: {source}")]
    Region {
        /// The file.
        path: PathBuf,
        /// Which polygon, counted from 0.
        polygon: usize,
        /// What is wrong.
        source: InvalidRegion,
    },
}

/// An error with what is behind it: a list of errors has no one source.
pub(super) fn chain(error: &dyn Error) -> String {
    let behind = error.source().map(|source| format!(": {}", chain(source)));
    error.to_string() + &behind.unwrap_or_default()
}
