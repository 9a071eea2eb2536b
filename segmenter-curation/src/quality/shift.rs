//! Whether the segmentation would fit better elsewhere.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{plane::Plane, texture::Pairs};

/// How far a better place is looked for, in pixels along y and x: beyond that it is another image's
/// segmentation rather than a shifted one.
pub(crate) const REACH: usize = 16;

const SIDE: usize = 2 * REACH + 1;

/// Where a segmentation fits best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestShift {
    /// By how many pixels to move the segmentation down; up if negative.
    pub y: i32,
    /// By how many pixels to move it to the right; to the left if negative.
    pub x: i32,
    /// By how much the correlation with the raw image then grows; 0 if nothing is better than to leave
    /// it where it is.
    pub gain: f64,
}

/// Sums, slice by slice, of the products of raw image and segmentation at all shifts.
///
/// The segmentation is taken as runs in a row, and the raw image as sums from the start of the row, so
/// a shift costs two numbers a run rather than one a voxel.
#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    /// The mean and the limits of the raw image's intensities.
    centre: f64,
    limits: [f64; 2],
    /// The segmentation's share of the image.
    foreground: f64,
    voxels: f64,
    squares: f64,
    /// Sums of the raw image over the segmentation moved by each shift, `[y, x]`.
    inside: Array2<f64>,
    /// Sums of the raw image over what is left of it under an image moved by each shift.
    overlap: Array2<f64>,
}

impl Correlation {
    /// `centre` is subtracted from intensities, which are first limited.
    pub(crate) fn new(limits: [f64; 2], centre: f64, foreground: f64) -> Self {
        let zeros = Array2::zeros((SIDE, SIDE));
        let (inside, overlap) = (zeros.clone(), zeros);
        Self { centre, limits, foreground, voxels: 0.0, squares: 0.0, inside, overlap }
    }

    /// Takes in a slice, and gives what its own correlation follows from.
    pub(crate) fn push(&mut self, plane: &Plane) -> Pairs {
        let (rows, columns) = plane.raw.dim();
        let (sums, pairs) = self.row_sums(plane);
        for y in 0..rows {
            let runs = runs(plane, y);
            for (down, dy) in (0..SIDE).filter_map(|down| Some((down, moved(y, down, rows)?))) {
                let sums = sums.row(dy);
                for right in 0..SIDE {
                    let between = |start: usize, end: usize| {
                        sums[shifted(end, right, columns)] - sums[shifted(start, right, columns)]
                    };
                    let inside = runs.iter().map(|&(start, end)| between(start, end)).sum::<f64>();
                    self.inside[[down, right]] += inside;
                    self.overlap[[down, right]] += between(0, columns);
                }
            }
        }
        pairs
    }

    /// The correlation as it is, and where it is best.
    pub(crate) fn finish(&self) -> Option<(f64, BestShift)> {
        let spread = self.squares / self.voxels;
        let scale = self.voxels * (spread * self.foreground * (1.0 - self.foreground)).sqrt();
        if !(scale > 0.0 && scale.is_finite()) {
            return None;
        }
        let correlations = (&self.inside - &(&self.overlap * self.foreground)) / scale;
        let here = correlations[[REACH, REACH]];
        let mut best = BestShift { y: 0, x: 0, gain: 0.0 };
        for ((down, right), &correlation) in correlations.indexed_iter() {
            if correlation - here > best.gain {
                let step =
                    |by: usize| i32::try_from(by).unwrap_or(0) - i32::try_from(REACH).unwrap_or(0);
                best = BestShift { y: step(down), x: step(right), gain: correlation - here };
            }
        }
        Some((here.clamp(-1.0, 1.0), best))
    }

    /// Sums of the raw image from the start of each row to before each column. Voxels that don't count
    /// are as the mean.
    fn row_sums(&mut self, plane: &Plane) -> (Array2<f64>, Pairs) {
        let (rows, columns) = plane.raw.dim();
        let (mut sums, mut pairs) = (Array2::zeros((rows, columns + 1)), Pairs::default());
        for ((y, x), &value) in plane.raw.indexed_iter() {
            let mut value = f64::from(value).clamp(self.limits[0], self.limits[1]) - self.centre;
            if plane.counted[[y, x]] {
                self.voxels += 1.0;
                self.squares += value * value;
                pairs.push(value, f64::from(u8::from(plane.inside[[y, x]])));
            } else {
                value = 0.0;
            }
            sums[[y, x + 1]] = sums[[y, x]] + value;
        }
        (sums, pairs)
    }
}

/// The runs of the segmentation in a row, as pairs of start and end.
fn runs(plane: &Plane, y: usize) -> Vec<(usize, usize)> {
    let mut runs = Vec::<(usize, usize)>::new();
    for (x, _) in plane.inside.row(y).iter().enumerate().filter(|(_, inside)| **inside) {
        match runs.last_mut() {
            Some((_, end)) if *end == x => *end += 1,
            _ => runs.push((x, x + 1)),
        }
    }
    runs
}

/// The row that a row comes to lie on, if it stays in the image. `by` counts from `-REACH`.
fn moved(at: usize, by: usize, size: usize) -> Option<usize> {
    (at + by).checked_sub(REACH).filter(|&to| to < size)
}

/// The edge between columns that an edge comes to lie on, which is that of the image if it would leave it.
fn shifted(at: usize, by: usize, size: usize) -> usize {
    (at + by).saturating_sub(REACH).min(size)
}
