//! Ellipses.

use geo::Coord;
use serde::{Deserialize, Serialize};

use super::{InvalidRegion, check};

/// The largest coordinate: the fourth power is finite.
pub(super) const LIMIT: f64 = 1e30;

/// An ellipse: its centre, and two half axes as vectors, in (x, y) and pixels.
///
/// A point is inside or on the boundary if, written as the centre + u·(first axis) + v·(second
/// axis), it has u² + v² ≤ 1. This is reckoned without division or root, so it is exact where the
/// numbers are whole or halves. The axes need not be at right angles: any two conjugate half
/// diameters make the same ellipse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Drawing", into = "Drawing")]
pub struct Ellipse {
    centre: Coord<f64>,
    axes: [Coord<f64>; 2],
}

impl Ellipse {
    /// An ellipse from its centre as (x, y), its two radii, and the angle in radians from the x-axis
    /// to the first radius, turning towards y.
    ///
    /// # Errors
    /// If a number is not one from -10³⁰ to 10³⁰, or a radius is 0.
    pub fn new(
        centre: impl Into<Coord<f64>>,
        [first, second]: [f64; 2],
        angle: f64,
    ) -> Result<Self, InvalidRegion> {
        let (sin, cos) = angle.sin_cos();
        Self::from_axes(centre, [(first * cos, first * sin), (-second * sin, second * cos)])
    }

    /// An ellipse from its centre and its two half axes, all as (x, y).
    ///
    /// # Errors
    /// If a number is not one from -10³⁰ to 10³⁰, or the axes enclose no area.
    pub fn from_axes<P: Into<Coord<f64>>>(
        centre: impl Into<Coord<f64>>,
        axes: [P; 2],
    ) -> Result<Self, InvalidRegion> {
        let ellipse = Self { centre: centre.into(), axes: axes.map(Into::into) };
        let [first, second] = ellipse.axes;
        check(&[ellipse.centre, first, second], LIMIT)?;
        if !ellipse.area().powi(2).is_normal() {
            return Err(InvalidRegion::FlatEllipse);
        }
        Ok(ellipse)
    }

    /// The ellipse that touches the sides of a box in their middles, given three corners of the box
    /// in order, as (x, y).
    ///
    /// # Errors
    /// If a number is not one from -10³⁰ to 10³⁰, or the box has no area.
    pub fn within<P: Into<Coord<f64>>>(corners: [P; 3]) -> Result<Self, InvalidRegion> {
        let [a, b, c] = corners.map(Into::into);
        Self::from_axes((a + c) / 2.0, [(b - a) / 2.0, (c - b) / 2.0])
    }

    /// The centre, in (x, y).
    #[must_use]
    pub fn centre(&self) -> Coord<f64> {
        self.centre
    }

    /// The two half axes, in (x, y).
    #[must_use]
    pub fn axes(&self) -> [Coord<f64>; 2] {
        self.axes
    }

    /// The corners of the box that the ellipse touches in the middles of its sides, in order.
    #[must_use]
    pub fn corners(&self) -> [Coord<f64>; 4] {
        let [a, b] = self.axes;
        [-a - b, a - b, a + b, b - a].map(|corner| self.centre + corner)
    }

    /// Whether a point is inside or on the boundary.
    #[must_use]
    pub fn holds(&self, x: f64, y: f64) -> bool {
        let from = Coord { x, y } - self.centre;
        let [a, b] = self.axes;
        let (u, v) = (cross(from, b), cross(a, from));
        u * u + v * v <= self.area().powi(2)
    }

    /// Half the height of the ellipse.
    pub(crate) fn reach(&self) -> f64 {
        let [a, b] = self.axes;
        a.y.hypot(b.y)
    }

    /// About where a row enters and leaves the ellipse; near its nearest point if it misses it.
    ///
    /// These are the roots of A·x² + 2B·x + C, which u² + v² = area² is along a row.
    pub(crate) fn row(&self, y: f64) -> (f64, f64) {
        let [a, b] = self.axes;
        let y = y - self.centre.y;
        let square = a.y * a.y + b.y * b.y;
        let middle = self.centre.x + (a.x * a.y + b.x * b.y) * y / square;
        let half = self.area().abs() * (square - y * y).max(0.0).sqrt() / square;
        (middle - half, middle + half)
    }

    /// The area of the parallelogram over the two half axes.
    fn area(&self) -> f64 {
        let [a, b] = self.axes;
        cross(a, b)
    }
}

pub(super) fn cross(a: Coord<f64>, b: Coord<f64>) -> f64 {
    a.x * b.y - a.y * b.x
}

/// How an ellipse is written by serde.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawing {
    centre: [f64; 2],
    axes: [[f64; 2]; 2],
}

impl TryFrom<Drawing> for Ellipse {
    type Error = InvalidRegion;

    fn try_from(drawing: Drawing) -> Result<Self, InvalidRegion> {
        Self::from_axes(drawing.centre, drawing.axes)
    }
}

impl From<Ellipse> for Drawing {
    fn from(ellipse: Ellipse) -> Self {
        let pair = |point: Coord<f64>| [point.x, point.y];
        Self { centre: pair(ellipse.centre), axes: ellipse.axes.map(pair) }
    }
}
