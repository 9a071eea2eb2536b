//! Reasons in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an image is suspect. As text, it is what a person should look for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Neighbouring voxels have nothing to do with each other.
    PureNoise,
    /// Neighbouring voxels are less alike than in other images.
    Noise {
        /// Their correlation.
        structure: f64,
    },
    /// The segmentation doesn't tell bright from dark.
    Unrelated {
        /// The probability that a voxel inside is brighter than one outside.
        separability: f64,
    },
    /// The segmentation would fit better elsewhere.
    Shifted {
        /// By how many pixels it would have to be moved down; up if negative.
        y: i32,
        /// By how many pixels it would have to be moved to the right; to the left if negative.
        x: i32,
    },
    /// Bright structures are not segmented.
    Missing {
        /// How many.
        uncovered: usize,
        /// Of how many.
        structures: usize,
    },
    /// The boundary of the segmentation does not follow edges.
    NoEdges {
        /// The gradient at the boundary over that elsewhere.
        edge: f64,
    },
    /// The image is less sharp than others.
    OutOfFocus {
        /// The normalised variance of its Laplacian.
        focus: f64,
    },
    /// Nothing is segmented.
    Empty,
    /// All voxels are equal.
    Constant,
    /// No voxel counts.
    Uncounted,
    /// Much is as bright as the brightest voxel.
    Saturated {
        /// The share that is.
        share: f64,
    },
    /// Many objects are tiny beside the others.
    Fragments {
        /// How many.
        fragments: usize,
        /// Of how many.
        objects: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PureNoise => {
                f.write_str("neighbouring voxels have nothing to do with each other: pure noise")
            }
            Self::Noise { .. } => f.write_str("noisier than the other images"),
            Self::Unrelated { separability } => {
                let percent = 100.0 * separability;
                write!(
                    f,
                    "a segmented voxel is brighter than another in {percent:.0} of 100 cases: the \
                     segmentation may belong to another image"
                )
            }
            Self::Shifted { y, x } => {
                write!(f, "the segmentation fits better {}", direction(*y, *x))
            }
            Self::Missing { uncovered, structures } => {
                write!(f, "{uncovered} of {structures} bright objects are not segmented")
            }
            Self::NoEdges { .. } => f.write_str(
                "no structure at the boundary: the segmentation may belong to another image",
            ),
            Self::OutOfFocus { .. } => f.write_str("out of focus"),
            Self::Empty => f.write_str("nothing is segmented"),
            Self::Constant => f.write_str("all voxels are equal"),
            Self::Uncounted => f.write_str("no voxel counts"),
            Self::Saturated { share } => {
                write!(f, "{:.0} % of the voxels are saturated", 100.0 * share)
            }
            Self::Fragments { fragments, objects } => {
                write!(f, "{fragments} of {objects} objects are tiny fragments")
            }
        }
    }
}

/// Such as "3 px down and 6 px to the left".
fn direction(y: i32, x: i32) -> String {
    let along = |by: i32, back: &str, forth: &str| {
        let way = if by < 0 { back } else { forth };
        (by != 0).then(|| format!("{} px {way}", by.unsigned_abs()))
    };
    let parts = [along(y, "up", "down"), along(x, "to the left", "to the right")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}
