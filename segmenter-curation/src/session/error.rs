//! What a session refuses.

use std::{
    io,
    path::{Path, PathBuf},
};

use segmenter_core::io::SaveError;

use super::RegionId;
use crate::InvalidSegmentation;

/// An event that contradicts those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such image.
    #[error("there is no image `{image}` in the session")]
    NoImage {
        /// The name asked for.
        image: String,
    },
    /// There is such an image already.
    #[error("there is an image `{image}` in the session already; give the other a name of its own")]
    SameImage {
        /// The name.
        image: String,
    },
    /// There is no such region.
    #[error("image `{image}` has no region {id}")]
    NoRegion {
        /// The name of the image.
        image: String,
        /// The region asked for.
        id: RegionId,
    },
    /// There is such a region already.
    #[error("image `{image}` has a region {id} already")]
    SameRegion {
        /// The name of the image.
        image: String,
        /// The region.
        id: RegionId,
    },
    /// A segmentation can't be merged or started from.
    #[error(transparent)]
    Segmentation(#[from] InvalidSegmentation),
    /// Only the last event can be taken back or brought back.
    #[error("event {event} is not the next to be taken back or brought back")]
    NotTheLast {
        /// The number of the event.
        event: u64,
    },
}

/// Why a session was not made, opened, continued or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The event contradicts those before it. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file can't be read or written. The log is as it was before.
    #[error("{path}: can't be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody has the log open for writing.
    #[error(
        "{path}: is being written by {holder:?}; open it for reading, or wait until they are done"
    )]
    Locked {
        /// The log.
        path: PathBuf,
        /// Who, as far as it is known.
        holder: String,
    },
    /// Something else than this session has written to the log since it was opened. Nothing more is
    /// written; open the session again to see what it is.
    #[error(
        "{path}: has {found} bytes, but this session left it with {expected}: something else has \
         written to it; open the session again"
    )]
    Changed {
        /// The log.
        path: PathBuf,
        /// Its length as this session left it, in bytes.
        expected: u64,
        /// Its length now.
        found: u64,
    },
    /// A line that was whole once is not any more, or is no event.
    #[error(
        "{path}: line {line}, at byte {byte}, {reason}; `session::salvage` rescues what is before it"
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Where the line begins, in bytes.
        byte: u64,
        /// What is wrong.
        reason: String,
    },
    /// An event contradicts those before it: the log was changed by something else than a session.
    #[error("{path}: line {line} contradicts the lines before it")]
    Contradiction {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What contradicts.
        source: Refusal,
    },
    /// The log was written by a later version of this crate.
    #[error("{path}: is of version {found}, but this program reads version {known}; update it")]
    Version {
        /// The log.
        path: PathBuf,
        /// The version of the log.
        found: u32,
        /// The version that is read.
        known: u32,
    },
    /// The log has no event, or does not begin as a session does.
    #[error("{path}: is no session log: it has to begin with a list of images")]
    NotASession {
        /// The log.
        path: PathBuf,
    },
    /// Images are outside of the root, or their names are not Unicode.
    #[error("{files:?}: not below the root {root}; choose a root that holds all images")]
    OutsideRoot {
        /// The root.
        root: PathBuf,
        /// All such files.
        files: Vec<PathBuf>,
    },
    /// The logs do not begin with the same events.
    #[error("{first} and {second} are logs of different sessions: they begin with other events")]
    Unrelated {
        /// One log.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A log can't be made.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl SessionError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
