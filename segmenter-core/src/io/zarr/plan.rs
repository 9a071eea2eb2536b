//! The shape of a new image: its levels, and how they are divided.

use super::{axes::Axes, options::ZarrOptions};
use crate::{ImageKind, NewImage, Pixel, PixelType, Space};

/// Voxels of a chunk.
const CHUNK: usize = 1 << 18;

/// Chunks along each axis of a shard.
const SHARD: usize = 4;

/// An image that is about to be written.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) axes: Axes,
    /// Whether lengths are in µm.
    pub(super) physical: bool,
    pub(super) channels: usize,
    pub(super) channel_names: Vec<Option<String>>,
    pub(super) pixel: PixelType,
    pub(super) kind: ImageKind,
    pub(super) levels: Vec<PlannedLevel>,
    /// `[z, y, x]`.
    pub(super) chunk: [usize; 3],
    /// What a file holds, `[z, y, x]`: a chunk, or chunks that make a shard.
    pub(super) block: [usize; 3],
}

/// One resolution, by `[z, y, x]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PlannedLevel {
    pub(super) extent: [usize; 3],
    pub(super) scale: [f64; 3],
    pub(super) translation: [f64; 3],
}

impl Plan {
    pub(super) fn new<S: Space, T: Pixel>(image: &NewImage<S, T>, options: &ZarrOptions) -> Self {
        let extent = S::to_zyx(image.extent());
        let mut scale = [1.0; 3];
        if let Some(size) = image.voxel_size() {
            scale[3 - S::RANK..].copy_from_slice(size.micrometres().as_ref());
        }
        let chunk = chunk::<S>(extent, scale);
        let first = PlannedLevel { extent, scale, translation: [0.0; 3] };
        let levels = if options.pyramid { pyramid(first, chunk) } else { vec![first] };
        let named = image.channel_names().iter().any(Option::is_some);
        let has_channels =
            image.kind() == ImageKind::Intensities && (image.channels() > 1 || named);
        Self {
            axes: axes::<S>(has_channels || image.channels() > 1),
            physical: image.voxel_size().is_some(),
            channels: image.channels(),
            channel_names: image.channel_names().to_vec(),
            pixel: T::TYPE,
            kind: image.kind(),
            levels,
            chunk,
            block: block(chunk, extent, options.shards),
        }
    }

    /// A value for each axis of the array, from one for channels and one for each axis of space.
    pub(super) fn by_axis<V: Copy>(&self, channel: V, zyx: [V; 3]) -> Vec<V> {
        let mut values = vec![channel; self.axes.rank];
        for (axis, value) in self.axes.space.into_iter().zip(zyx) {
            if let Some(axis) = axis {
                values[axis] = value;
            }
        }
        values
    }
}

fn axes<S: Space>(channels: bool) -> Axes {
    let mut rank = 0;
    let mut next = |there: bool| {
        there.then(|| {
            rank += 1;
            rank - 1
        })
    };
    let channel = next(channels);
    let space = [next(S::RANK == 3), next(true), next(true)];
    Axes { rank, time: None, channel, space }
}

/// The axis that is shortest in µm is doubled, x first among equals, until there are enough voxels.
fn chunk<S: Space>(extent: [usize; 3], scale: [f64; 3]) -> [usize; 3] {
    let mut chunk = [1_usize; 3];
    while chunk.iter().product::<usize>() < CHUNK {
        #[allow(clippy::cast_precision_loss, reason = "at most 2^18")]
        let length = |axis: &usize| chunk[*axis] as f64 * scale[*axis];
        let room = (3 - S::RANK..3).rev().filter(|&axis| chunk[axis] < extent[axis]);
        let Some(axis) = room.min_by(|a, b| length(a).total_cmp(&length(b))) else { break };
        chunk[axis] *= 2;
    }
    chunk
}

/// As many chunks as a shard has along an axis, but none that would be beyond the image.
pub(super) fn block(chunk: [usize; 3], extent: [usize; 3], shards: bool) -> [usize; 3] {
    if !shards {
        return chunk;
    }
    [0, 1, 2].map(|axis| chunk[axis] * SHARD.min(extent[axis].div_ceil(chunk[axis])))
}

fn pyramid(first: PlannedLevel, chunk: [usize; 3]) -> Vec<PlannedLevel> {
    let mut levels = vec![first];
    let mut last = first;
    while (1..3).any(|axis| last.extent[axis] > chunk[axis]) {
        let before = last;
        let long = |axis: &usize| before.extent[*axis] > 1;
        let shortest =
            (0..3).filter(long).map(|axis| before.scale[axis]).fold(f64::INFINITY, f64::min);
        for axis in (0..3).filter(long) {
            if before.scale[axis] <= 1.5 * shortest {
                last.extent[axis] = before.extent[axis].div_ceil(2);
                last.scale[axis] = 2.0 * before.scale[axis];
                // The centre of two voxels lies half a voxel behind that of the first.
                last.translation[axis] = before.translation[axis] + before.scale[axis] / 2.0;
            }
        }
        levels.push(last);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VoxelSize, Yx, Zyx};

    fn plan(extent: [usize; 3], size: Option<[f64; 3]>) -> Plan {
        let size = size.map(|size| VoxelSize::new(size).unwrap());
        let image = NewImage::<Zyx, u16>::new(extent).with_voxel_size(size);
        Plan::new(&image, &ZarrOptions::new().with_pyramid(true).with_shards(true))
    }

    #[test]
    fn a_chunk_is_near_a_cube_in_micrometres() {
        assert_eq!(plan([500; 3], None).chunk, [64, 64, 64]);
        assert_eq!(plan([500; 3], Some([0.8, 0.1, 0.1])).chunk, [16, 128, 128]);
        assert_eq!(plan([5, 500, 500], None).chunk, [8, 128, 256]);
        assert_eq!(plan([5, 9, 500], None).chunk, [8, 16, 512]);
        let plane = NewImage::<Yx, u8>::new([4000, 4000]);
        assert_eq!(Plan::new(&plane, &ZarrOptions::new()).chunk, [1, 512, 512]);
    }

    #[test]
    fn a_shard_has_no_more_chunks_than_the_image() {
        assert_eq!(plan([65, 1000, 500], None).block, [128, 256, 256]);
    }

    #[test]
    fn thick_slices_are_kept_until_voxels_are_cubes() {
        let plan = plan([10, 1000, 401], Some([0.4, 0.1, 0.1]));
        let extents: Vec<_> = plan.levels.iter().map(|level| level.extent).collect();
        // The chunk is 16 x 128 x 128.
        assert_eq!(extents, [[10, 1000, 401], [10, 500, 201], [10, 250, 101], [5, 125, 51]]);
        assert_eq!(plan.levels[3].scale, [0.8, 0.8, 0.8]);
        // The mean of two slices lies 0.2 µm behind the first; that of eight columns 3.5 columns.
        let [z, y, _] = plan.levels[3].translation;
        assert!((z - 0.2).abs() < 1e-12 && (y - 0.35).abs() < 1e-12);
    }
}
