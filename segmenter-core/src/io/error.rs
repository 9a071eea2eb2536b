//! Why an image was not opened.

use std::{io, path::PathBuf};

use super::Axes;
use crate::PixelType;

/// Why an image file was not opened. Each message names the file, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is missing, is a folder, may not be read, or the disk failed.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The first bytes are those of no format that is read here.
    #[error("{path}: {found}; only TIFF, PNG, JPEG and .npy images are read")]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is, as far as its first bytes tell.
        found: &'static str,
    },
    /// The file is damaged or contradicts itself.
    #[error("{path}: {reason}; the file is damaged or incomplete")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The file is fine, but holds something that is not read here.
    #[error("{path}: {reason}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds, and what would be read.
        reason: String,
    },
    /// A plane was asked for and the file is a volume, or the other way round.
    #[error("{path}: the axes are {found}, but {expected} were asked for")]
    Axes {
        /// The file.
        path: PathBuf,
        /// The axes of the file.
        found: Axes,
        /// The axes asked for.
        expected: Axes,
    },
    /// The pixels are of another type than was asked for.
    #[error("{path}: the pixels are {found}, but {expected} were asked for; `open_f32` converts")]
    Pixel {
        /// The file.
        path: PathBuf,
        /// The pixel type of the file.
        found: PixelType,
        /// The pixel type asked for.
        expected: PixelType,
    },
    /// There is no such channel.
    #[error("{path}: there is no channel {asked}: the file has {channels}, counted from 0")]
    Channel {
        /// The file.
        path: PathBuf,
        /// The channel asked for, from 0.
        asked: usize,
        /// Number of channels in the file.
        channels: usize,
    },
    /// A label image or a mask is one channel, and the file has several.
    #[error("{path}: has {channels} channels; choose one with `OpenOptions::with_channel`")]
    ManyChannels {
        /// The file.
        path: PathBuf,
        /// Number of channels in the file.
        channels: usize,
    },
    /// The file is a time series, and no time point was chosen.
    #[error("{path}: has {time_points} time points; choose one with `OpenOptions::with_time`")]
    TimeSeries {
        /// The file.
        path: PathBuf,
        /// Number of time points.
        time_points: usize,
    },
    /// There is no such time point.
    #[error("{path}: there is no time point {asked}: the file has {time_points}, counted from 0")]
    Time {
        /// The file.
        path: PathBuf,
        /// The time point asked for, from 0.
        asked: usize,
        /// Number of time points.
        time_points: usize,
    },
    /// There is no such level of resolution.
    #[error("{path}: there is no level {asked}: the image has {levels}, counted from 0")]
    Level {
        /// The file.
        path: PathBuf,
        /// The level asked for, from 0, which is full resolution.
        asked: usize,
        /// Number of levels.
        levels: usize,
    },
    /// The file holds several images, and none was chosen.
    #[error("{path}: holds {scenes} scenes; choose one with `OpenOptions::with_scene`")]
    ManyScenes {
        /// The file.
        path: PathBuf,
        /// Number of images in the file.
        scenes: usize,
    },
    /// There is no such scene.
    #[error("{path}: there is no scene {asked}: the file has {scenes}, counted from 0")]
    Scene {
        /// The file.
        path: PathBuf,
        /// The scene asked for, from 0.
        asked: usize,
        /// Number of images in the file.
        scenes: usize,
    },
    /// The OME-XML says that pixels or metadata are in another file.
    #[error(
        "{path}: is part of a set of files and needs {other:?}; save the image as one file first"
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The name of the other file.
        other: String,
    },
    /// A value is not the id of an object.
    #[error(
        "{path}: the value at {index:?} is {value}, but labels are whole numbers from 0 to {max}",
        max = u32::MAX
    )]
    LabelValue {
        /// The file.
        path: PathBuf,
        /// The first such position, slowest axis first.
        index: Vec<usize>,
        /// The value there.
        value: f64,
    },
    /// A box is not wholly inside of the image.
    #[error("{path}: a window from {start:?} of extent {window:?} leaves the image, {grid:?}")]
    Outside {
        /// The file.
        path: PathBuf,
        /// First voxel asked for.
        start: Vec<usize>,
        /// Extent asked for.
        window: Vec<usize>,
        /// Extent of the image.
        grid: Vec<usize>,
    },
    /// The decoded pixels would take more memory than allowed.
    #[error(
        "{path}: the pixels take {needed} bytes, but the limit is {limit}; \
         raise it with `OpenOptions::with_limit`"
    )]
    Limit {
        /// The file.
        path: PathBuf,
        /// Bytes needed; `u64::MAX` if more than that.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
}
