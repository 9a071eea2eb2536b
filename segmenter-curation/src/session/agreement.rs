//! How far two people agree.

use std::collections::BTreeSet;

use segmenter_core::{Mask, Region, Yx, Zyx};

use super::{ImageState, State};
use crate::Decision;

/// How far two people agree on the same images.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The images that both have, in the order of the first.
    pub images: Vec<ImageAgreement>,
    /// Cohen's kappa over the images that both have decided; see [`kappa`].
    pub kappa: Option<f64>,
}

/// How far two people agree on an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageAgreement {
    /// The name of the image.
    pub image: String,
    /// Whether both use it, or both don't; `None` unless both have decided. Reasons make no
    /// difference.
    pub decision: Option<bool>,
    /// The Dice coefficient of what each has excluded, `2·|A∩B| / (|A|+|B|)`; `None` unless both have
    /// excluded something.
    pub excluded: Option<f64>,
}

/// Compares what two sessions over the same images amount to. `extent` tells how many voxels an image
/// has, `[z, y, x]` or `[y, x]`; excluded regions are compared voxel by voxel, slice by slice.
///
/// # Errors
/// With the first error of `extent`.
pub fn agreement<E>(
    first: &State,
    second: &State,
    mut extent: impl FnMut(&ImageState) -> Result<Vec<usize>, E>,
) -> Result<Agreement, E> {
    let mut images = Vec::new();
    let mut decisions = Vec::new();
    for a in first.images() {
        let Some(b) = second.image(a.name()) else { continue };
        let both = (used(a), used(b));
        let decision = if let (Some(a), Some(b)) = both {
            decisions.push((a, b));
            Some(a == b)
        } else {
            None
        };
        let [drawn, others] = [a, b].map(|image| image.record().exclude_regions());
        let excluded = match drawn.is_empty() || others.is_empty() {
            true => None,
            false => dice(drawn, others, &extent(a)?),
        };
        images.push(ImageAgreement { image: a.name().to_owned(), decision, excluded });
    }
    Ok(Agreement { images, kappa: kappa(decisions) })
}

fn used(image: &ImageState) -> Option<bool> {
    match image.record().decision() {
        Decision::Undecided => None,
        Decision::Use => Some(true),
        Decision::DontUse { .. } => Some(false),
    }
}

/// Cohen's kappa of two people's judgements of the same things: how much more often they agree than
/// they would by chance, `(p_o - p_e) / (1 - p_e)`, where `p_o` is the share of things on which they
/// agree and `p_e` the share expected if each judged as often the same way, but at random (Cohen 1960,
/// <https://doi.org/10.1177/001316446002000104>). 1 is agreement in everything, 0 that of chance.
///
/// `None` if there is nothing, or both always judge the same one way: chance then explains all.
///
/// ```
/// use segmenter_curation::session::kappa;
///
/// // Cohen's table of 50 things: both yes 20, only the first 5, only the second 10, both no 15.
/// let table = [((true, true), 20), ((true, false), 5), ((false, true), 10), ((false, false), 15)];
/// let judged = table.into_iter().flat_map(|(pair, count)| std::iter::repeat_n(pair, count));
/// assert!((kappa(judged).unwrap() - 0.4).abs() < 1e-12, "p_o = 0.7, p_e = 0.5");
/// ```
pub fn kappa<T: Ord>(judgements: impl IntoIterator<Item = (T, T)>) -> Option<f64> {
    let pairs: Vec<(T, T)> = judgements.into_iter().collect();
    let count = |holds: &dyn Fn(&(T, T)) -> bool| {
        pairs.iter().filter(|pair| holds(pair)).count() as f64 / pairs.len() as f64
    };
    let observed = count(&|(a, b)| a == b);
    let kinds: BTreeSet<&T> = pairs.iter().flat_map(|(a, b)| [a, b]).collect();
    let by_chance = |kind: &&T| count(&|(a, _)| a == *kind) * count(&|(_, b)| b == *kind);
    let expected: f64 = kinds.iter().map(by_chance).sum();
    (!pairs.is_empty() && kinds.len() > 1).then(|| (observed - expected) / (1.0 - expected))
}

/// The Dice coefficient of two sets of regions on a grid; `None` if neither covers a voxel of it.
fn dice(a: &[Region], b: &[Region], extent: &[usize]) -> Option<f64> {
    let (mut shared, mut sum) = (0, 0);
    let mut add = |[a, b]: [Vec<bool>; 2]| {
        shared += a.iter().zip(&b).filter(|(a, b)| **a && **b).count();
        sum += a.iter().chain(&b).filter(|inside| **inside).count();
    };
    match *extent {
        [rows, columns] => add([a, b].map(|regions| {
            Mask::<Yx>::of_regions([rows, columns], regions)
                .into_array()
                .into_raw_vec_and_offset()
                .0
        })),
        [slices, rows, columns] => {
            let within = segmenter_core::Window::<Zyx>::slices([slices, rows, columns]);
            within.for_each(|slice| {
                add([a, b].map(|regions| {
                    let mut inside = vec![false; rows * columns];
                    for region in regions {
                        let mask = region.rasterise_window(&slice);
                        inside.iter_mut().zip(&mask.view()).for_each(|(all, one)| *all |= one);
                    }
                    inside
                }));
            });
        }
        _ => {}
    }
    (sum > 0).then(|| 2.0 * shared as f64 / sum as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_of_more_than_two_kinds_is_that_of_the_formula() {
        // By hand: p_o = 4/6; marginals a: x 3, y 2, z 1; b: x 3, y 2, z 1;
        // p_e = (9 + 4 + 1)/36 = 14/36; kappa = (24 - 14)/(36 - 14) = 10/22.
        let pairs = [("x", "x"), ("x", "x"), ("x", "y"), ("y", "x"), ("y", "y"), ("z", "z")];
        assert!((kappa(pairs).unwrap() - 10.0 / 22.0).abs() < 1e-12);
        assert_eq!(kappa([(true, true), (true, true)]), None);
        assert_eq!(kappa::<bool>([]), None);
        assert_eq!(kappa([(true, false), (false, true)]), Some(-1.0));
    }

    #[test]
    fn regions_are_compared_voxel_by_voxel_in_their_slices() {
        let square = |from: f64| {
            let to = from + 1.0;
            Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
        };
        let (a, b) = ([square(0.0).through_z(0..=1)], [square(1.0).through_z(1..=2)]);
        // 4 voxels in each of two slices, of which one is shared in one slice.
        assert_eq!(dice(&a, &b, &[4, 8, 8]), Some(2.0 / 16.0));
        assert_eq!(dice(&a, &b, &[8, 8]), Some(2.0 / 8.0));
        assert_eq!(dice(&[square(20.0)], &[square(30.0)], &[8, 8]), None);
    }
}
