//! Connected components: from a mask to objects.

use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis};

use crate::{Labels, Mask, Space};

/// Which neighbours of a voxel are connected with it, named by what the two voxels share.
///
/// | | plane | volume |
/// |---|---|---|
/// | [`Face`](Self::Face) | 4 | 6 |
/// | [`Edge`](Self::Edge) | 8 | 18 |
/// | [`Corner`](Self::Corner) | 8 | 26 |
///
/// In a plane two pixels that meet in a corner share an edge of the volume they would be a slice of,
/// so there the last two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// Voxels that share a face.
    #[default]
    Face,
    /// Those, and voxels that share an edge.
    Edge,
    /// Those, and voxels that share a corner.
    Corner,
}

impl Connectivity {
    /// How far apart the columns of two neighbours may be that are so many slices and rows apart.
    fn reach(self, slices: usize, rows: usize) -> Option<usize> {
        let axes = match self {
            Self::Face => 1,
            Self::Edge => 2,
            Self::Corner => 3,
        };
        // One more axis may differ, and along it by one column.
        let differing = slices + rows;
        (differing <= axes).then_some(usize::from(differing < axes))
    }
}

/// More connected components than a label image has ids for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mask has more connected components than the {} ids of a label image", u32::MAX)]
pub struct TooManyComponents;

/// What is known of one connected component without its voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Number of voxels.
    pub voxels: usize,
    /// The lowest slice, row and column, `[z, y, x]`; a plane is slice 0.
    pub first: [usize; 3],
    /// The highest slice, row and column.
    pub last: [usize; 3],
}

/// A mask's connected components.
#[derive(Clone, Debug, PartialEq)]
pub struct Components<S: Space> {
    /// The components as objects with the ids 1, 2, 3 and so on, in the order of their first voxels:
    /// by slice, then row, then column.
    pub labels: Labels<S>,
    /// Where each is and how large, that of id 1 first.
    pub components: Vec<Component>,
}

impl<S: Space> Mask<S> {
    /// The connected components of the mask, by a [`ComponentScan`] over its slices.
    ///
    /// Ids are those of `scipy.ndimage.label`.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Connectivity, Mask2};
    ///
    /// let mask = Mask2::new(array![[true, false, true], [false, true, false]]);
    /// assert_eq!(mask.components(Connectivity::Face)?.components.len(), 3);
    ///
    /// let joined = mask.components(Connectivity::Corner)?;
    /// assert_eq!(joined.components[0].voxels, 3);
    /// assert_eq!(joined.labels.view(), array![[1, 0, 1], [0, 1, 0]]);
    /// # Ok::<(), segmenter_core::TooManyComponents>(())
    /// ```
    ///
    /// # Errors
    /// If there are more components than ids.
    pub fn components(
        &self,
        connectivity: Connectivity,
    ) -> Result<Components<S>, TooManyComponents> {
        let voxels = self.view();
        let Ok(volume) = voxels.to_shape(S::to_zyx(self.extent())) else {
            unreachable!("the same voxels, in the same order")
        };
        let mut scan = ComponentScan::new(connectivity);
        volume.axis_iter(Axis(0)).try_for_each(|slice| scan.push(&slice))?;
        let found = scan.finish();
        let (mut ids, mut painter) = (Array3::zeros(volume.raw_dim()), found.painter());
        for (slice, ids) in volume.axis_iter(Axis(0)).zip(ids.axis_iter_mut(Axis(0))) {
            painter.paint(&slice, ids);
        }
        let Ok(ids) = ids.into_shape_with_order(S::dim(self.extent())) else {
            unreachable!("the same voxels, in the same order")
        };
        let labels = Labels::new(ids).with_voxel_size(self.voxel_size());
        Ok(Components { labels, components: found.components })
    }
}

/// Finds the connected components of a mask that comes slice by slice.
///
/// Two passes over runs of voxels in a row, joined by union-find (Rosenfeld and Pfaltz 1966,
/// <https://doi.org/10.1145/321356.321357>; with runs: He, Chao and Suzuki 2008,
/// <https://doi.org/10.1109/TIP.2008.917204>). The first pass is [`push`](Self::push), which keeps four
/// bytes for each run, some 60 for each component (or part of one that joins another later), and the
/// runs of one slice. The second, which only those need who want ids, is [`FoundComponents::painter`].
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{ComponentScan, Connectivity};
///
/// let mut scan = ComponentScan::new(Connectivity::Face);
/// scan.push(&array![[true, false, true]].view())?;
/// scan.push(&array![[true, true, true]].view())?;
/// let found = scan.finish();
/// assert_eq!(found.components()[0].voxels, 5);
/// assert_eq!(found.components()[0].last, [1, 0, 2]);
/// # Ok::<(), segmenter_core::TooManyComponents>(())
/// ```
#[derive(Clone, Debug)]
pub struct ComponentScan {
    connectivity: Connectivity,
    /// The number of slices pushed.
    slices: usize,
    /// The slice before.
    below: Slice,
    /// The part that each run was given, in the order of the runs.
    runs: Vec<u32>,
    parts: Parts,
}

