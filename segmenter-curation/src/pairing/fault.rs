//! What can be wrong with the files of a data set.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ndarray::Array;
use segmenter_core::{
    ReadError, Source, Space, Window, Yx, Zyx,
    io::{Axes, ImageInfo, OpenError, probe},
};

use super::Pair;
use crate::ImagePath;

/// How much voxel sizes may differ: one part in a thousand. Programs write them with few digits.
const TOLERANCE: f64 = 1e-3;

/// Something that is wrong with the files of a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An image has no segmentation.
    #[error("{others:?}: there is no segmentation `{name}` in {folder}")]
    NoSegmentation {
        /// The name of the image.
        name: String,
        /// Where the segmentation should be.
        folder: PathBuf,
        /// The files of that name in the other folders.
        others: Vec<PathBuf>,
    },
    /// A segmentation has no raw image.
    #[error("{segmentations:?}: there is no raw image `{name}` in {folder}")]
    NoRaw {
        /// The name of the image.
        name: String,
        /// Where the raw image should be.
        folder: PathBuf,
        /// The segmentations of that name.
        segmentations: Vec<PathBuf>,
    },
    /// Several files of a folder have the same name.
    #[error("{files:?}: only one file of a folder can belong to `{name}`; remove the others")]
    Ambiguous {
        /// The name of the image.
        name: String,
        /// All files of the folder with it.
        files: Vec<PathBuf>,
    },
    /// A file can't be read.
    #[error("{}", with_causes(.0))]
    Unreadable(#[from] OpenError),
    /// Pixels of a file can't be read.
    #[error("{path}: {}", with_causes(.source))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ReadError,
    },
    /// A file is a time series.
    #[error("{path}: has {time_points} time points; save the one that is needed as its own file")]
    TimeSeries {
        /// The file.
        path: PathBuf,
        /// Number of time points.
        time_points: usize,
    },
    /// There is no such channel, or a segmentation has several and none was chosen.
    #[error(
        "{path}: has {channels} channels, of which {chosen:?} is chosen; choose one that is there, \
         counted from 0, with `Folder::with_channel`"
    )]
    Channels {
        /// The file.
        path: PathBuf,
        /// Number of channels in the file.
        channels: usize,
        /// The channel that was chosen, counted from 0.
        chosen: Option<usize>,
    },
    /// A segmentation is not as large as its image.
    #[error("{segmentation}: the extent is {found:?}, but that of {raw} is {expected:?}")]
    Extent {
        /// The file of the segmentation.
        segmentation: PathBuf,
        /// The file of the raw image.
        raw: PathBuf,
        /// The extent of the segmentation, slowest axis first.
        found: Vec<usize>,
        /// The extent of the raw image.
        expected: Vec<usize>,
    },
    /// A segmentation has another voxel size than its image.
    #[error("{segmentation}: a voxel is {found:?} µm, but in {raw} {expected:?} µm; correct one")]
    VoxelSize {
        /// The file of the segmentation.
        segmentation: PathBuf,
        /// The file of the raw image.
        raw: PathBuf,
        /// The voxel size of the segmentation in micrometres, slowest axis first.
        found: Vec<f64>,
        /// That of the raw image.
        expected: Vec<f64>,
    },
    /// A segmentation has no foreground.
    #[error("{path}: is empty everywhere; nothing can be learnt from it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Everything that is wrong with a data set, one line each.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults in the data set", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}

/// An error and all of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Everything that is wrong with the files of one image.
pub(super) fn check(pair: &Pair, pixels: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let raw = file(&pair.raw, false, &mut faults);
    for image in &pair.segmentations {
        let Some(info) = file(image, true, &mut faults) else { continue };
        if let Some(raw) = &raw {
            faults.extend(extents(pair, raw, image.path(), &info));
            faults.extend(voxel_sizes(pair, raw, image.path(), &info));
        }
        if pixels {
            faults.extend(foreground(image, &info));
        }
    }
    faults
}

/// What a file holds, if it can be used.
fn file(image: &ImagePath, single: bool, faults: &mut Vec<Fault>) -> Option<ImageInfo> {
    let (path, chosen) = (|| image.path().to_owned(), image.channel());
    let info = probe(image.path()).map_err(|error| faults.push(error.into())).ok()?;
    let before = faults.len();
    if info.time_points > 1 {
        faults.push(Fault::TimeSeries { path: path(), time_points: info.time_points });
    }
    let channels = info.channels;
    if chosen.map_or(single && channels > 1, |chosen| chosen >= channels) {
        faults.push(Fault::Channels { path: path(), channels, chosen });
    }
    (faults.len() == before).then_some(info)
}

fn extents(pair: &Pair, raw: &ImageInfo, path: &Path, info: &ImageInfo) -> Option<Fault> {
    (raw.extent != info.extent).then(|| Fault::Extent {
        segmentation: path.to_owned(),
        raw: pair.raw.path().to_owned(),
        found: info.extent.clone(),
        expected: raw.extent.clone(),
    })
}

fn voxel_sizes(pair: &Pair, raw: &ImageInfo, path: &Path, info: &ImageInfo) -> Option<Fault> {
    let (expected, found) = (raw.voxel_size.as_ref()?, info.voxel_size.as_ref()?);
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * a.max(*b);
    let differ = expected.len() == found.len() && !expected.iter().zip(found).all(near);
    differ.then(|| Fault::VoxelSize {
        segmentation: path.to_owned(),
        raw: pair.raw.path().to_owned(),
        found: found.clone(),
        expected: expected.clone(),
    })
}

fn foreground(image: &ImagePath, info: &ImageInfo) -> Option<Fault> {
    let is_empty = match info.axes {
        Axes::Yx => is_empty::<Yx>(image),
        Axes::Zyx => is_empty::<Zyx>(image),
    };
    match is_empty {
        Ok(true) => Some(Fault::Empty { path: image.path().to_owned() }),
        Ok(false) => None,
        Err(EmptyError::Open(error)) => Some(error.into()),
        Err(EmptyError::Read(source)) => {
            Some(Fault::Damaged { path: image.path().to_owned(), source })
        }
    }
}

enum EmptyError {
    Open(OpenError),
    Read(ReadError),
}

/// Whether no voxel is above 0. Read slab by slab, up to the first that is.
fn is_empty<S: Space>(image: &ImagePath) -> Result<bool, EmptyError> {
    let dataset = image.options().open_dataset(image.path()).map_err(EmptyError::Open)?;
    let mask = dataset.image::<S>().map_err(EmptyError::Open)?;
    let mut slab = mask.extent();
    if S::RANK == 3 {
        slab.as_mut()[0] = dataset.slab();
    }
    for window in Window::<S>::blocks(mask.extent(), slab) {
        let inside: Array<bool, S::ChannelDim> = mask.read(&window).map_err(EmptyError::Read)?;
        if inside.iter().any(|&inside| inside) {
            return Ok(false);
        }
    }
    Ok(true)
}
