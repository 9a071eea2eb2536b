//! The smaller levels of a new image.

use std::ops::Range;

use ndarray::ArrayView3;
use rayon::prelude::*;

use super::{axes::Axes, chunks::Chunks};
use crate::{ImageKind, Pixel, Window, WriteError, Zyx, io::SaveError};

/// A level and the one before, by `[z, y, x]`.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) axes: &'a Axes,
    pub(super) kind: ImageKind,
    pub(super) channels: usize,
    pub(super) from: (&'a Chunks, [usize; 3]),
    pub(super) to: (&'a Chunks, [usize; 3]),
}

impl Step<'_> {
    /// Makes the level from the one before, block by block on all cores. In memory are, for each thread, a block
    /// and what it is made of.
    pub(super) fn run<T: Pixel>(&self) -> Result<(), WriteError> {
        let blocks: Vec<_> =
            Window::<Zyx>::blocks(self.to.1, self.axes.zyx(&self.to.0.chunk, 1)).collect();
        let tasks = blocks.par_iter().flat_map(|block| {
            (0..self.channels).into_par_iter().map(move |channel| (channel, block))
        });
        tasks.try_for_each(|(channel, block)| self.block::<T>(channel, block))
    }

    fn block<T: Pixel>(&self, channel: usize, block: &Window<Zyx>) -> Result<(), WriteError> {
        let sources = [0, 1, 2].map(|axis| {
            let parts = block.range(axis).map(|i| source(i, self.from.1[axis], self.to.1[axis]));
            parts.collect::<Vec<_>>()
        });
        let region = sources.each_ref().map(|parts| parts[0].start..parts[parts.len() - 1].end);
        let extent = region.each_ref().map(ExactSizeIterator::len);
        let mut bytes = vec![0; extent.iter().product::<usize>() * T::TYPE.bytes()];
        let [z, y, x] = region.clone();
        let here = [channel..channel + 1, z, y, x];
        self.from.0.read(self.axes, 0, &here, 1, &mut bytes).map_err(unreadable)?;
        let voxels: Vec<T> = bytes
            .chunks_exact(T::TYPE.bytes())
            .map(|bytes| T::from_le_slice(bytes).unwrap_or_default())
            .collect();
        drop(bytes);
        let [z, y, x] = extent;
        let voxels = ArrayView3::from_shape([z, y, x], &voxels)
            .map_err(|error| WriteError::Sink(Box::new(error)))?;
        let smaller = self.reduce(&voxels, &sources, region.map(|range| range.start));
        let smaller = ArrayView3::from_shape(block.extent, &smaller)
            .map_err(|error| WriteError::Sink(Box::new(error)))?;
        self.to.0.write_block(self.axes, channel, block.start, &smaller, 1)
    }

    fn reduce<T: Pixel>(
        &self,
        voxels: &ArrayView3<'_, T>,
        [slices, rows, columns]: &[Vec<Range<usize>>; 3],
        start: [usize; 3],
    ) -> Vec<T> {
        let here =
            |range: &Range<usize>, axis: usize| range.start - start[axis]..range.end - start[axis];
        let mut smaller = Vec::with_capacity(slices.len() * rows.len() * columns.len());
        for z in slices.iter().map(|z| here(z, 0)) {
            for y in rows.iter().map(|y| here(y, 1)) {
                for x in columns.iter().map(|x| here(x, 2)) {
                    smaller.push(match self.kind {
                        ImageKind::Intensities => mean(voxels, [z.clone(), y.clone(), x]),
                        ImageKind::Labels | ImageKind::Mask => voxels[[z.start, y.start, x.start]],
                    });
                }
            }
        }
        smaller
    }
}

/// The voxels along an axis that make up one of the next level: as many for each, but for the last.
fn source(index: usize, from: usize, to: usize) -> Range<usize> {
    let ratios = [(from / to).max(1), from.div_ceil(to).max(1)];
    let even = ratios.into_iter().find(|&ratio| from.div_ceil(ratio) == to || from / ratio == to);
    if let Some(ratio) = even {
        return index * ratio..from.min((index + 1) * ratio);
    }
    // Levels of others may be of any size.
    let [start, end] = [index, index + 1]
        .map(|edge| usize::try_from(edge as u128 * from as u128 / to as u128).unwrap_or(from));
    start..end.max(start + 1)
}

fn mean<T: Pixel>(voxels: &ArrayView3<'_, T>, [z, y, x]: [Range<usize>; 3]) -> T {
    let (mut sum, mut count) = (0.0, 0.0);
    for z in z {
        for y in y.clone() {
            for x in x.clone() {
                sum += voxels[[z, y, x]].to_f64();
                count += 1.0;
            }
        }
    }
    T::from_mean(sum / count)
}

/// What was written a moment ago can't be read.
fn unreadable(error: crate::io::OpenError) -> WriteError {
    match error {
        crate::io::OpenError::Io { path, source } => SaveError::Io { path, source }.into(),
        other => WriteError::Sink(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_any_size_is_made_of_the_one_before() {
        let sources = |from, to| (0..to).map(|i| source(i, from, to)).collect::<Vec<_>>();
        assert_eq!(sources(5, 3), [0..2, 2..4, 4..5], "rounded up");
        assert_eq!(sources(5, 2), [0..2, 2..4], "rounded down");
        assert_eq!(sources(9, 3), [0..3, 3..6, 6..9]);
        assert_eq!(sources(7, 4), [0..2, 2..4, 4..6, 6..7], "rounded up");
        assert_eq!(sources(10, 7), [0..1, 1..2, 2..4, 4..5, 5..7, 7..8, 8..10], "as it comes");
    }
}
