//! What names of images have in common.

/// Tells what a name has in common with others: what it has at the braces of a pattern.
///
/// A pattern is text with `*` for anything, also nothing, and `{}` for the part that is taken. Several
/// `{}` are joined by spaces. Each takes as little of the name as the rest of the pattern allows.
///
/// It finds what belongs to the same image in several folders, with
/// [`Folder::with_pattern`](crate::Folder::with_pattern), and which images are of the same well,
/// animal or volume, for a [`split`](crate::split()):
///
/// ```
/// use segmenter_curation::{NamePattern, Shares, split};
///
/// let well: NamePattern = "plate{}_{}_s*".parse()?;
/// assert_eq!(well.find("plate3_B07_s2"), Some("3 B07".to_owned()));
/// assert_eq!(well.find("control"), None);
///
/// let crops = ["vol_1_crop_1", "vol_1_crop_2", "vol_2_crop_1", "vol_3_crop_1"];
/// let volume: NamePattern = "{}_crop_*".parse()?;
/// volume.check(crops)?;
/// let parts = split(crops, &Shares::default(), 7, |name| volume.find(name).unwrap_or_default())?;
/// assert_eq!(parts.train.len() + parts.validation.len() + parts.test.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Any text, which is taken or not.
    Any {
        taken: bool,
    },
}

/// A pattern that takes nothing of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} has no {{}}, which stands for the part of a name that is taken")]
pub struct InvalidPattern {
    /// The pattern.
    pub pattern: String,
}

/// Names that a pattern does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern does not fit the names {names:?}")]
pub struct NoMatch {
    /// All of them.
    pub names: Vec<String>,
}

impl std::str::FromStr for NamePattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        let (mut parts, mut rest) = (Vec::new(), pattern);
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{}") {
                parts.push(Part::Any { taken: true });
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Any { taken: false });
                rest = after;
            } else {
                let (letter, after) = rest.split_at(first.len_utf8());
                match parts.last_mut() {
                    Some(Part::Text(text)) => text.push_str(letter),
                    _ => parts.push(Part::Text(letter.to_owned())),
                }
                rest = after;
            }
        }
        if parts.contains(&Part::Any { taken: true }) {
            return Ok(Self { parts });
        }
        Err(InvalidPattern { pattern: pattern.to_owned() })
    }
}

impl NamePattern {
    /// What a name has at the braces, or `None` if the pattern does not fit it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<String> {
        let ends = self.ends(name)?;
        let starts = [0].into_iter().chain(ends.iter().copied());
        let texts = starts.zip(&ends).map(|(start, &end)| &name[start..end]);
        let named =
            self.parts.iter().zip(texts).filter(|(part, _)| **part == Part::Any { taken: true });
        Some(named.map(|(_, text)| text).collect::<Vec<_>>().join(" "))
    }

    /// Checks that the pattern fits these names.
    ///
    /// # Errors
    /// With all that it does not fit.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), NoMatch> {
        let alien = names.into_iter().filter(|name| self.find(name).is_none());
        let names: Vec<String> = alien.map(str::to_owned).collect();
        if names.is_empty() { Ok(()) } else { Err(NoMatch { names }) }
    }

    /// Where each part ends in a name.
    ///
    /// As in any pattern whose gaps take anything, text that is found as early as possible never
    /// hides a fit; only the last text has to be at the very end.
    fn ends(&self, name: &str) -> Option<Vec<usize>> {
        let mut ends = Vec::with_capacity(self.parts.len());
        let mut at = 0;
        for (place, part) in self.parts.iter().enumerate() {
            let last = place + 1 == self.parts.len();
            match part {
                Part::Text(text) if ends.is_empty() && place == 0 => {
                    at = name.starts_with(text.as_str()).then_some(text.len())?;
                }
                Part::Text(text) if last => {
                    let start = name.len().checked_sub(text.len()).filter(|&start| start >= at)?;
                    name.get(start..).filter(|end| end == text)?;
                    *ends.last_mut()? = start;
                    at = name.len();
                }
                Part::Text(text) => {
                    let start = at + name[at..].find(text.as_str())?;
                    *ends.last_mut()? = start;
                    at = start + text.len();
                }
                Part::Any { .. } if last => at = name.len(),
                // Ends where the next text is found.
                Part::Any { .. } => {}
            }
            ends.push(at);
        }
        (at == name.len()).then_some(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(pattern: &str, name: &str) -> Option<String> {
        pattern.parse::<NamePattern>().unwrap().find(name)
    }

    #[test]
    fn what_stands_at_the_braces_is_taken() {
        for (pattern, name, expected) in [
            ("{}_*", "A1_0", Some("A1")),
            ("{}_*", "A1", None),
            ("*_{}", "plate_A1_0", Some("A1_0")),
            ("well{}", "wellB2", Some("B2")),
            ("well{}", "B2", None),
            ("{}.tif", "a.tif.tif", Some("a.tif")),
            ("a{}a", "aa", Some("")),
            ("a{}a", "a", None),
            ("m*_{}_t*", "mouse_7_t03", Some("7")),
            ("{}é_*", "zéro_1", None),
            ("{}ro_*", "zéro_1", Some("zé")),
            ("{}", "", Some("")),
        ] {
            assert_eq!(group(pattern, name).as_deref(), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_pattern_without_braces_is_refused() {
        assert!("plate_*".parse::<NamePattern>().is_err());
    }

    #[test]
    fn all_names_that_do_not_fit_are_told() {
        let pattern: NamePattern = "{}_crop_*".parse().unwrap();
        let error = pattern.check(["v_crop_1", "w", "v_crop_2", "x"]).unwrap_err();
        assert_eq!(error.names, ["w", "x"]);
    }
}
