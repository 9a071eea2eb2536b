//! Paths that a round brush follows.

use geo::{Coord, Line};

use super::{
    InvalidRegion, check,
    ellipse::{LIMIT, cross},
};

/// A path and the diameter of the brush.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) points: Vec<Coord<f64>>,
    pub(crate) width: f64,
}

impl Path {
    pub(super) fn new(points: Vec<Coord<f64>>, width: f64) -> Result<Self, InvalidRegion> {
        if points.is_empty() {
            return Err(InvalidRegion::Empty);
        }
        check(&points, LIMIT)?;
        if !(width > 0.0 && width <= LIMIT) {
            return Err(InvalidRegion::Width);
        }
        Ok(Self { points, width })
    }

    /// The straight strokes that make the path; a dot is a stroke without length.
    pub(crate) fn strokes(&self) -> impl Iterator<Item = Stroke> {
        let reach = self.width / 2.0;
        let dot = (self.points.len() == 1).then(|| (self.points[0], self.points[0]));
        let lines = self.points.windows(2).map(|ends| (ends[0], ends[1]));
        dot.into_iter()
            .chain(lines)
            .map(move |(from, to)| Stroke { line: Line::new(from, to), reach })
    }
}

/// What is within reach of a line: a rectangle with a half disc at either end.
pub(crate) struct Stroke {
    line: Line<f64>,
    reach: f64,
}

impl Stroke {
    /// The lowest and the highest y.
    pub(crate) fn rows(&self) -> (f64, f64) {
        let (a, b) = (self.line.start.y, self.line.end.y);
        (a.min(b) - self.reach, a.max(b) + self.reach)
    }

    /// Whether a point is within reach. Neither division nor root is needed, so this is exact where
    /// the numbers are whole or halves.
    pub(crate) fn holds(&self, x: f64, y: f64) -> bool {
        let from = Coord { x, y } - self.line.start;
        let along = self.line.delta();
        let (foot, square) = (dot(from, along), dot(along, along));
        let near = |from: Coord<f64>| dot(from, from) <= self.reach * self.reach;
        if foot <= 0.0 {
            near(from)
        } else if foot >= square {
            near(Coord { x, y } - self.line.end)
        } else {
            cross(along, from).powi(2) <= self.reach * self.reach * square
        }
    }

    /// About where a row enters and leaves the stroke; `None` if it clearly misses it.
    pub(crate) fn row(&self, y: f64) -> Option<(f64, f64)> {
        let ends = [self.line.start, self.line.end].map(|end| self.disc(end, y));
        ends.into_iter().chain([self.band(y)]).flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn disc(&self, centre: Coord<f64>, y: f64) -> Option<(f64, f64)> {
        let off = (y - centre.y).abs();
        let half = (self.reach * self.reach - off * off).max(0.0).sqrt();
        (off <= self.reach * (1.0 + 1e-9)).then_some((centre.x - half, centre.x + half))
    }

    /// The rectangle: near enough to the line, and between its ends.
    fn band(&self, y: f64) -> Option<(f64, f64)> {
        let (start, along) = (self.line.start, self.line.delta());
        let (y, square) = (y - start.y, dot(along, along));
        let side = self.reach * square.sqrt();
        let across = within(along.y, along.x * y - side, along.x * y + side)?;
        let between = within(along.x, -along.y * y, square - along.y * y)?;
        let (low, high) = (across.0.max(between.0), across.1.min(between.1));
        (square > 0.0 && low <= high + 1.0).then_some((start.x + low, start.x + high))
    }
}

/// The numbers that times a factor lie between two others.
fn within(factor: f64, low: f64, high: f64) -> Option<(f64, f64)> {
    if factor == 0.0 {
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        return (low <= 0.0 && high >= 0.0).then_some(all);
    }
    let (a, b) = (low / factor, high / factor);
    Some((a.min(b), a.max(b)))
}

fn dot(a: Coord<f64>, b: Coord<f64>) -> f64 {
    a.x * b.x + a.y * b.y
}
