//! From polygons to pixels: the one place that decides which pixels a region holds.
//!
//! The rule is O'Rourke's point-in-polygon test (Computational Geometry in C, 2nd edition, section
//! 7.4) in the form of scikit-image's `polygon2mask`: count the edges that a ray to the right meets
//! and those that a ray to the left meets. Both odd is inside; one odd and one even is on an edge,
//! which counts as inside; a vertex within 10⁻¹² is inside.
//!
//! scikit-image asks this of each pixel and edge. Here each row asks each edge that it meets where
//! it meets it. Pixels further from there than rounding can reach are decided at once, and the
//! original arithmetic decides the one or two that are left, so the result is the same to the bit.

use std::ops::Range;

use geo::{BoundingRect, Coord, LineString};
use ndarray::Array2;

use crate::{Mask, Region, Space, Window};

/// How near to the centre of a pixel a vertex puts the pixel inside, in pixels.
const VERTEX: f64 = 1e-12;

/// Bits of a pixel's parity: of edges met to the right, and to the left.
const RIGHT: u8 = 1;
const LEFT: u8 = 2;

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

    /// Sets the voxels of a box that are in the region.
    pub(crate) fn paint<S: Space>(&self, window: &Window<S>, mask: &mut Mask<S>, value: bool) {
        self.visit(window, mask.view_mut().iter_mut(), |voxel| *voxel = value);
    }

    /// Visits those voxels of a box that are in the region, given all voxels of the box in order.
    pub(crate) fn visit<S: Space, V>(
        &self,
        window: &Window<S>,
        voxels: impl Iterator<Item = V>,
        mut visit: impl FnMut(V),
    ) {
        let (rows, columns) = (window.range(S::RANK - 2), window.range(S::RANK - 1));
        let plane = self.plane(rows, columns);
        let slices = if S::RANK == 3 { window.range(0) } else { 0..1 };
        let inside = slices.flat_map(|z| {
            let covered = S::RANK == 2 || self.covers_slice(z);
            plane.iter().map(move |&inside| inside && covered)
        });
        voxels.zip(inside).filter(|(_, inside)| *inside).for_each(|(voxel, _)| visit(voxel));
    }

    /// The pixels of a part of a plane that are inside the polygon and in none of its holes.
    fn plane(&self, rows: Range<usize>, columns: Range<usize>) -> Array2<bool> {
        let mut plane = Array2::from_elem((rows.len(), columns.len()), false);
        let origin = (rows.start, columns.start);
        fill(self.geometry().exterior(), true, &rows, &columns, origin, &mut plane);
        for hole in self.geometry().interiors() {
            fill(hole, false, &rows, &columns, origin, &mut plane);
        }
        plane
    }
}

/// Sets the pixels inside a ring. The plane's first pixel is at `origin` (row, column).
fn fill(
    ring: &LineString<f64>,
    value: bool,
    rows: &Range<usize>,
    columns: &Range<usize>,
    origin: (usize, usize),
    plane: &mut Array2<bool>,
) {
    let Some(bounds) = ring.bounding_rect() else { return };
    let rows = clip(bounds.min().y, bounds.max().y, rows);
    let columns = clip(bounds.min().x, bounds.max().x, columns);
    let mut scan = Scan::new(ring, &rows, columns.clone());
    for row in rows.clone() {
        let line = plane.row_mut(row - origin.0).into_iter().skip(columns.start - origin.1);
        let inside = scan.line(row);
        line.zip(inside).filter(|(_, inside)| *inside).for_each(|(pixel, _)| *pixel = value);
    }
    for vertex in ring.coords() {
        if let (Some(row), Some(column)) = (centre(vertex.y, &rows), centre(vertex.x, &columns)) {
            plane[[row - origin.0, column - origin.1]] = value;
        }
    }
}

/// The whole numbers of a range that lie between two numbers, rounded outwards.
fn clip(low: f64, high: f64, range: &Range<usize>) -> Range<usize> {
    let end = if high.ceil() < 0.0 { 0 } else { saturate(high.ceil()).saturating_add(1) };
    let end = end.clamp(range.start, range.end.max(range.start));
    saturate(low).clamp(range.start, end)..end
}

/// The pixel whose centre a vertex marks, along one axis.
fn centre(coordinate: f64, range: &Range<usize>) -> Option<usize> {
    let nearest = coordinate.round();
    let marked = (coordinate - nearest).abs() < VERTEX && nearest >= 0.0;
    marked.then(|| saturate(nearest)).filter(|pixel| range.contains(pixel))
}

