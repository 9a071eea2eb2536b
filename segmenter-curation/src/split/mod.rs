//! What is trained on, and what is only looked at.

mod assign;
mod fingerprint;
mod given;
mod leak;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use self::{
    fingerprint::Fingerprint,
    given::{GivenSplit, GivenSplitFault, GivenSplitFaults},
    leak::{Leak, LeakGuard, LeakReason, Leaks, Seen},
};

/// Which part of the items goes where. The three add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 3]", into = "[f64; 3]")]
pub struct Shares([f64; 3]);

/// Shares that are none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the shares of training, validation and test are at least 0, that of training is above 0, and \
     they add up to 1, found {found:?}"
)]
pub struct InvalidShares {
    /// Training, validation, test.
    pub found: [f64; 3],
}

impl Shares {
    /// Shares of training, validation and test. A share of 0 leaves its part empty.
    ///
    /// # Errors
    /// If one is negative, that of training is 0, or they do not add up to 1 within 10⁻⁶.
    pub fn new(train: f64, validation: f64, test: f64) -> Result<Self, InvalidShares> {
        let found = [train, validation, test];
        let sum: f64 = found.iter().sum();
        let valid = found.iter().all(|&share| share >= 0.0) && train > 0.0;
        if valid && (sum - 1.0).abs() < 1e-6 {
            Ok(Self(found))
        } else {
            Err(InvalidShares { found })
        }
    }

    /// The shares of training, validation and test.
    #[must_use]
    pub fn parts(&self) -> [f64; 3] {
        self.0
    }
}

impl Default for Shares {
    /// 80 % training, 10 % validation, 10 % test.
    fn default() -> Self {
        Self([0.8, 0.1, 0.1])
    }
}

impl TryFrom<[f64; 3]> for Shares {
    type Error = InvalidShares;

    fn try_from([train, validation, test]: [f64; 3]) -> Result<Self, InvalidShares> {
        Self::new(train, validation, test)
    }
}

impl From<Shares> for [f64; 3] {
    fn from(shares: Shares) -> Self {
        shares.0
    }
}

/// Items in three parts that share none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<T> {
    /// What the network learns from.
    pub train: Vec<T>,
    /// What tells when to stop and which model is best.
    pub validation: Vec<T>,
    /// What is looked at once, at the end.
    pub test: Vec<T>,
}

/// One of the three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What the network learns from.
    Train,
    /// What tells when to stop and which model is best.
    Validation,
    /// What is looked at once, at the end.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

impl<T> Split<T> {
    /// All items, each with its part: training first, then validation, then test.
    pub fn iter(&self) -> impl Iterator<Item = (Part, &T)> {
        let parts = [
            (Part::Train, &self.train),
            (Part::Validation, &self.validation),
            (Part::Test, &self.test),
        ];
        parts.into_iter().flat_map(|(part, items)| items.iter().map(move |item| (part, item)))
    }

    /// The same split of what becomes of each item.
    ///
    /// # Errors
    /// With the first that fails.
    pub fn try_map<U, E>(self, mut f: impl FnMut(T) -> Result<U, E>) -> Result<Split<U>, E> {
        let mut map = |part: Vec<T>| part.into_iter().map(&mut f).collect::<Result<Vec<U>, E>>();
        let (train, validation) = (map(self.train)?, map(self.validation)?);
        Ok(Split { train, validation, test: map(self.test)? })
    }
}

/// Items that can't be split so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There are fewer groups than parts that may not be empty.
    #[error("{found} groups of images can't fill {needed} parts; at least {needed} are needed")]
    TooFew {
        /// How many groups there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// One fold leaves nothing to train on.
    #[error("{found} folds are too few; at least 2 are needed")]
    TooFewFolds {
        /// How many were asked for.
        found: usize,
    },
}

