//! One plane of voxels, and how it is drawn.

use ndarray::Array2;
use segmenter_core::{Space, Window};

use super::{OUTLINES, SKY_BLUE, VERMILLION, canvas::Canvas};

/// Which share of the voxels shown is black, and which is not white.
const PERCENTILES: [f64; 2] = [0.01, 0.998];

/// The distance between lines of a hatching, and their width, in pixels.
const HATCHING: [usize; 2] = [8, 2];

/// A plane through a volume, along two of its axes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// The slice z, rows along y and columns along x.
    Z(usize),
    /// Through row y: rows along z, columns along x.
    Y(usize),
    /// Through column x: rows along y, columns along z.
    X(usize),
}

impl Cut {
    /// The voxels that the plane goes through.
    pub(super) fn window<S: Space>(self, extent: S::Extent) -> Window<S> {
        let (axis, at) = match self {
            Self::Z(at) => (0, at),
            Self::Y(at) => (1, at),
            Self::X(at) => (2, at),
        };
        let mut window = Window::<S>::whole(extent);
        // A plane has no axis z to cut.
        if let Some(axis) = (axis + S::RANK).checked_sub(3) {
            window.start.as_mut()[axis] = at;
            window.extent.as_mut()[axis] = 1;
        }
        window
    }

    /// Voxels as they are drawn, given as rows along z and y of a volume of so many slices.
    pub(super) fn turned<T: Clone>(self, voxels: Array2<T>, slices: usize) -> Array2<T> {
        match self {
            Self::Z(_) | Self::Y(_) => voxels,
            // Of one column, the rows of all slices follow each other.
            Self::X(_) => {
                let rows = voxels.len() / slices.max(1);
                Array2::from_shape_fn((rows, slices), |(y, z)| voxels[[z * rows + y, 0]].clone())
            }
        }
    }
}

/// What is to be drawn, a value for each voxel.
pub(super) struct Panel {
    pub(super) raw: Array2<f32>,
    pub(super) outlines: Vec<Array2<u32>>,
    pub(super) excluded: Array2<bool>,
    pub(super) merged: Array2<bool>,
}

impl Panel {
    pub(super) fn new(raw: Array2<f32>) -> Self {
        let nowhere = Array2::from_elem(raw.raw_dim(), false);
        Self { raw, outlines: Vec::new(), excluded: nowhere.clone(), merged: nowhere }
    }

    /// Makes this the projection of itself and another slice.
    pub(super) fn add(&mut self, other: &Self) {
        self.raw.zip_mut_with(&other.raw, |value, &other| *value = value.max(other));
        for (ids, other) in self.outlines.iter_mut().zip(&other.outlines) {
            ids.zip_mut_with(other, |id, &other| *id = (*id).max(other));
        }
        self.excluded.zip_mut_with(&other.excluded, |inside, &other| *inside |= other);
        self.merged.zip_mut_with(&other.merged, |inside, &other| *inside |= other);
    }

    /// Draws the panel into a box of the canvas.
    pub(super) fn draw(
        &self,
        canvas: &mut Canvas,
        at: [usize; 2],
        size: [usize; 2],
        contrast: [f32; 2],
    ) {
        let scaled = |voxels: &Array2<u32>| nearest(voxels, size);
        let outlines: Vec<_> = self.outlines.iter().map(scaled).collect();
        let excluded = nearest(&self.excluded, size);
        let merged = nearest(&self.merged, size);
        for ((y, x), &value) in averaged(&self.raw, size).indexed_iter() {
            let mut colour = [gray(value, contrast); 3];
            if merged[[y, x]] {
                colour = marked(colour, SKY_BLUE, hatched(y + HATCHING[0] * size[1] - x));
            }
            if excluded[[y, x]] {
                colour = marked(colour, VERMILLION, hatched(y + x));
            }
            for (ids, outline) in outlines.iter().zip(OUTLINES.iter().cycle()) {
                if on_outline(ids, y, x) {
                    colour = *outline;
                }
            }
            canvas.set([at[0] + y, at[1] + x], colour);
        }
    }
}

/// The intensities that are black and white.
pub(super) fn contrast(panels: &[Panel]) -> [f32; 2] {
    let mut values: Vec<f32> = panels.iter().flat_map(|panel| panel.raw.iter().copied()).collect();
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f32::total_cmp);
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else { return [0.0; 2] };
    let [low, high] = PERCENTILES.map(|share| values[rank(share, values.len())]);
    if low < high { [low, high] } else { [first, last] }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number is no larger than that"
)]
fn rank(share: f64, of: usize) -> usize {
    ((of - 1) as f64 * share).round() as usize
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before; what is not a number is black"
)]
fn gray(value: f32, [low, high]: [f32; 2]) -> u8 {
    let (value, low, high) = (f64::from(value), f64::from(low), f64::from(high));
    if low < high {
        ((value - low) / (high - low) * 255.0).round().clamp(0.0, 255.0) as u8
    } else {
        0
    }
}

/// The voxels that a pixel shows, along one axis.
fn voxels(pixel: usize, pixels: usize, voxels: usize) -> std::ops::Range<usize> {
    let start = pixel * voxels / pixels;
    start..((pixel + 1) * voxels / pixels).max(start + 1)
}

/// The mean of the voxels of each pixel, or the voxel it is in.
fn averaged(plane: &Array2<f32>, [rows, columns]: [usize; 2]) -> Array2<f32> {
    let (height, width) = plane.dim();
    Array2::from_shape_fn((rows, columns), |(y, x)| {
        let (mut sum, mut count) = (0.0, 0.0);
        for row in voxels(y, rows, height) {
            for column in voxels(x, columns, width) {
                sum += f64::from(plane[[row, column]]);
                count += 1.0;
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "a mean of numbers of single precision")]
        let mean = (sum / count) as f32;
        mean
    })
}

/// The voxel in the middle of each pixel.
fn nearest<T: Copy>(plane: &Array2<T>, [rows, columns]: [usize; 2]) -> Array2<T> {
    let (height, width) = plane.dim();
    let middle = |pixel, pixels, size| (2 * pixel + 1) * size / (2 * pixels);
    Array2::from_shape_fn((rows, columns), |(y, x)| {
        plane[[middle(y, rows, height), middle(x, columns, width)]]
    })
}

fn hatched(diagonal: usize) -> bool {
    diagonal % HATCHING[0] < HATCHING[1]
}

/// A colour laid over another: half of it on lines, a sixth between them.
fn marked(under: [u8; 3], over: [u8; 3], line: bool) -> [u8; 3] {
    let share = if line { 3 } else { 1 };
    let mix = |rgb: usize| (u16::from(under[rgb]) * (6 - share) + u16::from(over[rgb]) * share) / 6;
    [0, 1, 2].map(|rgb| u8::try_from(mix(rgb)).unwrap_or(u8::MAX))
}

/// Whether a pixel of an object is beside one that is not of it. What is beyond the picture is not beside.
fn on_outline(ids: &Array2<u32>, y: usize, x: usize) -> bool {
    let id = ids[[y, x]];
    let near = [(y + 1, x), (y.wrapping_sub(1), x), (y, x + 1), (y, x.wrapping_sub(1))];
    id != 0 && near.into_iter().any(|at| ids.get(at).is_some_and(|&near| near != id))
}