impl ComponentScan {
    /// A scan that has seen no slice.
    #[must_use]
    pub fn new(connectivity: Connectivity) -> Self {
        Self {
            connectivity,
            slices: 0,
            below: Slice::default(),
            runs: Vec::new(),
            parts: Parts::default(),
        }
    }

    /// Takes the next slice. All slices are of one extent; a plane is one slice.
    ///
    /// # Errors
    /// If there are more components than a label image has ids for, where parts that would be joined
    /// by a later slice count as several.
    pub fn push(&mut self, slice: &ArrayView2<'_, bool>) -> Result<(), TooManyComponents> {
        let mut current = Slice::default();
        for (y, row) in slice.rows().into_iter().enumerate() {
            let mut near = self.near(&current, y);
            for (start, end) in Runs::new(row.iter().copied()) {
                let part = self.part(&mut near, &current, start, end)?;
                self.parts.extend(part, [self.slices, y, start], [self.slices, y, end - 1]);
                self.runs.push(part);
                current.runs.push(Run { start, end, part });
            }
            current.rows.push(current.runs.len());
        }
        self.below = current;
        self.slices += 1;
        Ok(())
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> FoundComponents {
        let (ids, components) = self.parts.resolve();
        let runs = self.runs.into_iter().map(|part| ids[index(part)]).collect();
        FoundComponents { runs, components }
    }

    /// The rows whose voxels neighbour those of row `y`: the one before, and those of the slice before.
    fn near(&self, current: &Slice, y: usize) -> Vec<Near> {
        let before = y.checked_sub(1).map(|row| (false, row, self.connectivity.reach(0, 1)));
        let rows = y.saturating_sub(1)..=y + 1;
        let below = rows.map(|row| (true, row, self.connectivity.reach(1, row.abs_diff(y))));
        let found = before.into_iter().chain(below).filter_map(|(below, row, reach)| {
            let slice = if below { &self.below } else { current };
            let next = slice.row_start(row)?;
            Some(Near { below, next, end: slice.rows[row], reach: reach? })
        });
        found.collect()
    }

    /// The part that a run belongs to: that of the runs it touches, which become one, or a new one.
    fn part(
        &mut self,
        near: &mut [Near],
        current: &Slice,
        start: usize,
        end: usize,
    ) -> Result<u32, TooManyComponents> {
        let mut part = None;
        for row in near {
            let runs = if row.below { &self.below.runs } else { &current.runs };
            while row.next < row.end && runs[row.next].end + row.reach <= start {
                row.next += 1;
            }
            let touching = runs[row.next..row.end].iter();
            for run in touching.take_while(|run| run.start < end + row.reach) {
                part = Some(match part {
                    None => self.parts.root(run.part),
                    Some(part) => self.parts.join(part, run.part),
                });
            }
        }
        part.map_or_else(|| self.parts.add(), Ok)
    }
}

/// The connected components that a [`ComponentScan`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundComponents {
    /// The id of each run, in the order of the runs.
    runs: Vec<u32>,
    components: Vec<Component>,
}

impl FoundComponents {
    /// The components in the order of their first voxels: that of id 1, of id 2 and so on.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Leaves out the components for which `keep` is false: they become background, and the others get the
    /// ids 1, 2, 3 and so on in the same order.
    ///
    /// ```
    /// use ndarray::{Array2, array};
    /// use segmenter_core::{ComponentScan, Connectivity};
    ///
    /// let slice = array![[true, false, true, true]];
    /// let mut scan = ComponentScan::new(Connectivity::Face);
    /// scan.push(&slice.view())?;
    /// let mut found = scan.finish();
    /// found.retain(|component| component.voxels > 1);
    /// let mut ids = Array2::zeros((1, 4));
    /// found.painter().paint(&slice.view(), ids.view_mut());
    /// assert_eq!(ids, array![[0, 0, 1, 1]]);
    /// # Ok::<(), segmenter_core::TooManyComponents>(())
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&Component) -> bool) {
        let mut kept = 0;
        let ids = self.components.iter().map(|component| {
            let keep = keep(component);
            kept += u32::from(keep);
            if keep { kept } else { 0 }
        });
        let ids: Vec<u32> = ids.collect();
        let mut each = ids.iter();
        self.components.retain(|_| each.next().is_some_and(|&id| id != 0));
        self.runs.iter_mut().for_each(|run| *run = ids[index(*run - 1)]);
    }

    /// Paints ids into slices, from the first slice on.
    #[must_use]
    pub fn painter(&self) -> ComponentPainter<'_> {
        ComponentPainter { ids: self.runs.iter() }
    }
}