/// Splits items at random, but the same way each time for the same seed.
///
/// Items of the same group stay together: give what images have in common that must not be both
/// learnt and tested, such as the well, the animal or the day, or the item's own name if they have
/// nothing in common. The order of the items makes no difference to where one goes; within a part
/// they keep it. Each part that has a share gets at least one group, and comes as near to its share
/// of the items as whole groups allow.
///
/// ```
/// use segmenter_curation::{Shares, split};
///
/// let names = ["A1_0", "A1_1", "B7_0", "B7_1", "C2_0", "C2_1"];
/// let well = |name: &&str| name[..2].to_owned();
/// let parts = split(names, &Shares::default(), 7, well)?;
/// assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (2, 2, 2));
/// assert_eq!(well(&parts.test[0]), well(&parts.test[1]));
/// # Ok::<(), segmenter_curation::SplitError>(())
/// ```
///
/// # Errors
/// If there are fewer groups than parts that have a share.
pub fn split<T>(
    items: impl IntoIterator<Item = T>,
    shares: &Shares,
    seed: u64,
    group: impl Fn(&T) -> String,
) -> Result<Split<T>, SplitError> {
    Splitting::new(seed, group).split(items, shares)
}

/// How items are split: at random by a seed, group by group, and if wanted so that each part has
/// its share of the items that are rich in something and of those that are poor in it.
///
/// ```
/// use segmenter_curation::{Shares, Splitting};
///
/// // Names, and what part of each image is foreground.
/// let images: Vec<(String, f64)> = (0..20).map(|n| (format!("im_{n}"), 0.02 * n as f64)).collect();
/// let splitting = Splitting::new(7, |(name, _): &(String, f64)| name.clone())
///     .stratified(|(_, foreground)| *foreground);
/// let parts = splitting.split(images.clone(), &Shares::new(0.8, 0.2, 0.0)?)?;
/// let rich = parts.validation.iter().filter(|(_, foreground)| *foreground >= 0.2).count();
/// assert_eq!((parts.validation.len(), rich), (4, 2));
///
/// let folds = splitting.folds(images, 5)?;
/// assert_eq!((folds.len(), folds[0].train.len(), folds[0].validation.len()), (5, 16, 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Splitting<'a, T> {
    seed: u64,
    group: Box<dyn Fn(&T) -> String + 'a>,
    measure: Option<Measure<'a, T>>,
}

/// A number for each item.
type Measure<'a, T> = Box<dyn Fn(&T) -> f64 + 'a>;

/// One of k ways to train on most items and validate on the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold<T> {
    /// What the network learns from: all items but those of this fold.
    pub train: Vec<T>,
    /// The items of this fold. Each item is in this part of one fold.
    pub validation: Vec<T>,
}

impl<'a, T> Splitting<'a, T> {
    /// At random by this seed; items of the same group stay together. See [`split`].
    pub fn new(seed: u64, group: impl Fn(&T) -> String + 'a) -> Self {
        Self { seed, group: Box::new(group), measure: None }
    }

    /// The same, and each part gets its share of items with a low, a middle and a high measure, such
    /// as the share of the voxels that are foreground. A group has the mean of its items.
    #[must_use]
    pub fn stratified(mut self, measure: impl Fn(&T) -> f64 + 'a) -> Self {
        self.measure = Some(Box::new(measure));
        self
    }

    /// Splits items into training, validation and test.
    ///
    /// # Errors
    /// If there are fewer groups than parts that have a share.
    pub fn split(
        &self,
        items: impl IntoIterator<Item = T>,
        shares: &Shares,
    ) -> Result<Split<T>, SplitError> {
        let mut parts = self.parts(items, &shares.0)?.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        Ok(Split { train: next(), validation: next(), test: next() })
    }

    /// Splits items into k folds of about equal size, each of which is validated on in turn.
    ///
    /// # Errors
    /// If k is below 2, or there are fewer groups than folds.
    pub fn folds(
        &self,
        items: impl IntoIterator<Item = T>,
        k: usize,
    ) -> Result<Vec<Fold<T>>, SplitError>
    where
        T: Clone,
    {
        if k < 2 {
            return Err(SplitError::TooFewFolds { found: k });
        }
        let parts = self.parts(items, &vec![1.0 / k as f64; k])?;
        let fold = |at: usize| {
            let others = parts.iter().enumerate().filter(|&(other, _)| other != at);
            let train = others.flat_map(|(_, part)| part).cloned().collect();
            Fold { train, validation: parts[at].clone() }
        };
        Ok((0..k).map(fold).collect())
    }

