//! What an image file holds, known before any pixel is decoded.

use super::fault::Fault;
use crate::{PixelType, Space, VoxelSize};

/// The sizes, the pixel type and the metadata of an image.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Number of images in the file.
    pub(super) scenes: usize,
    pub(super) time_points: usize,
    pub(super) channels: usize,
    /// `[z, y, x]`, where a plane has one slice.
    pub(super) extent: [usize; 3],
    pub(super) pixel: PixelType,
    /// The distance from voxel to voxel in µm, `[z, y, x]`, where it is known.
    pub(super) spacing: [Option<f64>; 3],
    pub(super) channel_names: Vec<Option<String>>,
    /// The extents of all levels of resolution, `[z, y, x]`; the first is that of the image.
    pub(super) levels: Vec<[usize; 3]>,
}

impl Layout {
    /// A plane or volume of which nothing but its size is known.
    pub(super) fn plain(channels: usize, extent: [usize; 3], pixel: PixelType) -> Self {
        Self {
            scenes: 1,
            time_points: 1,
            channels,
            extent,
            pixel,
            spacing: [None; 3],
            channel_names: vec![None; channels],
            levels: vec![extent],
        }
    }

    /// The layout of the same image at a level of resolution: voxels are larger as there are fewer.
    pub(super) fn shrink_to(&mut self, level: usize) {
        let (full, extent) = (self.extent, self.levels[level]);
        for axis in 0..3 {
            let factor = full[axis] as f64 / extent[axis] as f64;
            self.spacing[axis] = self.spacing[axis].map(|spacing| spacing * factor);
        }
        self.extent = extent;
    }

    /// Number of pixels in one plane.
    pub(super) fn plane(&self) -> Result<usize, Fault> {
        let [_, rows, columns] = self.extent;
        rows.checked_mul(columns).ok_or_else(|| too_large(u64::MAX))
    }

    /// The voxel size, if it is known along every axis.
    pub(super) fn voxel_size<S: Space>(&self) -> Option<VoxelSize<S>> {
        let spacing = &self.spacing[3 - S::RANK..];
        if spacing.contains(&None) {
            return None;
        }
        VoxelSize::new(S::reals_from_fn(|axis| spacing[axis].unwrap_or_default())).ok()
    }
}

/// More pixels than this machine can address, whatever the limit.
pub(super) fn too_large(limit: u64) -> Fault {
    Fault::Limit { needed: u64::MAX, limit }
}

/// So many bytes, if they fit the limit; `None` is more than this machine can address.
pub(super) fn within(bytes: Option<usize>, limit: u64) -> Result<usize, Fault> {
    let bytes = bytes.ok_or_else(|| too_large(limit))?;
    match u64::try_from(bytes) {
        Ok(needed) if needed <= limit => Ok(bytes),
        needed => Err(Fault::Limit { needed: needed.unwrap_or(u64::MAX), limit }),
    }
}

/// A length that makes sense as a distance between voxels; files without calibration say 0.
pub(super) fn length(micrometres: f64) -> Option<f64> {
    (micrometres.is_finite() && micrometres > 0.0).then_some(micrometres)
}
