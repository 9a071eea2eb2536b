//! Which group goes to which part.

use std::collections::BTreeMap;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Items that stay together.
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    /// How many items it has.
    pub(super) size: usize,
    /// The mean of its items' measures.
    pub(super) measure: f64,
}

/// The number of each group's part. Large groups first, each to the part that lacks most, until there
/// are only as many groups left as empty parts.
pub(super) fn by_size<'a>(
    mut groups: Vec<Group<'a>>,
    items: usize,
    shares: &[f64],
    seed: u64,
) -> BTreeMap<&'a str, usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    groups.sort_by_cached_key(|_| random.next_u64());
    groups.sort_by_key(|group| std::cmp::Reverse(group.size));
    let mut lacking = targets(items, shares);
    fill(&groups, shares, |group, open| {
        let part = most(&lacking, open);
        lacking[part] -= group.size as f64;
        part
    })
}

/// The number of each group's part, so that parts are alike in the measure: groups in the order of
/// their measure, each to the part that is furthest behind its share of the items so far. Chance
/// decides the order of neighbours among as many as the smallest part takes one of.
pub(super) fn by_measure<'a>(
    mut groups: Vec<Group<'a>>,
    shares: &[f64],
    seed: u64,
) -> BTreeMap<&'a str, usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    groups.sort_by(|a, b| a.measure.total_cmp(&b.measure));
    let smallest = shares.iter().copied().filter(|&share| share > 0.0).fold(1.0, f64::min);
    for neighbours in groups.chunks_mut(stratum(smallest)) {
        neighbours.sort_by_cached_key(|_| random.next_u64());
    }
    let mut lacking = vec![0.0; shares.len()];
    fill(&groups, shares, |group, open| {
        for (lacking, share) in lacking.iter_mut().zip(shares) {
            *lacking += share * group.size as f64;
        }
        let part = most(&lacking, open);
        lacking[part] -= group.size as f64;
        part
    })
}

/// How many groups one part takes one of.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares are from 0 to 1, so this is at least 1; a tiny share saturates"
)]
fn stratum(share: f64) -> usize {
    (1.0 / share).round() as usize
}

/// Gives each group to a part that `choose` takes from the open ones: those with a share, or, once
/// there are only as many groups left as empty parts, the empty ones.
fn fill<'a>(
    groups: &[Group<'a>],
    shares: &[f64],
    mut choose: impl FnMut(&Group<'a>, &[usize]) -> usize,
) -> BTreeMap<&'a str, usize> {
    let all: Vec<usize> = (0..shares.len()).filter(|&part| shares[part] > 0.0).collect();
    let mut empty = all.clone();
    let mut parts = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let must_fill = groups.len() - at <= empty.len();
        let part = choose(group, if must_fill { &empty } else { &all });
        empty.retain(|&other| other != part);
        parts.insert(group.name, part);
    }
    parts
}

/// The open part that lacks most; of several, the first.
fn most(lacking: &[f64], open: &[usize]) -> usize {
    let order = |&a: &usize, &b: &usize| lacking[a].total_cmp(&lacking[b]).then_with(|| b.cmp(&a));
    open.iter().copied().max_by(|a, b| order(a, b)).unwrap_or_default()
}

/// How many items each part should have: its share, but at least one, at the expense of the first.
fn targets(items: usize, shares: &[f64]) -> Vec<f64> {
    let target =
        |&share: &f64| if share > 0.0 { (share * items as f64).round().max(1.0) } else { 0.0 };
    let mut targets: Vec<f64> = shares.iter().map(target).collect();
    let others: f64 = targets.iter().skip(1).sum();
    if let Some(first) = targets.first_mut() {
        *first = items as f64 - others;
    }
    targets
}