    /// The items of each part.
    fn parts(
        &self,
        items: impl IntoIterator<Item = T>,
        shares: &[f64],
    ) -> Result<Vec<Vec<T>>, SplitError> {
        let items: Vec<(String, T)> =
            items.into_iter().map(|item| ((self.group)(&item), item)).collect();
        let groups = self.groups(&items);
        let needed = shares.iter().filter(|&&share| share > 0.0).count();
        if groups.len() < needed {
            return Err(SplitError::TooFew { found: groups.len(), needed });
        }
        let parts = match self.measure {
            None => assign::by_size(groups, items.len(), shares, self.seed),
            Some(_) => assign::by_measure(groups, shares, self.seed),
        };
        let parts: BTreeMap<String, usize> =
            parts.into_iter().map(|(group, part)| (group.to_owned(), part)).collect();
        let mut split: Vec<Vec<T>> = shares.iter().map(|_| Vec::new()).collect();
        for (group, item) in items {
            split[parts[&group]].push(item);
        }
        Ok(split)
    }

    /// The groups, in the order of their names.
    fn groups<'i>(&self, items: &'i [(String, T)]) -> Vec<assign::Group<'i>> {
        let mut groups = BTreeMap::<&str, (usize, f64)>::new();
        for (group, item) in items {
            let (size, sum) = groups.entry(group).or_default();
            *size += 1;
            *sum += self.measure.as_ref().map_or(0.0, |measure| measure(item));
        }
        let group = |(name, (size, sum))| assign::Group { name, size, measure: sum / size as f64 };
        groups.into_iter().map(group).collect()
    }
}

