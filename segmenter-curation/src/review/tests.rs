#![allow(clippy::cast_possible_truncation, reason = "pixel values are small")]

use ndarray::Array2;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use segmenter_core::{Mask2, Sample, Stack2};

use super::*;
use crate::quality::measure;

/// An image of discs of radius 7 that glow, with soft edges and noise, and its segmentation.
fn discs(seed: u64) -> (Array2<f32>, Array2<bool>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |end: u32| random.next_u32() % end;
    // Somewhere in each of 4 × 4 fields of 24 pixels.
    let centres: Vec<[f64; 2]> = (0..16)
        .map(|field| [field / 4, field % 4].map(|at| f64::from(24 * at + 8 + below(9))))
        .collect();
    let distance = |(y, x): (usize, usize)| {
        let to = |centre: &[f64; 2]| (y as f64 - centre[0]).hypot(x as f64 - centre[1]);
        centres.iter().map(to).fold(f64::INFINITY, f64::min)
    };
    let mask = Array2::from_shape_fn((96, 96), |at| distance(at) <= 7.0);
    let raw = Array2::from_shape_fn((96, 96), |at| {
        let glow = 120.0 / (1.0 + (2.0 * (distance(at) - 7.0)).exp());
        (20.0 + glow + f64::from(below(12))).round() as f32
    });
    (raw, mask)
}

fn measured(name: &str, raw: Array2<f32>, mask: Array2<bool>) -> Quality {
    measure(&Sample::new(name, Stack2::new(raw), Mask2::new(mask)).unwrap()).unwrap()
}

/// Twelve good images and one with each fault.
fn set() -> Vec<Quality> {
    let good = (0..12).map(|seed| {
        let (raw, mask) = discs(seed);
        measured("good", raw, mask)
    });
    let mut set: Vec<Quality> = good.collect();

    let (raw, mask) = discs(20);
    let moved = |(y, x): (usize, usize)| x >= 6 && mask[[y, x - 6]];
    set.push(measured("shifted", raw.clone(), Array2::from_shape_fn((96, 96), moved)));
    set.push(measured("another's", raw.clone(), discs(21).1));
    set.push(measured("empty", raw.clone(), Array2::from_elem((96, 96), false)));
    set.push(measured("constant", Array2::from_elem((96, 96), 7.0), mask.clone()));
    let upper = |at: (usize, usize)| at.0 < 48 && mask[at];
    set.push(measured("halved", raw.clone(), Array2::from_shape_fn((96, 96), upper)));
    let near = |at: (usize, usize)| {
        let box_ = (0..13_usize).flat_map(|dy| (0..13_usize).map(move |dx| (dy, dx)));
        let value = |(dy, dx): (usize, usize)| {
            let from = |at: usize, step: usize| (at + step).saturating_sub(6).min(95);
            raw[[from(at.0, dy), from(at.1, dx)]]
        };
        (box_.map(value).sum::<f32>() / 169.0).round()
    };
    set.push(measured("blurred", Array2::from_shape_fn((96, 96), near), mask.clone()));
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let noise = raw.mapv(|_| (random.next_u32() % 256) as f32);
    set.push(measured("noise", noise, mask));
    set
}

#[test]
fn faults_come_before_good_images_and_nothing_to_see_comes_first() {
    let list = rank(&set());
    let names: Vec<&str> = list.iter().map(|suspect| suspect.name.as_str()).collect();
    assert_eq!(names[..2], ["constant", "noise"]);
    assert!(names[7..].iter().all(|name| *name == "good"), "{names:?}");
    assert!(list[7..].iter().all(|suspect| suspect.reasons.is_empty()), "{list:?}");
}

#[test]
fn reasons_say_in_words_what_to_look_for() {
    let list = rank(&set());
    let reasons = |name: &str| {
        let suspect = list.iter().find(|suspect| suspect.name == name).unwrap();
        suspect.reasons.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let says = |name, words: &str| {
        assert!(reasons(name).iter().any(|reason| reason.contains(words)), "{:?}", reasons(name));
    };
    says("shifted", "the segmentation fits better 6 px to the left");
    says("another's", "the segmentation may belong to another image");
    says("empty", "nothing is segmented");
    says("constant", "all voxels are equal");
    says("halved", "8 of 16 bright objects are not segmented");
    says("blurred", "out of focus");
    says("noise", "pure noise");
}

#[test]
fn missing_objects_are_offered_for_exclusion() {
    let set = set();
    let list = rank(&set);
    let halved = list.iter().find(|suspect| suspect.name == "halved").unwrap();
    assert_eq!(halved.exclude.len(), 8);
    let lower = |region: &Region| region.rasterise::<segmenter_core::Yx>([96, 96]).view()[[10, 10]];
    assert!(!halved.exclude.iter().any(lower));
    assert_eq!(set[halved.index].name, "halved");
}

#[test]
fn in_a_small_set_images_are_compared_with_good_ones() {
    let set = set();
    for (name, least) in [("noise", 29.0), ("shifted", 10.0), ("halved", 8.0), ("blurred", 3.0)] {
        let only = set.iter().find(|quality| quality.name == name).unwrap();
        let list = rank(std::slice::from_ref(only));
        assert!(list[0].score >= least, "{name}: {}", list[0].score);
    }
    assert_eq!(rank(&[]), []);
}
