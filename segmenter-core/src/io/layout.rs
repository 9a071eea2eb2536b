//! What an image file holds, known before any pixel is decoded.

use super::fault::Fault;
use crate::{PixelType, Space, VoxelSize};

/// The sizes, the pixel type and the metadata of an image.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) time_points: usize,
    pub(super) channels: usize,
    /// `[z, y, x]`, where a plane has one slice.
    pub(super) extent: [usize; 3],
    pub(super) pixel: PixelType,
    /// The distance from voxel to voxel in µm, `[z, y, x]`, where it is known.
    pub(super) spacing: [Option<f64>; 3],
    pub(super) channel_names: Vec<Option<String>>,
}

impl Layout {
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

    /// Number of pixels in so many channels, if they fit the limit at so many bytes each.
    pub(super) fn pixels_within(
        &self,
        channels: usize,
        bytes: usize,
        limit: u64,
    ) -> Result<usize, Fault> {
        let sizes = self.extent.into_iter().chain([channels]);
        let pixels = sizes.into_iter().try_fold(1_usize, usize::checked_mul);
        let needed = pixels.and_then(|pixels| u64::try_from(pixels.checked_mul(bytes)?).ok());
        match (pixels, needed) {
            (Some(pixels), Some(needed)) if needed <= limit => Ok(pixels),
            _ => Err(Fault::Limit { needed: needed.unwrap_or(u64::MAX), limit }),
        }
    }
}

/// More pixels than this machine can address, whatever the limit.
pub(super) fn too_large(limit: u64) -> Fault {
    Fault::Limit { needed: u64::MAX, limit }
}

/// A length that makes sense as a distance between voxels; files without calibration say 0.
pub(super) fn length(micrometres: f64) -> Option<f64> {
    (micrometres.is_finite() && micrometres > 0.0).then_some(micrometres)
}