impl<T> fmt::Debug for Splitting<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut splitting = f.debug_struct("Splitting");
        splitting.field("seed", &self.seed).field("stratified", &self.measure.is_some());
        splitting.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("im_{at}")).collect()
    }

    fn by_name(count: usize, shares: &Shares, seed: u64) -> Split<String> {
        split(names(count), shares, seed, String::clone).unwrap()
    }

    fn counts<T>(split: &Split<T>) -> [usize; 3] {
        [split.train.len(), split.validation.len(), split.test.len()]
    }

    #[test]
    fn each_part_has_its_share_and_none_is_empty() {
        let shares = Shares::default();
        for (items, expected) in
            [(3, [1, 1, 1]), (4, [2, 1, 1]), (10, [8, 1, 1]), (30, [24, 3, 3]), (99, [79, 10, 10])]
        {
            assert_eq!(counts(&by_name(items, &shares, 5)), expected);
        }
        let no_test = Shares::new(0.5, 0.5, 0.0).unwrap();
        assert_eq!(counts(&by_name(2, &no_test, 5)), [1, 1, 0]);
    }

    #[test]
    fn every_item_is_in_one_part() {
        let parts = by_name(57, &Shares::default(), 3);
        let mut all: Vec<String> = [parts.train, parts.validation, parts.test].concat();
        all.sort();
        let mut expected = names(57);
        expected.sort();
        assert_eq!(all, expected);
    }

    #[test]
    fn the_order_of_the_items_makes_no_difference() {
        let mut reversed = names(40);
        reversed.reverse();
        let mut other = split(reversed, &Shares::default(), 9, String::clone).unwrap();
        for part in [&mut other.train, &mut other.validation, &mut other.test] {
            part.reverse();
        }
        assert_eq!(other, by_name(40, &Shares::default(), 9));
        assert_ne!(other, by_name(40, &Shares::default(), 10), "another seed");
    }

    /// Splits written down in a paper have to come out the same after an update.
    #[test]
    fn a_seed_means_the_same_split_for_ever() {
        let parts = by_name(10, &Shares::default(), 2026);
        assert_eq!(
            (parts.validation, parts.test),
            (vec!["im_5".to_owned()], vec!["im_6".to_owned()])
        );
    }

    #[test]
    fn no_group_is_in_two_parts_and_large_ones_leave_room() {
        let items: Vec<(usize, usize)> = [20, 7, 5, 3, 1]
            .iter()
            .enumerate()
            .flat_map(|(g, &n)| (0..n).map(move |i| (g, i)))
            .collect();
        let group = |item: &(usize, usize)| item.0.to_string();
        for seed in 0..20 {
            let parts = split(items.clone(), &Shares::default(), seed, group).unwrap();
            let groups = |part: &[(usize, usize)]| {
                part.iter().map(|item| item.0).collect::<std::collections::BTreeSet<_>>()
            };
            let [train, validation, test] =
                [&parts.train, &parts.validation, &parts.test].map(|part| groups(part));
            assert_eq!(train.len() + validation.len() + test.len(), 5);
            assert!(train.contains(&0) && !validation.is_empty() && !test.is_empty());
        }
    }

    #[test]
    fn too_few_groups_are_refused_with_how_many_are_needed() {
        let error = split(names(2), &Shares::default(), 1, String::clone).unwrap_err();
        assert_eq!(error, SplitError::TooFew { found: 2, needed: 3 });
        let error = split(names(9), &Shares::default(), 1, |_| "one".to_owned()).unwrap_err();
        assert_eq!(error, SplitError::TooFew { found: 1, needed: 3 });
    }

    /// Foreground shares from nothing to much, a few of them large, as data sets have them.
    fn measured(count: usize) -> Vec<(String, f64)> {
        let share = |at: usize| (at as f64 / count as f64).powi(3);
        names(count).into_iter().enumerate().map(|(at, name)| (name, share(at))).collect()
    }

    fn mean(part: &[(String, f64)]) -> f64 {
        part.iter().map(|(_, measure)| measure).sum::<f64>() / part.len() as f64
    }

    #[test]
    fn stratified_parts_are_as_rich_as_the_whole() {
        let items = measured(100);
        let whole = mean(&items);
        for seed in 0..50 {
            let splitting =
                Splitting::new(seed, |item: &(String, f64)| item.0.clone()).stratified(|i| i.1);
            let parts = splitting.split(items.clone(), &Shares::default()).unwrap();
            assert_eq!(counts(&parts), [80, 10, 10], "seed {seed}");
            for part in [&parts.train, &parts.validation, &parts.test] {
                let error = (mean(part) - whole).abs();
                assert!(error < 0.1, "seed {seed}: {} instead of {whole}", mean(part));
            }
        }
    }

    #[test]
    fn stratified_splits_depend_on_the_seed_and_not_on_the_order() {
        let splitting =
            |seed| Splitting::new(seed, |item: &(String, f64)| item.0.clone()).stratified(|i| i.1);
        let shares = Shares::default();
        let mut reversed = measured(40);
        reversed.reverse();
        let mut other = splitting(1).split(reversed, &shares).unwrap();
        for part in [&mut other.train, &mut other.validation, &mut other.test] {
            part.reverse();
        }
        assert_eq!(other, splitting(1).split(measured(40), &shares).unwrap());
        assert_ne!(other, splitting(2).split(measured(40), &shares).unwrap());
    }

    #[test]
    fn every_item_is_validated_on_in_one_fold_and_trained_on_in_the_others() {
        for stratified in [false, true] {
            let group = |item: &(String, f64)| item.0.trim_end_matches(['0', '1']).to_owned();
            let splitting = Splitting::new(3, group);
            let splitting = if stratified { splitting.stratified(|i| i.1) } else { splitting };
            let folds = splitting.folds(measured(47), 5).unwrap();
            let mut seen: Vec<_> = folds.iter().flat_map(|fold| &fold.validation).collect();
            seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let mut all = measured(47);
            all.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(seen, all.iter().collect::<Vec<_>>());
            for fold in &folds {
                assert_eq!(fold.train.len() + fold.validation.len(), 47);
                assert!((7..=12).contains(&fold.validation.len()), "{}", fold.validation.len());
                let shared = |item| fold.train.iter().any(|other| group(other) == group(item));
                assert!(!fold.validation.iter().any(shared), "a group is in both parts");
            }
        }
    }

    #[test]
    fn folds_that_would_be_empty_are_refused() {
        let splitting = Splitting::new(1, String::clone);
        let error = splitting.folds(names(4), 5).unwrap_err();
        assert_eq!(error, SplitError::TooFew { found: 4, needed: 5 });
        let error = splitting.folds(names(4), 1).unwrap_err();
        assert_eq!(error, SplitError::TooFewFolds { found: 1 });
    }

    #[test]
    fn shares_that_do_not_add_up_are_refused() {
        for [train, validation, test] in
            [[0.8, 0.1, 0.2], [0.0, 0.5, 0.5], [1.2, -0.2, 0.0], [f64::NAN, 0.5, 0.5]]
        {
            assert!(Shares::new(train, validation, test).is_err());
        }
        assert!(serde_json::from_str::<Shares>("[0.8, 0.1, 0.2]").is_err());
    }
}
