//! One pass over the slices of a label image.

use std::collections::HashMap;

use ndarray::{ArrayView2, ArrayView3};

use super::{ObjectTable, sums::Sums, surface::directions};
use crate::{Space, VoxelSize, components::index};

/// Sums over the slices of a label image that comes slice by slice, where a plane comes row by row.
pub(super) struct Measuring<S: Space> {
    extent: S::Extent,
    channels: usize,
    steps: Vec<[isize; 3]>,
    /// The number of slices pushed.
    slices: usize,
    /// The place of each id among the objects.
    places: HashMap<u32, u32>,
    objects: Vec<Sums>,
    current: Padded,
    below: Padded,
}

/// A slice of places among the objects, plus one, with a margin of background of one voxel on each side.
struct Padded {
    places: Vec<u32>,
    row: usize,
}

impl Padded {
    fn new(rows: usize, columns: usize) -> Self {
        let row = columns + 2;
        // Two voxels more than two rows, so that whatever is in the margin has neighbours in memory.
        Self { places: vec![0; (rows + 4) * row + 2], row }
    }

    /// Where a row begins, its margin included; rows are counted from the margin on.
    fn start(&self, row: usize) -> usize {
        (row + 1) * self.row + 1
    }
}

impl<S: Space> Measuring<S> {
    pub(super) fn new(extent: S::Extent, channels: usize) -> Self {
        let [_, rows, columns] = S::to_zyx(extent);
        let rows = if S::RANK == 3 { rows } else { 1 };
        let steps = directions::<S>(S::reals_from_fn(|_| 1.0));
        Self {
            extent,
            channels,
            steps: steps.iter().map(|direction| direction.step).collect(),
            slices: 0,
            places: HashMap::new(),
            objects: Vec::new(),
            current: Padded::new(rows, columns),
            below: Padded::new(rows, columns),
        }
    }

    /// Takes the next slice, and the intensities in it, `[c, y, x]`.
    pub(super) fn push(
        &mut self,
        ids: &ArrayView2<'_, u32>,
        intensities: Option<&ArrayView3<'_, f32>>,
    ) {
        std::mem::swap(&mut self.current, &mut self.below);
        self.current.places.fill(0);
        for (y, row) in ids.rows().into_iter().enumerate() {
            let Some(row) = row.to_slice() else { unreachable!("slabs are in order") };
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] != 0 {
                    let place = self.place(run[0]);
                    self.objects[place].extend([self.slices, y, x], run.len());
                    if let Some(intensities) = intensities {
                        self.objects[place].take(intensities, y, x..x + run.len());
                    }
                    let start = self.current.start(y + 1) + 1 + x;
                    let place = self.places[&run[0]] + 1;
                    self.current.places[start..start + run.len()].fill(place);
                }
                x += run.len();
            }
        }
        self.cross(ids.nrows());
        self.slices += 1;
    }

    /// The place of an object, which is made at its first voxel.
    fn place(&mut self, id: u32) -> usize {
        let next = u32::try_from(self.objects.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.objects.push(Sums::new(id, self.channels));
        }
        index(place)
    }

    /// Counts where lines go from one object into another or into the background, between this slice and
    /// the one before, and within this one.
    fn cross(&mut self, rows: usize) {
        // Only in a volume do lines go through the margin from row to row.
        let rows = if S::RANK == 3 { 0..rows + 2 } else { 1..rows + 1 };
        for (direction, &[z, y, x]) in self.steps.iter().enumerate() {
            let from = if z == 0 { &self.current } else { &self.below };
            for row in rows.clone() {
                let start = self.current.start(row);
                let back = from.start(row).wrapping_add_signed(-y * from.row.cast_signed() - x);
                let here = &self.current.places[start..start + from.row];
                let there = &from.places[back..back + from.row];
                for (here, there) in here.chunks(32).zip(there.chunks(32)) {
                    if here != there {
                        count(&mut self.objects, direction, here, there);
                    }
                }
            }
        }
    }

    pub(super) fn finish(mut self, size: Option<VoxelSize<S>>) -> ObjectTable<S> {
        let rows = if S::RANK == 3 { self.extent.as_ref()[1] } else { 1 };
        std::mem::swap(&mut self.current, &mut self.below);
        self.current.places.fill(0);
        self.cross(rows);
        self.objects.sort_unstable_by_key(|object| object.id);
        let physical = size.map(|size| (size, directions::<S>(size.micrometres())));
        let objects = self.objects.iter().map(|sums| sums.object(self.extent, physical.as_ref()));
        let channels = (0..self.channels).map(|channel| format!("channel_{channel}"));
        ObjectTable { objects: objects.collect(), channels: channels.collect() }
    }
}

/// Counts where two stretches of voxels differ.
fn count(objects: &mut [Sums], direction: usize, here: &[u32], there: &[u32]) {
    for (&here, &there) in here.iter().zip(there).filter(|(here, there)| here != there) {
        for place in [here, there].into_iter().filter(|&place| place != 0) {
            objects[index(place - 1)].crossings[direction] += 1;
        }
    }
}
