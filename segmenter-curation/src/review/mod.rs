//! Which images to look at first.
//!
//! [`rank`] turns the [`Quality`] of each image of a set into a list of [`Suspect`]s, the worst first,
//! each with its reasons in words and with regions that a person may accept as exclusions.
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Sample, Stack2};
//! use segmenter_curation::{quality, review};
//!
//! let disc = |(y, x): (usize, usize)| y.abs_diff(16).pow(2) + x.abs_diff(16).pow(2) < 40;
//! let mask = Mask2::new(Array2::from_shape_fn((32, 32), disc));
//! let bright = Array2::from_shape_fn((32, 32), |at| if disc(at) { 200_u8 } else { 20 });
//! let noise = Array2::from_shape_fn((32, 32), |(y, x)| (y * y * 31 + x * x * 17 + y * x * 7) as u8);
//!
//! let good = Sample::new("good", Stack2::new(bright), mask.clone())?;
//! let bad = Sample::new("bad", Stack2::new(noise), mask)?;
//! let set = [quality::measure(&good)?, quality::measure(&bad)?];
//!
//! let list = review::rank(&set);
//! assert_eq!(list[0].name, "bad");
//! assert_eq!(list[0].reasons[0].to_string(), "neighbouring voxels have nothing to do with each other: pure noise");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cue;
mod reason;

use segmenter_core::Region;
use serde::{Deserialize, Serialize};

use self::cue::{CUES, Cue, Usual};
pub use self::reason::Reason;
use crate::quality::Quality;

/// How many standard deviations from what is usual a measure has to be to be given as a reason: of
/// normally distributed values, 1 in 740 is.
const NOTABLE: f64 = 3.0;

/// Deviations beyond this are all alike, so that no single measure decides and an image with several
/// faults comes before one with a single fault.
const LIMIT: f64 = 10.0;

/// An image to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its place in the set, counted from 0.
    pub index: usize,
    /// The name of the sample.
    pub name: String,
    /// How suspect it is, from 0: the root of the sum of squares of its measures' deviations for the
    /// worse, each at most 10. Below 3 there is nothing notable.
    pub score: f64,
    /// Why, the most deviating first. Empty if nothing is notable.
    pub reasons: Vec<Reason>,
    /// Regions to exclude if the image is used nevertheless: boxes around bright structures that are
    /// not segmented, where that is a reason.
    pub exclude: Vec<Region>,
}

/// All images of a set, the most suspect first; equally suspect ones in the order of the set.
///
/// # Rule
/// Each measure is turned so that more is worse, and its deviation is counted in robust standard
/// deviations of the set, from the set's median: an image is suspect because it differs from the others.
/// A standard deviation is taken to be no less than the least difference that matters to a person, and in
/// a set of fewer than 8 images, median and spread are those of a set of good images.
#[must_use]
pub fn rank(set: &[Quality]) -> Vec<Suspect> {
    let usual: Vec<Usual> = CUES.iter().map(|cue| cue.usual(set)).collect();
    let mut suspects: Vec<Suspect> =
        set.iter().enumerate().map(|(index, quality)| suspect(index, quality, &usual)).collect();
    suspects.sort_by(|a, b| b.score.total_cmp(&a.score));
    suspects
}

fn suspect(index: usize, quality: &Quality, usual: &[Usual]) -> Suspect {
    let deviation = |(cue, usual): (&'static Cue, &Usual)| {
        let value = (cue.value)(quality)?;
        Some((cue, usual.deviation(value).clamp(0.0, LIMIT)))
    };
    if let Some(reason) = cue::nothing_to_see(quality) {
        let score = LIMIT * (CUES.len() as f64).sqrt();
        let name = quality.name.clone();
        return Suspect { index, name, score, reasons: vec![reason], exclude: Vec::new() };
    }
    let mut deviations: Vec<_> = CUES.iter().zip(usual).filter_map(deviation).collect();
    let score = deviations.iter().map(|(_, deviation)| deviation * deviation).sum::<f64>().sqrt();
    deviations.retain(|(_, deviation)| *deviation >= NOTABLE);
    deviations.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let reasons: Vec<Reason> = deviations.iter().map(|(cue, _)| (cue.reason)(quality)).collect();
    let missing = reasons.iter().any(|reason| matches!(reason, Reason::Missing { .. }));
    let exclude = if missing { quality.missing.uncovered.clone() } else { Vec::new() };
    Suspect { index, name: quality.name.clone(), score, reasons, exclude }
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
