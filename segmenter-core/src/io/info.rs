//! What a file holds, told without decoding it.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::{OpenError, OpenOptions, layout::Layout};
use crate::{PixelType, Space};

/// The spatial axes of a file, known at run time. A file with a single slice is a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Axes {
    /// A plane: rows, then columns. See [`Yx`](crate::Yx).
    Yx,
    /// A volume: slices, then rows, then columns. See [`Zyx`](crate::Zyx).
    Zyx,
}

impl Axes {
    /// The axes that a [`Space`] stands for.
    #[must_use]
    pub fn of<S: Space>() -> Self {
        if S::RANK == 2 { Self::Yx } else { Self::Zyx }
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yx => "YX",
            Self::Zyx => "ZYX",
        })
    }
}

/// What an image file holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageInfo {
    /// The spatial axes.
    pub axes: Axes,
    /// Number of voxels along each spatial axis, slowest first: `[y, x]` or `[z, y, x]`.
    pub extent: Vec<usize>,
    /// Number of channels.
    pub channels: usize,
    /// Number of time points. Of several, [one is chosen](OpenOptions::with_time).
    pub time_points: usize,
    /// Number of images in the file. Of several, [one is chosen](OpenOptions::with_scene).
    pub scenes: usize,
    /// The levels of resolution, the finest first: there is always one.
    pub levels: Vec<LevelInfo>,
    /// The type of a pixel as stored.
    pub pixel: PixelType,
    /// The size of a voxel in micrometres, in the order of `extent`, or `None` unless the file tells
    /// it along every axis.
    pub voxel_size: Option<Vec<f64>>,
    /// The channels' names, in order, where they have one.
    pub channel_names: Vec<Option<String>>,
}

/// A level of resolution of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelInfo {
    /// Number of voxels along each spatial axis, slowest first.
    pub extent: Vec<usize>,
    /// The size of a voxel in micrometres, in the order of `extent`, if it is known.
    pub voxel_size: Option<Vec<f64>>,
}

impl ImageInfo {
    pub(super) fn new(layout: &Layout) -> Self {
        let axes = layout.axes();
        let first = if axes == Axes::Yx { 1 } else { 0 };
        Self {
            axes,
            extent: layout.extent[first..].to_vec(),
            channels: layout.channels,
            time_points: layout.time_points,
            scenes: layout.scenes,
            levels: (0..layout.levels.len()).map(|level| layout.level(level, first)).collect(),
            pixel: layout.pixel,
            voxel_size: layout.spacing[first..].iter().copied().collect(),
            channel_names: layout.channel_names.clone(),
        }
    }
}

impl Layout {
    /// A level of resolution, without the first axis for a plane.
    fn level(&self, level: usize, first: usize) -> LevelInfo {
        let mut layout = self.clone();
        layout.shrink_to(level);
        LevelInfo {
            extent: layout.extent[first..].to_vec(),
            voxel_size: layout.spacing[first..].iter().copied().collect(),
        }
    }

    /// A single slice is a plane.
    pub(super) fn axes(&self) -> Axes {
        if self.extent[0] == 1 { Axes::Yx } else { Axes::Zyx }
    }
}

/// Tells what an image file holds, without decoding pixels.
///
/// ```
/// use ndarray::Array3;
/// use segmenter_core::{PixelType, Stack3, VoxelSize, io};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cells.ome.tiff");
/// let size = VoxelSize::new([0.29, 0.108, 0.108])?;
/// Stack3::new(Array3::<u16>::zeros((4, 16, 32))).with_voxel_size(size).save(&path)?;
///
/// let info = io::probe(&path)?;
/// assert_eq!((info.axes, info.pixel), (io::Axes::Zyx, PixelType::U16));
/// assert_eq!(info.extent, [4, 16, 32]);
/// assert_eq!(info.voxel_size, Some(vec![0.29, 0.108, 0.108]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file can't be read, is damaged, or holds what is not read here; see [`OpenError`].
pub fn probe(path: impl AsRef<Path>) -> Result<ImageInfo, OpenError> {
    OpenOptions::new().probe(path)
}
