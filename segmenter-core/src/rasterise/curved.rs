//! From ellipses and brush strokes to runs of pixels.
//!
//! A row meets either of them in one piece. Where about it begins and ends is reckoned, and the pixels
//! near there are asked one by one, so that the shape's own rule decides.

use std::ops::Range;

use super::{Run, Runs, clip};
use crate::region::{Ellipse, Path};

/// The pixels of a part of a plane that are inside an ellipse.
pub(super) fn fill_ellipse(ellipse: &Ellipse, rows: &Range<usize>, columns: &Range<usize>) -> Runs {
    let (y, reach) = (ellipse.centre().y, ellipse.reach());
    let mut runs = Runs::default();
    for row in clip(y - reach - 1.0, y + reach + 1.0, rows) {
        let y = row as f64;
        runs.push(row, piece(ellipse.row(y), columns, |x| ellipse.holds(x, y)));
    }
    runs
}

/// The pixels of a part of a plane that a brush paints.
pub(super) fn fill_path(path: &Path, rows: &Range<usize>, columns: &Range<usize>) -> Runs {
    let mut runs = Vec::new();
    for stroke in path.strokes() {
        let (low, high) = stroke.rows();
        for row in clip(low, high, rows) {
            let y = row as f64;
            let Some(ends) = stroke.row(y) else { continue };
            let Range { start, end } = piece(ends, columns, |x| stroke.holds(x, y));
            runs.push(Run { row, start, end });
        }
    }
    runs.retain(|run| run.start < run.end);
    Runs::unordered(runs)
}

/// The columns of a row that hold, given about where they begin and end.
fn piece(
    (low, high): (f64, f64),
    columns: &Range<usize>,
    holds: impl Fn(f64) -> bool,
) -> Range<usize> {
    let mut near = clip(low - 1.0, high + 1.0, columns);
    while !near.is_empty() && !holds(near.start as f64) {
        near.start += 1;
    }
    while !near.is_empty() && !holds((near.end - 1) as f64) {
        near.end -= 1;
    }
    near
}