/// Paints the ids of components slice by slice, in the order in which the slices were scanned.
#[derive(Clone, Debug)]
pub struct ComponentPainter<'a> {
    ids: std::slice::Iter<'a, u32>,
}

impl ComponentPainter<'_> {
    /// Paints the next slice, given the same voxels as [`ComponentScan::push`] was given. Voxels outside
    /// of the mask are left as they are.
    ///
    /// # Panics
    /// If `ids` is not of the extent of the slice.
    pub fn paint(&mut self, slice: &ArrayView2<'_, bool>, mut ids: ArrayViewMut2<'_, u32>) {
        assert_eq!(slice.dim(), ids.dim(), "ids and mask are of one extent");
        for (row, mut ids) in slice.rows().into_iter().zip(ids.rows_mut()) {
            for (start, end) in Runs::new(row.iter().copied()) {
                let id = self.ids.next().copied().unwrap_or(0);
                (start..end).for_each(|x| ids[x] = id);
            }
        }
    }
}

/// A stretch of voxels in a row, from `start` to before `end`.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
    part: u32,
}

/// The runs of a slice, row after row.
#[derive(Clone, Debug, Default)]
struct Slice {
    runs: Vec<Run>,
    /// Where the runs of each row end.
    rows: Vec<usize>,
}

impl Slice {
    /// Where the runs of a row start, if there is such a row.
    fn row_start(&self, row: usize) -> Option<usize> {
        let before = row.checked_sub(1).map_or(Some(0), |before| self.rows.get(before).copied());
        before.filter(|_| row < self.rows.len())
    }
}

/// A row next to the one at hand.
struct Near {
    /// Whether it is in the slice before.
    below: bool,
    /// The first of its runs that may touch the run at hand or a later one.
    next: usize,
    end: usize,
    /// How far apart the columns of neighbours may be.
    reach: usize,
}

/// The runs of a row as pairs of start and end.
struct Runs<I> {
    row: std::iter::Enumerate<I>,
}

impl<I: Iterator<Item = bool>> Runs<I> {
    fn new(row: I) -> Self {
        Self { row: row.enumerate() }
    }
}

impl<I: Iterator<Item = bool> + ExactSizeIterator> Iterator for Runs<I> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let (start, _) = self.row.find(|(_, inside)| *inside)?;
        let left = self.row.len();
        let end = self.row.find(|(_, inside)| !inside).map_or(start + 1 + left, |(end, _)| end);
        Some((start, end))
    }
}

/// Union-find over parts of components. The root of a set is its first part, so that the order of roots
/// is that of first voxels.
#[derive(Clone, Debug, Default)]
struct Parts {
    parents: Vec<u32>,
    components: Vec<Component>,
}

impl Parts {
    fn add(&mut self) -> Result<u32, TooManyComponents> {
        // One less than there are numbers: id 0 is background.
        let part = u32::try_from(self.parents.len()).ok().filter(|&part| part < u32::MAX);
        let part = part.ok_or(TooManyComponents)?;
        self.parents.push(part);
        self.components.push(Component { voxels: 0, first: [usize::MAX; 3], last: [0; 3] });
        Ok(part)
    }

    /// Adds a run to a part.
    fn extend(&mut self, part: u32, first: [usize; 3], last: [usize; 3]) {
        let run = Component { voxels: last[2] + 1 - first[2], first, last };
        self.components[index(part)].extend(&run);
    }

    fn root(&mut self, mut part: u32) -> u32 {
        while self.parents[index(part)] != part {
            let above = self.parents[index(self.parents[index(part)])];
            self.parents[index(part)] = above;
            part = above;
        }
        part
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        let (first, second) = (a.min(b), a.max(b));
        self.parents[index(second)] = first;
        first
    }

    /// The id of each part, and the components in the order of ids.
    fn resolve(self) -> (Vec<u32>, Vec<Component>) {
        let (mut ids, mut components) = (Vec::<u32>::new(), Vec::<Component>::new());
        let mut next = 0;
        for ((part, &parent), component) in (0..).zip(&self.parents).zip(&self.components) {
            // A parent comes before its parts, so its id is known.
            if parent == part {
                next += 1;
                ids.push(next);
                components.push(*component);
            } else {
                let id = ids[index(parent)];
                ids.push(id);
                components[index(id - 1)].extend(component);
            }
        }
        (ids, components)
    }
}

impl Component {
    fn extend(&mut self, other: &Self) {
        self.voxels += other.voxels;
        for axis in 0..3 {
            self.first[axis] = self.first[axis].min(other.first[axis]);
            self.last[axis] = self.last[axis].max(other.last[axis]);
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "no machine with images has less than 32 bits")]
pub(crate) fn index(number: u32) -> usize {
    number as usize
}

#[cfg(test)]
#[path = "components/tests.rs"]
mod tests;
