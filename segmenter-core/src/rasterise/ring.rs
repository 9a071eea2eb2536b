//! From a ring of points to runs of pixels.
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

use super::{Run, Runs, clip, saturate};

/// How near to the centre of a pixel a vertex puts the pixel inside, in pixels.
pub(super) const VERTEX: f64 = 1e-12;

/// Bits of a pixel's parity: of edges met to the right, and to the left.
const RIGHT: u8 = 1;
const LEFT: u8 = 2;

/// The pixels of a part of a plane that are inside a ring.
pub(super) fn fill(ring: &LineString<f64>, rows: &Range<usize>, columns: &Range<usize>) -> Runs {
    let Some(bounds) = ring.bounding_rect() else { return Runs::default() };
    let rows = clip(bounds.min().y, bounds.max().y, rows);
    let columns = clip(bounds.min().x, bounds.max().x, columns);
    let mut runs = Runs::default();
    let mut scan = Scan::new(ring, &rows, columns.clone());
    for row in rows.clone() {
        scan.line(row, &mut runs);
    }
    let vertex = |vertex: &Coord<f64>| {
        let (row, column) = (centre(vertex.y, &rows)?, centre(vertex.x, &columns)?);
        Some(Run { row, start: column, end: column + 1 })
    };
    runs.union(&Runs::unordered(ring.coords().filter_map(vertex).collect()))
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
    /// Where along the row which parity changes.
    flips: Vec<Flip>,
}

impl Scan {
    fn new(ring: &LineString<f64>, rows: &Range<usize>, columns: Range<usize>) -> Self {
        let edges = ring.lines().filter(|line| line.start.y != line.end.y);
        let mut edges: Vec<Edge> =
            edges.map(|line| Edge::new(line.start, line.end, rows)).collect();
        edges.retain(|edge| !edge.rows.is_empty());
        edges.sort_by_key(|edge| edge.rows.start);
        Self { edges, reached: 0, active: Vec::new(), columns, flips: Vec::new() }
    }

    /// Adds what is inside of a row, vertices aside. Rows come in ascending order.
    fn line(&mut self, row: usize, runs: &mut Runs) {
        let begun = self.edges[self.reached..].iter().take_while(|edge| edge.rows.start <= row);
        self.active.extend(begun.cloned());
        self.reached += self.edges[self.reached..].partition_point(|edge| edge.rows.start <= row);
        self.active.retain(|edge| edge.rows.end > row);
        self.flips.clear();
        for edge in &self.active {
            edge.flip(row as f64, &self.columns, &mut self.flips);
        }
        self.flips.sort_unstable_by_key(|flip| flip.column);
        let (mut parity, mut start) = (0, self.columns.start);
        for flip in &self.flips {
            if parity != 0 {
                runs.push(row, start..flip.column);
            }
            (parity, start) = (parity ^ flip.sides, flip.column);
        }
        if parity != 0 {
            runs.push(row, start..self.columns.end);
        }
    }
}

/// From a column on, the parities of these sides are the other way around.
struct Flip {
    column: usize,
    sides: u8,
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
    fn flip(&self, row: f64, columns: &Range<usize>, flips: &mut Vec<Flip>) {
        let (y0, y1) = (self.from.y - row, self.to.y - row);
        let right = if (y0 > 0.0) == (y1 > 0.0) { 0 } else { RIGHT };
        let left = if (y0 < 0.0) == (y1 < 0.0) { 0 } else { LEFT };
        let mut toggle = |pixels: Range<usize>, sides: u8| {
            if sides != 0 && !pixels.is_empty() {
                flips.push(Flip { column: pixels.start, sides });
                flips.push(Flip { column: pixels.end, sides });
            }
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
