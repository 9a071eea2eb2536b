//! What is learnt must not be tested.

use std::fmt;

use super::{Fingerprint, Part, Split};

/// What has to be known of an image to tell whether it is in two parts of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The name of the image.
    pub name: String,
    /// What it must not share with an image of another part: the well, the animal, the volume that
    /// it was cropped from; its own name if there is nothing.
    pub group: String,
    /// Its pixels.
    pub fingerprint: Fingerprint,
}

/// Finds images that are in two parts of a split, as they are or nearly so, or whose group is.
///
/// ```
/// use ndarray::Array2;
/// use segmenter_core::{Stack2, Yx};
/// use segmenter_curation::{Fingerprint, LeakGuard, LeakReason, Seen, Split};
///
/// let image = Array2::from_shape_fn((32, 32), |(y, x)| if y / 9 == x / 7 { 200.0 } else { 10.0_f32 });
/// let seen = |name: &str, pixels: &Array2<f32>| -> Result<Seen, Box<dyn std::error::Error>> {
///     let fingerprint = Fingerprint::of::<Yx>(&Stack2::new(pixels.clone()))?;
///     Ok(Seen { name: name.to_owned(), group: name.to_owned(), fingerprint })
/// };
/// let train = vec![seen("a", &image)?];
/// let test = vec![seen("b", &image.mapv(|value| 0.5 * value + 3.0))?];
/// let leaks = LeakGuard::new().check(&Split { train, validation: vec![], test }).unwrap_err();
/// assert!(matches!(leaks.0[0].reason, LeakReason::Alike(likeness) if likeness > 0.99));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakGuard {
    likeness: f64,
}

impl Default for LeakGuard {
    fn default() -> Self {
        Self::new()
    }
}

/// Two images in different parts of a split that should be in one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{first}` of {} and `{second}` of {} {reason}", .parts.0, .parts.1)]
pub struct Leak {
    /// The name of one.
    pub first: String,
    /// The name of the other.
    pub second: String,
    /// The part of each.
    pub parts: (Part, Part),
    /// What they have in common.
    pub reason: LeakReason,
}

/// What two images have in common.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LeakReason {
    /// Their group.
    Group(String),
    /// All pixels.
    Same,
    /// So much that one seems to be a copy of the other: their
    /// [likeness](Fingerprint::likeness).
    Alike(f64),
}

impl fmt::Display for LeakReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "are both of the group `{group}`"),
            Self::Same => f.write_str("have the same pixels"),
            Self::Alike(likeness) => write!(f, "are alike ({likeness:.3})"),
        }
    }
}

/// All leaks of a split, one line each.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaks(pub Vec<Leak>);

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pairs of images are in two parts of the split", self.0.len())?;
        self.0.iter().try_for_each(|leak| write!(f, "\n{leak}"))
    }
}

impl std::error::Error for Leaks {}

impl LeakGuard {
    /// Images are copies from a likeness of 0.9 on; see [`Fingerprint::likeness`] for what that is
    /// measured on.
    #[must_use]
    pub fn new() -> Self {
        Self { likeness: 0.9 }
    }

    /// Images are copies from this [likeness](Fingerprint::likeness) on. Above 1, only images with
    /// the same pixels are: for images that look alike by their nature, such as crops with one cell
    /// in the middle.
    #[must_use]
    pub fn with_likeness(mut self, likeness: f64) -> Self {
        self.likeness = likeness;
        self
    }

    /// Checks that no image, no copy of one and no group is in two parts of a split.
    ///
    /// # Errors
    /// With every pair that is.
    pub fn check(&self, split: &Split<Seen>) -> Result<(), Leaks> {
        let images: Vec<(Part, &Seen)> = split.iter().collect();
        let pairs = images
            .iter()
            .enumerate()
            .flat_map(|(at, first)| images[at + 1..].iter().map(move |second| (first, second)));
        let leaks =
            pairs.filter(|(first, second)| first.0 != second.0).filter_map(|(first, second)| {
                Some(Leak {
                    first: first.1.name.clone(),
                    second: second.1.name.clone(),
                    parts: (first.0, second.0),
                    reason: self.reason(first.1, second.1)?,
                })
            });
        let leaks: Vec<Leak> = leaks.collect();
        if leaks.is_empty() { Ok(()) } else { Err(Leaks(leaks)) }
    }

    fn reason(&self, first: &Seen, second: &Seen) -> Option<LeakReason> {
        if first.fingerprint.is_same(&second.fingerprint) {
            return Some(LeakReason::Same);
        }
        if first.group == second.group {
            return Some(LeakReason::Group(first.group.clone()));
        }
        let likeness = first.fingerprint.likeness(&second.fingerprint);
        (likeness >= self.likeness).then_some(LeakReason::Alike(likeness))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use segmenter_core::{Stack2, Yx};

    use super::*;

    fn seen(name: &str, group: &str, step: usize) -> Seen {
        let pixels = Array2::from_shape_fn((32, 32), |(y, x)| f32::from(y / step % 2 == x / 5 % 2));
        let fingerprint = Fingerprint::of::<Yx>(&Stack2::new(pixels)).unwrap();
        Seen { name: name.to_owned(), group: group.to_owned(), fingerprint }
    }

    #[test]
    fn every_pair_in_two_parts_is_named_with_why() {
        let split = Split {
            train: vec![seen("a", "A1", 3), seen("b", "A1", 5)],
            validation: vec![seen("c", "B2", 3)],
            test: vec![seen("d", "A1", 11)],
        };
        let leaks = LeakGuard::new().check(&split).unwrap_err();
        let told: Vec<String> = leaks.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`a` of training and `c` of validation have the same pixels",
                "`a` of training and `d` of test are both of the group `A1`",
                "`b` of training and `d` of test are both of the group `A1`",
            ]
        );
        assert_eq!(leaks.to_string().lines().count(), 4);
    }

    #[test]
    fn images_of_one_part_may_be_alike() {
        let split = Split {
            train: vec![seen("a", "a", 3), seen("b", "a", 3)],
            validation: vec![seen("c", "c", 11)],
            test: vec![],
        };
        assert_eq!(LeakGuard::new().check(&split), Ok(()));
    }
}
