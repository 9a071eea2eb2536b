//! What is added up for each object.

use std::{f64::consts::PI, ops::Range};

use ndarray::ArrayView3;

use super::{Intensity, Object, surface::Direction};
use crate::{Space, VoxelSize};

/// What is known of an object before its end.
pub(super) struct Sums {
    pub(super) id: u32,
    voxels: u64,
    /// Sums of positions, along slices, rows and columns.
    positions: [u128; 3],
    first: [usize; 3],
    last: [usize; 3],
    /// How often lines cross its surface, by direction.
    pub(super) crossings: [u64; 13],
    intensities: Vec<Moments>,
}

/// Sums of intensities. Squares are summed of the difference to the first, or little would be left of the
/// digits of a small deviation from a large mean.
#[derive(Clone, Default)]
struct Moments {
    first: f64,
    sum: f64,
    deviations: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Sums {
    pub(super) fn new(id: u32, channels: usize) -> Self {
        Self {
            id,
            voxels: 0,
            positions: [0; 3],
            first: [usize::MAX; 3],
            last: [0; 3],
            crossings: [0; 13],
            intensities: vec![Moments::default(); channels],
        }
    }

    /// Adds a run of voxels.
    pub(super) fn extend(&mut self, [z, y, x]: [usize; 3], length: usize) {
        self.voxels += length as u64;
        let length = length as u128;
        let columns = length * x as u128 + length * (length - 1) / 2;
        for (sum, more) in
            self.positions.iter_mut().zip([length * z as u128, length * y as u128, columns])
        {
            *sum += more;
        }
        let end = [z, y, x + length as usize - 1];
        for axis in 0..3 {
            self.first[axis] = self.first[axis].min([z, y, x][axis]);
            self.last[axis] = self.last[axis].max(end[axis]);
        }
    }

    /// Adds the intensities of a run, which is already counted.
    pub(super) fn take(&mut self, intensities: &ArrayView3<'_, f32>, y: usize, run: Range<usize>) {
        let is_first = self.voxels == run.len() as u64;
        for (moments, channel) in self.intensities.iter_mut().zip(intensities.outer_iter()) {
            let row = channel.row(y);
            let Some(row) = row.to_slice() else { unreachable!("slabs are in order") };
            let values = &row[run.clone()];
            if is_first {
                let first = values[0];
                *moments = Moments { first: first.into(), min: first, max: first, ..*moments };
            }
            values.iter().for_each(|&value| moments.add(value));
        }
    }

    pub(super) fn object<S: Space>(
        &self,
        extent: S::Extent,
        physical: Option<&(VoxelSize<S>, Vec<Direction>)>,
    ) -> Object<S> {
        // A plane's slices are its rows, and it has no others.
        let axis = |axis: usize| if S::RANK == 2 { 2 * axis } else { axis };
        let voxels = real(self.voxels.into());
        let centroid = S::reals_from_fn(|at| real(self.positions[axis(at)]) / voxels);
        let first = S::extent_from_fn(|at| self.first[axis(at)]);
        let last = S::extent_from_fn(|at| self.last[axis(at)]);
        let at_border =
            |at: usize| first.as_ref()[at] == 0 || last.as_ref()[at] + 1 == extent.as_ref()[at];
        let volume = physical.map(|(size, _)| voxels * size.volume());
        let surface = physical.map(|(_, directions)| {
            let crossings = directions.iter().zip(self.crossings);
            crossings.map(|(direction, n)| direction.weight * real(n.into())).sum()
        });
        Object {
            id: self.id,
            voxels: self.voxels,
            volume,
            surface,
            sphericity: volume
                .zip(surface)
                .map(|(volume, surface)| sphericity::<S>(volume, surface)),
            centroid,
            centroid_um: physical.map(|(size, _)| {
                S::reals_from_fn(|at| centroid.as_ref()[at] * size.micrometres().as_ref()[at])
            }),
            first,
            last,
            touches_border: (0..S::RANK).any(at_border),
            intensities: self.intensities.iter().map(|moments| moments.intensity(voxels)).collect(),
        }
    }
}

impl Moments {
    fn add(&mut self, value: f32) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let value = f64::from(value);
        let deviation = value - self.first;
        self.sum += value;
        self.deviations += deviation;
        self.squares += deviation * deviation;
    }

    fn intensity(&self, count: f64) -> Intensity {
        let deviation = self.deviations / count;
        let variance = self.squares / count - deviation * deviation;
        Intensity {
            mean: self.first + deviation,
            sd: variance.max(0.0).sqrt(),
            min: self.min,
            max: self.max,
            sum: self.sum,
        }
    }
}

/// The surface of the ball of this volume over this surface; in a plane, the area over that of the disc of
/// this perimeter.
fn sphericity<S: Space>(volume: f64, surface: f64) -> f64 {
    if S::RANK == 2 {
        return 4.0 * PI * volume / (surface * surface);
    }
    PI.cbrt() * (6.0 * volume).cbrt().powi(2) / surface
}

#[allow(clippy::cast_precision_loss, reason = "sums of an image, rounded once")]
fn real(number: u128) -> f64 {
    number as f64
}
