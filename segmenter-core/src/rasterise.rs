//! From regions to pixels: the one place that decides which pixels a region holds.

mod curved;
mod ring;
mod runs;

use std::ops::Range;

use geo::Polygon;

pub(crate) use self::runs::{Run, Runs};
use crate::{
    Mask, Region, Space, Window,
    grid::in_order_mut,
    region::{Part, Shape},
};

impl Region {
    /// The voxels of a grid that are in the region.
    ///
    /// ```
    /// use segmenter_core::{Region, Yx};
    ///
    /// let triangle = Region::polygon([(1.0, 1.0), (4.0, 1.0), (1.0, 4.0)])?;
    /// let mask = triangle.rasterise::<Yx>([6, 6]);
    /// let picture: Vec<String> = mask
    ///     .view()
    ///     .rows()
    ///     .into_iter()
    ///     .map(|row| row.iter().map(|&inside| if inside { '#' } else { '.' }).collect())
    ///     .collect();
    /// assert_eq!(picture, ["......", ".####.", ".###..", ".##...", ".#....", "......"]);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn rasterise<S: Space>(&self, extent: S::Extent) -> Mask<S> {
        self.rasterise_window(&Window::whole(extent))
    }

    /// The voxels of a box that are in the region: the same as those of the whole grid, cut out,
    /// without the work for the rest.
    #[must_use]
    pub fn rasterise_window<S: Space>(&self, window: &Window<S>) -> Mask<S> {
        let mut mask = Mask::none(window.extent);
        self.paint(window, &mut mask, true);
        mask
    }

    /// Visits the voxels of a box that are in the region, as ranges of positions in the box: its
    /// voxels are counted row by row and slice by slice, as they lie in memory. Ranges come in order
    /// and neither touch nor overlap, so what they cover can be copied or filled as a whole.
    ///
    /// ```
    /// use segmenter_core::{Region, Window, Yx};
    ///
    /// let square = Region::rectangle((1.0, 1.0), (2.0, 2.0))?;
    /// let mut found = Vec::new();
    /// square.for_each_run(&Window::<Yx>::whole([4, 5]), |run| found.push(run));
    /// assert_eq!(found, [6..8, 11..13]);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    pub fn for_each_run<S: Space>(&self, window: &Window<S>, mut visit: impl FnMut(Range<usize>)) {
        let [_, rows, columns] = zyx(window);
        let mut last = 0..0;
        self.for_each_plane(window, |z, runs| {
            for run in runs.iter() {
                let line = (z * rows.len() + run.row - rows.start) * columns.len();
                let start = line + run.start - columns.start;
                let end = line + run.end - columns.start;
                if start == last.end && !last.is_empty() {
                    last.end = end;
                } else {
                    let done = std::mem::replace(&mut last, start..end);
                    if !done.is_empty() {
                        visit(done);
                    }
                }
            }
        });
        if !last.is_empty() {
            visit(last);
        }
    }

    /// The smallest box that holds all voxels of the region that are in this box; `None` if there are
    /// none.
    #[must_use]
    pub fn bounds<S: Space>(&self, window: &Window<S>) -> Option<Window<S>> {
        let mut bounds: Option<[Range<usize>; 3]> = None;
        let slices = zyx(window)[0].start;
        self.for_each_plane(window, |z, runs| {
            for run in runs.iter() {
                let z = slices + z;
                let found = [z..z + 1, run.row..run.row + 1, run.start..run.end];
                match &mut bounds {
                    None => bounds = Some(found),
                    Some(bounds) => bounds.iter_mut().zip(found).for_each(|(a, b)| {
                        *a = a.start.min(b.start)..a.end.max(b.end);
                    }),
                }
            }
        });
        let bounds = bounds?;
        let axis = |axis: usize| &bounds[3 - S::RANK + axis];
        Some(Window::new(
            S::extent_from_fn(|at| axis(at).start),
            S::extent_from_fn(|at| axis(at).len()),
        ))
    }

    /// Sets the voxels of a box that are in the region, given the mask of the box.
    pub(crate) fn paint<S: Space>(&self, window: &Window<S>, mask: &mut Mask<S>, value: bool) {
        let voxels = in_order_mut(mask.view_mut());
        self.for_each_run(window, |run| voxels[run].fill(value));
    }

    /// Visits the slices of a box, counted from its first, with what is in the region there. What is
    /// the same in several slices is found once.
    fn for_each_plane<S: Space>(&self, window: &Window<S>, mut visit: impl FnMut(usize, &Runs)) {
        let [slices, rows, columns] = zyx(window);
        if S::RANK == 2 {
            return visit(0, &self.plane(None, &rows, &columns));
        }
        let mut changes = vec![slices.start, slices.end];
        self.collect_changes(&slices, &mut changes);
        changes.sort_unstable();
        changes.dedup();
        for same in changes.windows(2) {
            let runs = self.plane(Some(same[0]), &rows, &columns);
            (same[0]..same[1]).for_each(|z| visit(z - slices.start, &runs));
        }
    }

    /// The slices at which the region may be another than in the slice before.
    fn collect_changes(&self, within: &Range<usize>, changes: &mut Vec<usize>) {
        if let Some(slices) = self.slices() {
            let ends = [*slices.start(), slices.end().saturating_add(1)];
            changes.extend(ends.into_iter().filter(|z| within.contains(z)));
        }
        if let Shape::Parts(parts) = self.shape() {
            for part in parts {
                part.region().collect_changes(within, changes);
            }
        }
    }

    /// The pixels of a part of a slice, or of a plane, that are in the region.
    fn plane(&self, z: Option<usize>, rows: &Range<usize>, columns: &Range<usize>) -> Runs {
        if z.is_some_and(|z| !self.covers_slice(z)) {
            return Runs::default();
        }
        match self.shape() {
            Shape::Polygon(polygon) => fill(polygon, rows, columns),
            Shape::Ellipse(ellipse) => curved::fill_ellipse(ellipse, rows, columns),
            Shape::Path(path) => curved::fill_path(path, rows, columns),
            Shape::Whole => Runs::whole(rows.clone(), columns),
            Shape::Painted(runs) => runs.clipped(rows, columns),
            Shape::Parts(parts) => assemble(parts, |region| region.plane(z, rows, columns)),
        }
    }
}

