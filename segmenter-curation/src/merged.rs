//! Segmentations that are merged as they are read.

use std::{fmt, ops::Range, sync::Arc};

use ndarray::{Array, ArrayView};
use rayon::prelude::*;
use segmenter_core::{ExtentMismatch, ReadError, Region, Source, Space, VoxelSize, Window};

use crate::MergeRule;

/// A segmentation, changed inside of regions by others: computed box by box as it is read, so that
/// volumes of any size can be merged. A source is read only where it has a say.
///
/// Others are applied in the order in which they were added, each to what the earlier ones have
/// made. Ids of label images are taken as they are; [`UniqueIds`](crate::UniqueIds) keeps objects of
/// different images apart.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Labels2, Region, Source, Window, Yx};
/// use segmenter_curation::{MergeRule, Merged};
///
/// let columns = |from: f64, to: f64| Region::polygon([(from, 0.0), (to, 0.0)]);
/// let [a, b, c] = [[1, 1, 1, 0], [0, 5, 5, 5], [9, 0, 9, 9]].map(|row| Labels2::new(array![row]));
/// let merged = Merged::new(a, b, [columns(2.0, 3.0)?])?
///     .with(c, MergeRule::Subtract, [columns(0.0, 1.0)?])?;
/// let ids = merged.read(&Window::<Yx>::whole([1, 4]))?;
/// assert_eq!(ids, array![[[0, 1, 5, 5]]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Merged<S: Space, T> {
    base: Arc<dyn Source<S, T>>,
    layers: Vec<Layer<S, T>>,
}

/// One of the others, and where it has which say.
#[derive(Clone)]
struct Layer<S: Space, T> {
    other: Arc<dyn Source<S, T>>,
    rule: MergeRule,
    regions: Vec<Region>,
}

/// Sources that can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Their extents differ.
    #[error("segmentations of unequal extent can't be merged")]
    Extent(#[source] ExtentMismatch),
    /// Their numbers of channels differ.
    #[error("a source of {other} channels can't be merged into one of {base}; choose one of each")]
    Channels {
        /// Channels of the base.
        base: usize,
        /// Channels of the other.
        other: usize,
    },
}

impl<S: Space, T> Merged<S, T> {
    /// A base, but another inside of regions.
    ///
    /// # Errors
    /// If they differ in extent or in the number of channels.
    pub fn new(
        base: impl Source<S, T> + 'static,
        other: impl Source<S, T> + 'static,
        regions: impl IntoIterator<Item = Region>,
    ) -> Result<Self, MergeError> {
        Self::of(base).with(other, MergeRule::Replace, regions)
    }

    /// A base that nothing is merged into yet.
    pub fn of(base: impl Source<S, T> + 'static) -> Self {
        Self { base: Arc::new(base), layers: Vec::new() }
    }

    /// The same merge, and another that has a say inside of regions, by a rule.
    ///
    /// # Errors
    /// If it differs from the base in extent or in the number of channels.
    pub fn with(
        mut self,
        other: impl Source<S, T> + 'static,
        rule: MergeRule,
        regions: impl IntoIterator<Item = Region>,
    ) -> Result<Self, MergeError> {
        ExtentMismatch::check(other.extent(), self.base.extent()).map_err(MergeError::Extent)?;
        let (base, found) = (self.base.channels(), other.channels());
        if base != found {
            return Err(MergeError::Channels { base, other: found });
        }
        let regions = regions.into_iter().collect();
        self.layers.push(Layer { other: Arc::new(other), rule, regions });
        Ok(self)
    }
}

impl<S: Space, T> fmt::Debug for Merged<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<_> = self.layers.iter().map(|layer| (layer.rule, &layer.regions)).collect();
        let mut merged = f.debug_struct("Merged");
        merged.field("extent", &self.base.extent()).field("layers", &layers).finish_non_exhaustive()
    }
}

impl<S: Space, T: Copy + Default + PartialEq + Send + Sync> Source<S, T> for Merged<S, T> {
    fn extent(&self) -> S::Extent {
        self.base.extent()
    }

    fn channels(&self) -> usize {
        self.base.channels()
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.base.voxel_size()
    }

    fn read(&self, window: &Window<S>) -> Result<Array<T, S::ChannelDim>, ReadError> {
        let parts = self.parts(window);
        // Neither waits for the other: from files, and from memory too, reading is most of the work.
        let (base, others) = rayon::join(
            || self.base.read(window),
            || {
                let read = |part: &Part<'_, S, T>| part.layer.other.read(&part.window);
                parts.par_iter().map(read).collect::<Result<Vec<_>, ReadError>>()
            },
        );
        let (mut voxels, others) = (base?, others?);
        if !voxels.is_standard_layout() {
            voxels = voxels.as_standard_layout().into_owned();
        }
        for (part, other) in parts.iter().zip(&others) {
            part.apply(window, &other.view(), &mut voxels);
        }
        Ok(voxels)
    }
}

/// A region in which another source has a say, and the box of it that is read.
struct Part<'a, S: Space, T> {
    layer: &'a Layer<S, T>,
    region: &'a Region,
    window: Window<S>,
}

