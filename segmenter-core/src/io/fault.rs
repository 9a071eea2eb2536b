//! What goes wrong below the level at which the file's name is known.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use tiff::{TiffError, TiffFormatError};

use super::OpenError;

/// An [`OpenError`] that lacks the name of the file.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Malformed(String),
    Unsupported(String),
    ManyScenes(usize),
    Scene {
        asked: usize,
        scenes: usize,
    },
    Time {
        asked: usize,
        time_points: usize,
    },
    Level {
        asked: usize,
        levels: usize,
    },
    OtherFile(String),
    Limit {
        needed: u64,
        limit: u64,
    },
    Outside {
        start: Vec<usize>,
        window: Vec<usize>,
        grid: Vec<usize>,
    },
    /// An error that names a file already: one of those that make up a store.
    #[cfg(feature = "zarr")]
    Named(Box<OpenError>),
}

impl Fault {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }

    pub(super) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }

    /// Names the file.
    pub(super) fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => OpenError::Io { path, source },
            Self::Malformed(reason) => OpenError::Malformed { path, reason },
            Self::Unsupported(reason) => OpenError::Unsupported { path, reason },
            Self::ManyScenes(scenes) => OpenError::ManyScenes { path, scenes },
            Self::Scene { asked, scenes } => OpenError::Scene { path, asked, scenes },
            Self::Time { asked, time_points } => OpenError::Time { path, asked, time_points },
            Self::Level { asked, levels } => OpenError::Level { path, asked, levels },
            Self::OtherFile(other) => OpenError::OtherFile { path, other },
            Self::Outside { start, window, grid } => {
                OpenError::Outside { path, start, window, grid }
            }
            Self::Limit { needed, limit } => OpenError::Limit { path, needed, limit },
            #[cfg(feature = "zarr")]
            Self::Named(error) => *error,
        }
    }
}

/// An end of file inside an image is damage, not a failing disk.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::malformed("ends in the middle"),
            _ => Self::Io(error),
        }
    }
}

impl From<TiffError> for Fault {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::IoError(error) => error.into(),
            TiffError::UnsupportedError(error) => Self::Unsupported(error.to_string()),
            TiffError::FormatError(TiffFormatError::CycleInOffsets) => {
                Self::malformed("the list of pages runs in a circle")
            }
            TiffError::FormatError(error) => Self::Malformed(error.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// Runs code that parses bytes from outside, so that a bug in a decoder is an error about one file
/// and not the end of a batch.
pub(super) fn guarded<T>(
    path: &Path,
    parse: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, OpenError> {
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(result) => result.map_err(|fault| fault.at(path)),
        Err(_) => Err(Fault::malformed("the decoder gave up on it").at(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_decoder_is_an_error_that_names_the_file() {
        let error = guarded::<()>(Path::new("a.tif"), || panic!("index out of bounds"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "a.tif: the decoder gave up on it; the file is damaged or incomplete"
        );
    }
}