/// What is left of parts that are added and subtracted in order. Parts that are added one after the
/// other are put in order once.
fn assemble(parts: &[Part], plane: impl Fn(&Region) -> Runs) -> Runs {
    let (mut whole, mut added) = (Runs::default(), Vec::new());
    for part in parts {
        let runs = plane(part.region());
        if let Part::Add(_) = part {
            added.extend(runs.iter());
            continue;
        }
        whole = whole.union(&Runs::unordered(std::mem::take(&mut added)));
        whole = match part {
            Part::Toggle(_) => whole.symmetric_difference(&runs),
            _ => whole.difference(&runs),
        };
    }
    whole.union(&Runs::unordered(added))
}

/// The slices, rows and columns of a box; a plane is slice 0.
fn zyx<S: Space>(window: &Window<S>) -> [Range<usize>; 3] {
    let slices = if S::RANK == 3 { window.range(0) } else { 0..1 };
    [slices, window.range(S::RANK - 2), window.range(S::RANK - 1)]
}

/// The pixels inside a polygon and in none of its holes.
fn fill(polygon: &Polygon<f64>, rows: &Range<usize>, columns: &Range<usize>) -> Runs {
    let whole = ring::fill(polygon.exterior(), rows, columns);
    let hole = |runs: Runs, hole| runs.difference(&ring::fill(hole, rows, columns));
    polygon.interiors().iter().fold(whole, hole)
}

/// The whole numbers of a range that lie between two numbers, rounded outwards.
fn clip(low: f64, high: f64, range: &Range<usize>) -> Range<usize> {
    let end = if high.ceil() < 0.0 { 0 } else { saturate(high.ceil()).saturating_add(1) };
    let end = end.clamp(range.start, range.end.max(range.start));
    saturate(low).clamp(range.start, end)..end
}

/// The number without its fraction; what lies outside of `usize` goes to its nearer end.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturation is what clipping to an image wants"
)]
fn saturate(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests;
