use ndarray::{Array, Array3};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::{Mask3, VoxelSize, Yx, Zyx};

/// Made by `scripts/component_cases.py`.
#[derive(Deserialize)]
struct Case {
    extent: Vec<usize>,
    connectivity: usize,
    mask: String,
    ids: Vec<u32>,
}

fn cases<S: Space>() -> Vec<(Mask<S>, Connectivity, Labels<S>)> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json")).unwrap();
    let cases = cases.into_iter().filter(|case| case.extent.len() == S::RANK);
    cases
        .map(|case| {
            let dim = S::dim(S::extent_from_fn(|axis| case.extent[axis]));
            let mask = case.mask.chars().map(|inside| inside == '#').collect();
            let mask = Array::from_shape_vec(dim.clone(), mask).unwrap();
            let connectivity = [Connectivity::Face, Connectivity::Edge, Connectivity::Corner];
            let ids = Array::from_shape_vec(dim, case.ids).unwrap();
            (Mask::new(mask), connectivity[case.connectivity - 1], Labels::new(ids))
        })
        .collect()
}

fn check<S: Space>() {
    let cases = cases::<S>();
    assert!(cases.len() > 20);
    for (mask, connectivity, expected) in cases {
        let found = mask.components(connectivity).unwrap();
        assert_eq!(found.labels, expected, "{connectivity:?} of {mask:?}");
    }
}

#[test]
fn ids_are_those_of_scipy() {
    check::<Yx>();
    check::<Zyx>();
}

/// The component of each voxel by walking from neighbour to neighbour.
fn flood(mask: &Array3<bool>, connectivity: Connectivity) -> Array3<u32> {
    let axes = match connectivity {
        Connectivity::Face => 1,
        Connectivity::Edge => 2,
        Connectivity::Corner => 3,
    };
    let (mut ids, mut next) = (Array3::zeros(mask.raw_dim()), 0);
    for (start, _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        if ids[start] != 0 {
            continue;
        }
        next += 1;
        let mut open = vec![start];
        while let Some((z, y, x)) = open.pop() {
            if mask.get((z, y, x)) != Some(&true) || ids[(z, y, x)] != 0 {
                continue;
            }
            ids[(z, y, x)] = next;
            for step in 0..27 {
                let (dz, dy, dx) = (step / 9, step / 3 % 3, step % 3);
                let differing = [dz, dy, dx].iter().filter(|&&step| step != 1).count();
                if differing <= axes {
                    let at = |position: usize, step: usize| (position + step).wrapping_sub(1);
                    open.push((at(z, dz), at(y, dy), at(x, dx)));
                }
            }
        }
    }
    ids
}

proptest! {
    #[test]
    fn components_are_what_can_be_walked(
        extent in (1_usize..5, 1_usize..9, 1_usize..9),
        bits in proptest::collection::vec(0_u8..10, 320),
        filled in 1_u8..9,
        connectivity in prop_oneof![
            Just(Connectivity::Face), Just(Connectivity::Edge), Just(Connectivity::Corner)
        ],
    ) {
        let mut bits = bits.into_iter();
        let mask = Array3::from_shape_simple_fn(extent, || bits.next().unwrap() < filled);
        let expected = flood(&mask, connectivity);
        let found = Mask3::new(mask).components(connectivity).unwrap();
        for (id, component) in (1..).zip(&found.components) {
            let voxels = expected.indexed_iter().filter(|(_, voxel)| **voxel == id);
            let at = voxels.map(|((z, y, x), _)| [z, y, x]).collect::<Vec<_>>();
            let bound = |axis, pick: fn(usize, usize) -> usize| {
                at.iter().map(|at: &[usize; 3]| at[axis]).reduce(pick).unwrap()
            };
            prop_assert_eq!(component.voxels, at.len());
            prop_assert_eq!(component.first, [0, 1, 2].map(|axis| bound(axis, usize::min)));
            prop_assert_eq!(component.last, [0, 1, 2].map(|axis| bound(axis, usize::max)));
        }
        prop_assert_eq!(found.labels.into_array(), expected);
    }
}

#[test]
fn a_mask_of_nothing_has_no_components_and_keeps_its_voxel_size() {
    let size = VoxelSize::new([0.5, 0.25, 0.25]).unwrap();
    let empty = Mask3::none([2, 3, 4]).with_voxel_size(size);
    let found = empty.components(Connectivity::Face).unwrap();
    assert_eq!(found.components, []);
    assert_eq!(found.labels.voxel_size(), Some(size));
    assert_eq!(Mask3::none([0, 3, 4]).components(Connectivity::Face).unwrap().components, []);
}