impl<S: Space, T> Merged<S, T> {
    /// The regions that cover anything of a box, in order. Only what they cover is read.
    fn parts(&self, window: &Window<S>) -> Vec<Part<'_, S, T>> {
        let regions = self
            .layers
            .iter()
            .flat_map(|layer| layer.regions.iter().map(move |region| (layer, region)));
        regions
            .filter_map(|(layer, region)| {
                let window = whole_rows(region.bounds(window)?, window);
                Some(Part { layer, region, window })
            })
            .collect()
    }
}

impl<S: Space, T: Copy + Default + PartialEq> Part<'_, S, T> {
    /// Lets the other source have its say.
    fn apply(
        &self,
        window: &Window<S>,
        other: &ArrayView<'_, T, S::ChannelDim>,
        voxels: &mut Array<T, S::ChannelDim>,
    ) {
        let other = other.as_standard_layout();
        for (mut channel, other) in voxels.outer_iter_mut().zip(other.outer_iter()) {
            let (Some(voxels), Some(other)) = (channel.as_slice_mut(), other.as_slice()) else {
                continue;
            };
            self.region.for_each_run(&self.window, |run| {
                each_line(run, &self.window, window, |run, place| {
                    self.layer.rule.apply_all(&mut voxels[place], &other[run]);
                });
            });
        }
    }
}

/// A part of a window, or all of its rows where it has most of each: what lies in memory as a whole is
/// copied several times as fast.
fn whole_rows<S: Space>(mut part: Window<S>, window: &Window<S>) -> Window<S> {
    let last = S::RANK - 1;
    if part.extent.as_ref()[last] >= window.extent.as_ref()[last] / 4 * 3 {
        part.start.as_mut()[last] = window.start.as_ref()[last];
        part.extent.as_mut()[last] = window.extent.as_ref()[last];
    }
    part
}

/// Cuts a run of a part of a window at the ends of lines, and tells where in the window each piece is.
fn each_line<S: Space>(
    run: Range<usize>,
    part: &Window<S>,
    window: &Window<S>,
    mut visit: impl FnMut(Range<usize>, Range<usize>),
) {
    let ([_, rows, columns], [_, all_rows, all_columns]) =
        (S::to_zyx(part.extent), S::to_zyx(window.extent));
    let shift = |axis: usize| part.start.as_ref()[axis] - window.start.as_ref()[axis];
    let (down, right) = (shift(S::RANK - 2), shift(S::RANK - 1));
    let deep = if S::RANK == 3 { shift(0) } else { 0 };
    let mut start = run.start;
    while start < run.end {
        let (line, column) = (start / columns, start % columns);
        let end = run.end.min((line + 1) * columns);
        let place = ((deep + line / rows) * all_rows + down + line % rows) * all_columns;
        let place = place + right + column;
        visit(start..end, place..place + end - start);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Axis};
    use segmenter_core::{Labels3, Mask2, Stack2, Zyx};

    use super::*;

    fn square(from: f64, to: f64) -> Region {
        Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
    }

    fn labels(first: u32) -> Labels3 {
        let ids = (first..).take(6 * 7 * 8).collect();
        Labels3::new(Array3::from_shape_vec((6, 7, 8), ids).unwrap())
    }

    /// A source that must not be read.
    struct Sealed;

    impl Source<Zyx, u32> for Sealed {
        fn extent(&self) -> [usize; 3] {
            [6, 7, 8]
        }

        fn channels(&self) -> usize {
            1
        }

        fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
            None
        }

        fn read(&self, _: &Window<Zyx>) -> Result<Array<u32, ndarray::Ix4>, ReadError> {
            Err(ReadError::Source("read".into()))
        }
    }

    #[test]
    fn a_box_of_a_merge_is_the_box_of_the_merged_image() {
        let (a, b) = (labels(0), labels(1000));
        let regions = [square(1.0, 3.0).through_z(1..=3), square(2.0, 5.0).through_z(3..=9)];
        let whole = a.merged_with(&b, &regions[0]).unwrap().merged_with(&b, &regions[1]).unwrap();
        let merged = Merged::new(a, b, regions).unwrap();
        let window = Window::<Zyx>::new([1, 2, 0], [4, 3, 6]);
        let found = merged.read(&window).unwrap();
        assert_eq!(found.index_axis(Axis(0), 0), window.view(&whole.view()));
    }

    #[test]
    fn the_other_is_not_read_where_there_is_no_region() {
        let merged = Merged::new(labels(0), Sealed, [square(0.0, 2.0).through_z(4..=5)]).unwrap();
        assert!(merged.read(&Window::new([0, 0, 0], [4, 7, 8])).is_ok());
        assert!(merged.read(&Window::new([0, 0, 0], [5, 7, 8])).is_err());
    }

    #[test]
    fn sources_of_unequal_shape_are_not_merged() {
        let error = Merged::new(Mask2::all([2, 3]), Mask2::all([3, 2]), []).unwrap_err();
        assert!(matches!(error, MergeError::Extent(_)));
        let two = Stack2::<u8>::from_channels(Array3::zeros((2, 4, 4)));
        let one = Stack2::<u8>::new(Array2::zeros((4, 4)));
        let error = Merged::<_, f32>::new(two, one, []).unwrap_err();
        assert_eq!(error, MergeError::Channels { base: 2, other: 1 });
    }
}
