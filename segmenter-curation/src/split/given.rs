//! A split that somebody else has made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::Split;

/// A split by names: written by hand, or kept from an earlier round so that what was tested stays
/// unseen.
///
/// ```
/// use segmenter_curation::GivenSplit;
///
/// let given = GivenSplit {
///     train: vec!["cell_1".into(), "cell_2".into()],
///     validation: vec!["cell_3".into()],
///     test: vec![],
/// };
/// let parts = given.apply(["cell_1", "cell_2", "cell_3"], |name| name)?;
/// assert_eq!(parts.validation, ["cell_3"]);
///
/// let faults = given.apply(["cell_1", "cell_4"], |name| name).unwrap_err();
/// assert_eq!(faults.0.len(), 3, "cell_4 has no part, and two images are missing");
/// # Ok::<(), segmenter_curation::GivenSplitFaults>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenSplit {
    /// The names of what the network learns from.
    pub train: Vec<String>,
    /// The names of what tells when to stop.
    pub validation: Vec<String>,
    /// The names of what is looked at once, at the end.
    pub test: Vec<String>,
}

/// Something that is wrong with a split by names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GivenSplitFault {
    /// A name is in several parts, or several times in one.
    #[error("`{name}` is listed {times} times; a name belongs to one part")]
    Repeated {
        /// The name.
        name: String,
        /// How often it is there.
        times: usize,
    },
    /// There is nothing of that name.
    #[error("`{name}` is listed, but there is no such image")]
    Unknown {
        /// The name.
        name: String,
    },
    /// An item is in no part.
    #[error("`{name}` is in no part of the split")]
    Unassigned {
        /// The name.
        name: String,
    },
}

/// Everything that is wrong with a split by names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSplitFaults(pub Vec<GivenSplitFault>);

impl fmt::Display for GivenSplitFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults in the split", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for GivenSplitFaults {}

impl GivenSplit {
    /// The names of the items of a split.
    pub fn of<T>(split: &Split<T>, name: impl Fn(&T) -> &str) -> Self {
        let names = |part: &[T]| part.iter().map(|item| name(item).to_owned()).collect();
        Self {
            train: names(&split.train),
            validation: names(&split.validation),
            test: names(&split.test),
        }
    }

    /// Splits items by their names.
    ///
    /// # Errors
    /// With every name that is listed twice, that no item has, and of every item that is not listed.
    pub fn apply<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> Result<Split<T>, GivenSplitFaults> {
        let items: Vec<T> = items.into_iter().collect();
        let parts = self.parts();
        let faults = self.faults(&items.iter().map(&name).collect(), &parts);
        if !faults.is_empty() {
            return Err(GivenSplitFaults(faults));
        }
        let mut split = [Vec::new(), Vec::new(), Vec::new()];
        for item in items {
            split[parts[name(&item)]].push(item);
        }
        let [train, validation, test] = split;
        Ok(Split { train, validation, test })
    }

    fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let parts = [&self.train, &self.validation, &self.test].into_iter().enumerate();
        parts.flat_map(|(part, names)| names.iter().map(move |name| (part, name.as_str())))
    }

    /// The number of each name's part.
    fn parts(&self) -> BTreeMap<&str, usize> {
        self.names().map(|(part, name)| (name, part)).collect()
    }

    fn faults(
        &self,
        items: &BTreeSet<&str>,
        parts: &BTreeMap<&str, usize>,
    ) -> Vec<GivenSplitFault> {
        let mut times = BTreeMap::<&str, usize>::new();
        self.names().for_each(|(_, name)| *times.entry(name).or_default() += 1);
        let repeated = times.iter().filter(|&(_, &times)| times > 1);
        let repeated = repeated
            .map(|(name, &times)| GivenSplitFault::Repeated { name: (*name).to_owned(), times });
        let unknown = parts.keys().filter(|name| !items.contains(*name));
        let unknown = unknown.map(|name| GivenSplitFault::Unknown { name: (*name).to_owned() });
        let unassigned = items.iter().filter(|name| !parts.contains_key(*name));
        let unassigned =
            unassigned.map(|name| GivenSplitFault::Unassigned { name: (*name).to_owned() });
        repeated.chain(unknown).chain(unassigned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let given =
            GivenSplit { train: names(&["a", "b"]), validation: names(&["b", "c"]), test: vec![] };
        let faults = given.apply(["a", "b", "d"], |name| name).unwrap_err().0;
        let expected = [
            GivenSplitFault::Repeated { name: "b".into(), times: 2 },
            GivenSplitFault::Unknown { name: "c".into() },
            GivenSplitFault::Unassigned { name: "d".into() },
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_split_is_kept_by_its_names() {
        let parts = Split { train: vec!["a", "d"], validation: vec!["b"], test: vec!["c"] };
        let given = GivenSplit::of(&parts, |name| name);
        let text = serde_json::to_string(&given).unwrap();
        let given: GivenSplit = serde_json::from_str(&text).unwrap();
        assert_eq!(given.apply(["a", "b", "c", "d"], |name| name), Ok(parts));
    }
}
