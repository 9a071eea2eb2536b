//! Grids with a margin, in which every voxel has all of its neighbours.

use crate::{Connectivity, Space};

/// How voxels lie in memory that has a margin of one voxel on each side of each spatial axis, so that
/// neighbours are found by adding to an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margin {
    /// The extent without the margin, `[z, y, x]`.
    extent: [usize; 3],
    /// The margin along z, of which a plane has none.
    slices: usize,
}

impl Margin {
    pub(super) fn around<S: Space>(extent: S::Extent) -> Self {
        Self { extent: S::to_zyx(extent), slices: usize::from(S::RANK == 3) }
    }

    /// The number of voxels from one slice to the next, and from one row to the next.
    pub(super) fn strides(&self) -> [usize; 2] {
        let row = self.extent[2] + 2;
        [(self.extent[1] + 2) * row, row]
    }

    /// The number of voxels, the margin included.
    pub(super) fn len(&self) -> usize {
        (self.extent[0] + 2 * self.slices) * self.strides()[0]
    }

    /// Where each row of the grid begins, slice after slice.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        let ([slice, row], [slices, rows, _], first) = (self.strides(), self.extent, self.slices);
        let starts = (first..first + slices).flat_map(move |z| (1..=rows).map(move |y| (z, y)));
        starts.map(move |(z, y)| z * slice + y * row + 1)
    }

    /// The values of a grid, with `margin` around them.
    pub(super) fn pad<T: Copy, V: Clone>(
        &self,
        values: &[T],
        margin: V,
        mut convert: impl FnMut(T) -> V,
    ) -> Vec<V> {
        let mut padded = vec![margin; self.len()];
        let width = self.extent[2].max(1);
        for (start, row) in self.rows().zip(values.chunks_exact(width)) {
            let places = &mut padded[start..start + width];
            places.iter_mut().zip(row).for_each(|(place, &value)| *place = convert(value));
        }
        padded
    }

    /// The values of the grid without the margin.
    pub(super) fn strip<V: Copy>(&self, padded: &[V]) -> Vec<V> {
        self.rows()
            .flat_map(|start| padded[start..start + self.extent[2]].iter().copied())
            .collect()
    }

    /// What has to be added, wrapping, to the index of a voxel for that of each of its neighbours. They
    /// come in the order of `scikit-image`: the nearest first, then those before in memory.
    pub(super) fn steps(&self, connectivity: Connectivity) -> Vec<usize> {
        let axes = match connectivity {
            Connectivity::Face => 1,
            Connectivity::Edge => 2,
            Connectivity::Corner => 3,
        };
        let [slice, row] = self.strides();
        let mut steps = Vec::new();
        for differing in 1..=axes {
            for at in 0..27 {
                let [z, y, x]: [usize; 3] = [at / 9, at / 3 % 3, at % 3];
                let apart = [z, y, x].into_iter().filter(|&step| step != 1).count();
                let in_plane = self.slices == 1 || z == 1;
                if apart == differing && in_plane {
                    let to = z * slice + y * row + x;
                    steps.push(to.wrapping_sub(slice + row + 1));
                }
            }
        }
        steps
    }

    /// The number of voxels of a row, without the margin.
    pub(super) fn width(&self) -> usize {
        self.extent[2]
    }

    /// The slice, row and column of a voxel, counted with the margin.
    #[allow(clippy::cast_precision_loss, reason = "no axis has 2^53 voxels")]
    pub(super) fn place(&self, voxel: usize) -> [f64; 3] {
        let [slice, row] = self.strides();
        [voxel / slice, voxel % slice / row, voxel % row].map(|index| index as f64)
    }

    /// How far apart two voxels are, in voxels, squared.
    pub(super) fn squared_distance(&self, a: usize, b: usize) -> f64 {
        let pairs = self.place(a).into_iter().zip(self.place(b));
        pairs.fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
    }
}
