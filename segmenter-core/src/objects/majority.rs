//! Masks smoothed by a vote.

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

use super::{Length, ObjectsError};
use crate::{Mask, Space};

impl<S: Space> Mask<S> {
    /// The voxels of which more than half of the ball around them is in the mask, as far as it is in the
    /// image: SciPy's `median_filter` with a ball, but at the border of the image, which pulls in no
    /// direction here. Rough outlines become smooth, specks vanish and dents close.
    ///
    /// The time grows with the radius squared, that of the [opening](Self::opened) and
    /// [closing](Self::closed) does not.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Mask2, objects::Length};
    ///
    /// let mask = array![[1, 1, 0, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0]].mapv(|voxel| voxel == 1);
    /// let smooth = Mask2::new(mask).smoothed(Length::Voxels(1.0))?;
    /// assert_eq!(smooth.view().row(1), array![true, true, false, false, false]);
    /// # Ok::<(), segmenter_core::objects::ObjectsError>(())
    /// ```
    ///
    /// # Errors
    /// If the radius is in µm and the voxel size is not known, or it is negative or not finite.
    pub fn smoothed(&self, radius: Length) -> Result<Self, ObjectsError> {
        let value = radius.value("radius")?;
        let mut edges = [1.0; 3];
        let unit = radius.unit().edges(self.voxel_size())?;
        edges[3 - S::RANK..].copy_from_slice(unit.as_ref());
        let rows = ball(value, edges, S::to_zyx(self.extent()));
        self.map_volume(|volume| Ok(Votes::of(volume).majority(&rows)))
    }
}

/// A row of a ball.
struct Row {
    z: isize,
    y: isize,
    /// How many voxels it has on either side of the middle.
    reach: usize,
}

/// The rows of a ball, as far as an image of this extent can hold them.
#[allow(clippy::cast_precision_loss, reason = "no axis has 2^53 voxels")]
fn ball(radius: f64, edges: [f64; 3], extent: [usize; 3]) -> Vec<Row> {
    let square = |steps: usize, axis: usize| (steps as f64 * edges[axis]).powi(2);
    let within = |so_far: f64, axis: usize| {
        let steps = (0..extent[axis]).rev();
        steps.into_iter().find(move |&steps| so_far + square(steps, axis) <= radius * radius)
    };
    let both = |steps: usize| {
        let steps = steps.cast_signed();
        -steps..=steps
    };
    let mut rows = Vec::new();
    for z in both(within(0.0, 0).unwrap_or(0)) {
        let along_z = square(z.unsigned_abs(), 0);
        for y in both(within(along_z, 1).unwrap_or(0)) {
            let reach = within(along_z + square(y.unsigned_abs(), 1), 2);
            rows.extend(reach.map(|reach| Row { z, y, reach }));
        }
    }
    rows
}

/// For each row of a mask, how many of its first voxels are in it: of none, of one, and so on.
struct Votes {
    sums: Array3<u32>,
}

impl Votes {
    fn of(volume: &ArrayView3<'_, bool>) -> Self {
        let (slices, rows, columns) = volume.dim();
        let mut sums = Array3::zeros((slices, rows, columns + 1));
        for (row, mut sums) in volume.rows().into_iter().zip(sums.rows_mut()) {
            let mut sum = 0;
            for (&inside, place) in row.iter().zip(sums.iter_mut().skip(1)) {
                sum += u32::from(inside);
                *place = sum;
            }
        }
        Self { sums }
    }

    fn majority(&self, ball: &[Row]) -> Array3<bool> {
        let (slices, rows, places) = self.sums.dim();
        let mut majority = Array3::default((slices, rows, places - 1));
        let planes: Vec<_> = majority.axis_iter_mut(Axis(0)).enumerate().collect();
        planes.into_par_iter().for_each(|(z, mut plane)| {
            let (mut inside, mut all) = (vec![0; places - 1], vec![0; places - 1]);
            for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
                inside.fill(0);
                all.fill(0);
                for line in ball {
                    self.count(line, [z, y], &mut inside, &mut all);
                }
                let votes = inside.iter().zip(&all).map(|(inside, all)| 2 * inside > *all);
                row.iter_mut().zip(votes).for_each(|(place, vote)| *place = vote);
            }
        });
        majority
    }

    /// Adds, for each voxel of a row, the voxels of one row of the ball around it.
    fn count(&self, line: &Row, [z, y]: [usize; 2], inside: &mut [u64], all: &mut [u64]) {
        let (slices, rows, _) = self.sums.dim();
        let near = z.checked_add_signed(line.z).zip(y.checked_add_signed(line.y));
        let Some((z, y)) = near.filter(|&(z, y)| z < slices && y < rows) else { return };
        let columns = inside.len();
        for (x, (inside, all)) in inside.iter_mut().zip(all).enumerate() {
            let from = x.saturating_sub(line.reach);
            let to = x.saturating_add(line.reach + 1).min(columns);
            *inside += u64::from(self.sums[[z, y, to]] - self.sums[[z, y, from]]);
            *all += (to - from) as u64;
        }
    }
}
