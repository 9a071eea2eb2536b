//! Why something bounds no region.

/// What bounds no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRegion {
    /// There are no points.
    #[error("an outline needs at least one point, found none")]
    Empty,
    /// Coordinates are not a number, or too large to reckon with.
    #[error(
        "coordinates are numbers from -1e100 to 1e100, of paths and ellipses from -1e30 to 1e30; \
         those of points {points:?} are not"
    )]
    OutOfRange {
        /// Which points, counted from 0.
        points: Vec<usize>,
    },
    /// The axes of an ellipse enclose no area.
    #[error("the two axes of an ellipse have a length and different directions, these do not")]
    FlatEllipse,
    /// A path without width.
    #[error("the width of a path is a number above 0 and up to 1e30 pixels")]
    Width,
    /// A run of pixels that ends before it begins, or beyond all images.
    #[error("a run is a row and the first and the last column of it, which run {run} is not")]
    Run {
        /// Which run, counted from 0.
        run: usize,
    },
    /// A written region is not exactly one thing.
    #[error(
        "a region is a `polygon` with or without `holes`, an `ellipse`, a `path` with a `width`, \
         `runs`, `parts`, or slices `z` alone; found {found:?}"
    )]
    Kind {
        /// The fields that are there.
        found: Vec<&'static str>,
    },
}
