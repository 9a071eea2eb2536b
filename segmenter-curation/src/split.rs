//! What is trained on, and what is only looked at.

use std::collections::BTreeMap;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

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
    let items: Vec<(String, T)> = items.into_iter().map(|item| (group(&item), item)).collect();
    let mut sizes = BTreeMap::<&str, usize>::new();
    for (group, _) in &items {
        *sizes.entry(group).or_default() += 1;
    }
    let needed = shares.0.iter().filter(|&&share| share > 0.0).count();
    if sizes.len() < needed {
        return Err(SplitError::TooFew { found: sizes.len(), needed });
    }
    let parts = assign(sizes, items.len(), shares, seed);
    let parts: BTreeMap<String, usize> =
        parts.into_iter().map(|(group, part)| (group.to_owned(), part)).collect();
    let mut split = [Vec::new(), Vec::new(), Vec::new()];
    for (group, item) in items {
        split[parts[&group]].push(item);
    }
    let [train, validation, test] = split;
    Ok(Split { train, validation, test })
}

/// The part of each group: 0 is training, 1 validation, 2 test. Large groups first, each to the part
/// that lacks most, until there are only as many groups left as empty parts.
fn assign<'a>(
    sizes: BTreeMap<&'a str, usize>,
    items: usize,
    shares: &Shares,
    seed: u64,
) -> BTreeMap<&'a str, usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut groups: Vec<(&str, usize)> = sizes.into_iter().collect();
    groups.sort_by_cached_key(|_| random.next_u64());
    groups.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
    let mut lacking = targets(items, shares);
    let mut empty: Vec<usize> = (0..3).filter(|&part| shares.0[part] > 0.0).collect();
    let mut parts = BTreeMap::new();
    for (at, &(group, size)) in groups.iter().enumerate() {
        let must_fill = groups.len() - at <= empty.len();
        let open = |part: &usize| shares.0[*part] > 0.0 && (!must_fill || empty.contains(part));
        let part = (0..3)
            .filter(open)
            .max_by(|&a, &b| lacking[a].total_cmp(&lacking[b]).then_with(|| b.cmp(&a)));
        let part = part.unwrap_or_default();
        lacking[part] -= size as f64;
        empty.retain(|&other| other != part);
        parts.insert(group, part);
    }
    parts
}

/// How many items each part should have: its share, but at least one, at the expense of training.
fn targets(items: usize, shares: &Shares) -> [f64; 3] {
    let [_, validation, test] = shares.0;
    let target =
        |share: f64| if share > 0.0 { (share * items as f64).round().max(1.0) } else { 0.0 };
    let (validation, test) = (target(validation), target(test));
    [items as f64 - validation - test, validation, test]
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