/// Row after row, the edges that meet it and what is inside.
struct Scan {
    /// Edges that are not horizontal, by the first row that they meet.
    edges: Vec<Edge>,
    /// How many of them have been reached.
    reached: usize,
    /// Those reached that go on.
    active: Vec<Edge>,
    columns: Range<usize>,
    /// Where along the row a parity changes.
    flips: Vec<u8>,
}

impl Scan {
    fn new(ring: &LineString<f64>, rows: &Range<usize>, columns: Range<usize>) -> Self {
        let edges = ring.lines().filter(|line| line.start.y != line.end.y);
        let mut edges: Vec<Edge> =
            edges.map(|line| Edge::new(line.start, line.end, rows)).collect();
        edges.retain(|edge| !edge.rows.is_empty());
        edges.sort_by_key(|edge| edge.rows.start);
        let flips = vec![0; columns.len() + 1];
        Self { edges, reached: 0, active: Vec::new(), columns, flips }
    }

    /// Whether each pixel of the row is inside, vertices aside. Rows come in ascending order.
    fn line(&mut self, row: usize) -> impl Iterator<Item = bool> {
        let begun = self.edges[self.reached..].iter().take_while(|edge| edge.rows.start <= row);
        self.active.extend(begun.cloned());
        self.reached += self.edges[self.reached..].partition_point(|edge| edge.rows.start <= row);
        self.active.retain(|edge| edge.rows.end > row);
        self.flips.fill(0);
        for edge in &self.active {
            edge.flip(row as f64, &self.columns, &mut self.flips);
        }
        let changes = self.flips[..self.columns.len()].iter();
        changes.scan(0, |parity, change| {
            *parity ^= change;
            Some(*parity != 0)
        })
    }
}

/// An edge that is not horizontal, and the rows whose pixel centres it meets.
#[derive(Clone)]
struct Edge {
    from: Coord<f64>,
    to: Coord<f64>,
    rows: Range<usize>,
}

impl Edge {
    fn new(from: Coord<f64>, to: Coord<f64>, rows: &Range<usize>) -> Self {
        let (low, high) = (from.y.min(to.y).ceil(), from.y.max(to.y).floor());
        let rows = if high < 0.0 { 0..0 } else { clip(low, high, rows) };
        Self { from, to, rows }
    }

    /// Changes the parities of the pixels of a row that meet this edge on their left or right.
    fn flip(&self, row: f64, columns: &Range<usize>, flips: &mut [u8]) {
        let (y0, y1) = (self.from.y - row, self.to.y - row);
        let right = if (y0 > 0.0) == (y1 > 0.0) { 0 } else { RIGHT };
        let left = if (y0 < 0.0) == (y1 < 0.0) { 0 } else { LEFT };
        let mut toggle = |pixels: Range<usize>, sides: u8| {
            flips[pixels.start - columns.start] ^= sides;
            flips[pixels.end - columns.start] ^= sides;
        };
        let doubtful = self.doubtful(y0, y1, columns);
        toggle(columns.start..doubtful.start, right);
        toggle(doubtful.end..columns.end, left);
        for column in doubtful {
            let crossing = self.crossing(y0, y1, column as f64);
            let right = if crossing > 0.0 { right } else { 0 };
            let left = if crossing < 0.0 { left } else { 0 };
            toggle(column..column + 1, right | left);
        }
    }

    /// How far to the right of a column the edge meets the row, in the order of operations of
    /// scikit-image.
    fn crossing(&self, y0: f64, y1: f64, column: f64) -> f64 {
        let (x0, x1) = (self.from.x - column, self.to.x - column);
        (x0 * y1 - x1 * y0) / (y1 - y0)
    }

    /// The columns for which rounding may change the sign of [`Self::crossing`].
    ///
    /// y0 and y1 never have the same sign, so |y0| and |y1| are at most |y1 - y0|, and the error of
    /// the crossing is below 4·2⁻⁵³·(|x0| + |x1|), as long as nothing underflows; 10⁻¹⁴ leaves room
    /// for the error of this estimate. Where it may underflow or overflow, all columns are in doubt.
    fn doubtful(&self, y0: f64, y1: f64, columns: &Range<usize>) -> Range<usize> {
        let crossing = self.crossing(y0, y1, 0.0);
        let reach = self.from.x.abs() + self.to.x.abs() + 2.0 * columns.end as f64;
        let slack = 1e-14 * reach;
        if (y1 - y0).abs() < 1e-290 || !crossing.is_finite() || !slack.is_finite() {
            return columns.clone();
        }
        let within = |column: f64| saturate(column).clamp(columns.start, columns.end);
        let start = within((crossing - slack).ceil());
        start..within((crossing + slack).floor() + 1.0).max(start)
    }
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
