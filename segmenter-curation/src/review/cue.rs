//! The measures that make an image suspect, turned so that more is worse.

use super::Reason;
use crate::quality::{Quality, centre_and_spread};

/// In smaller sets a median says little about what is usual.
const SET: usize = 8;

/// Below this correlation of neighbours there is nothing but noise. In white noise it is 0 ± 0.01 for
/// 256 × 256 pixels, in 68 images of BBBC038 at least 0.95.
const PURE: f64 = 0.1;

/// Why there is nothing to see in an image, if that is so.
pub(super) fn nothing_to_see(quality: &Quality) -> Option<Reason> {
    match (quality.whole.foreground, quality.whole.structure) {
        (None, _) => Some(Reason::Uncounted),
        (_, None) => Some(Reason::Constant),
        (_, Some(structure)) => (structure < PURE).then_some(Reason::PureNoise),
    }
}

/// A measure that makes an image suspect.
pub(super) struct Cue {
    /// The measure, if it is defined; more is worse.
    pub(super) value: fn(&Quality) -> Option<f64>,
    /// Its median over the 68 images of nuclei of BBBC038 that these numbers were measured on.
    usual: f64,
    /// The least standard deviation it is taken to have: the robust one over the same images, or the
    /// least difference that a person would call a difference, whichever is more.
    spread: f64,
    /// What to tell a person.
    pub(super) reason: fn(&Quality) -> Reason,
}

/// What is usual for a measure.
pub(super) struct Usual {
    centre: f64,
    spread: f64,
}

impl Usual {
    pub(super) fn deviation(&self, value: f64) -> f64 {
        (value - self.centre) / self.spread
    }
}

impl Cue {
    /// What is usual in a set.
    pub(super) fn usual(&self, set: &[Quality]) -> Usual {
        let values = || set.iter().filter_map(self.value);
        let measured = centre_and_spread(values()).filter(|_| values().count() >= SET);
        let (centre, spread) = measured.unwrap_or((self.usual, self.spread));
        Usual { centre, spread: spread.max(self.spread) }
    }
}

/// All of them. Beside each, what it is in good images and in those with the fault that it is for
/// (medians, and in brackets the 5 % that are nearest to the other group).
pub(super) const CUES: [Cue; 9] = [
    // Good: 0.02 (0.04). White noise: 1.0.
    Cue {
        value: |quality| quality.whole.structure.map(|structure| 1.0 - structure),
        usual: 0.024,
        spread: 0.05,
        reason: |quality| Reason::Noise { structure: quality.whole.structure.unwrap_or(0.0) },
    },
    // Good: 0.001 (0.006). Another image's segmentation: 0.51 (0.43). Shifted by 4 to 12 px: 0.07 (0.02).
    Cue {
        value: |quality| quality.whole.separability.map(|separability| 1.0 - separability),
        usual: 0.001,
        spread: 0.02,
        reason: |quality| Reason::Unrelated {
            separability: quality.whole.separability.unwrap_or(0.5),
        },
    },
    // Good: 0 (0). Shifted by 4 to 12 px: 0.35 (0.11).
    Cue {
        value: |quality| quality.shift.map(|shift| shift.gain),
        usual: 0.0,
        spread: 0.01,
        reason: |quality| {
            let (y, x) = quality.shift.map_or((0, 0), |shift| (shift.y, shift.x));
            Reason::Shifted { y, x }
        },
    },
    // Good: 0 (0). Half of the objects taken out: 0.47 (0.35).
    Cue {
        value: |quality| quality.missing.share(),
        usual: 0.0,
        spread: 0.05,
        reason: |quality| Reason::Missing {
            uncovered: quality.missing.uncovered.len(),
            structures: quality.missing.structures,
        },
    },
    // Doublings of the gradient at the boundary. Good: -3.7 (-1.9). Another image's: 0.07 (-0.35).
    Cue {
        value: |quality| quality.whole.edge.map(|edge| -edge.max(f64::MIN_POSITIVE).log2()),
        usual: -3.7,
        spread: 1.0,
        reason: |quality| Reason::NoEdges { edge: quality.whole.edge.unwrap_or(0.0) },
    },
    // Doublings of the focus. Good: 3.0 (4.4). Blurred by a Gaussian of 3 to 6 px: 6.6 (5.5).
    Cue {
        value: |quality| quality.whole.focus.map(|focus| -focus.max(f64::MIN_POSITIVE).log2()),
        usual: 3.0,
        spread: 0.5,
        reason: |quality| Reason::OutOfFocus { focus: quality.whole.focus.unwrap_or(0.0) },
    },
    Cue {
        value: |quality| Some(f64::from(u8::from(quality.whole.objects.count == 0))),
        usual: 0.0,
        spread: 0.1,
        reason: |_| Reason::Empty,
    },
    // A person sees a twentieth of an image that is saturated.
    Cue {
        value: |quality| quality.whole.saturated,
        usual: 0.0,
        spread: 0.05,
        reason: |quality| Reason::Saturated { share: quality.whole.saturated.unwrap_or(0.0) },
    },
    // Good: 0.07 (0.11): nuclei cut by the border, and specks.
    Cue {
        value: |quality| {
            let objects = quality.whole.objects;
            (objects.count > 0).then(|| objects.fragments as f64 / objects.count as f64)
        },
        usual: 0.07,
        spread: 0.1,
        reason: |quality| Reason::Fragments {
            fragments: quality.whole.objects.fragments,
            objects: quality.whole.objects.count,
        },
    },
];
