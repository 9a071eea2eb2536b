//! What holds for any mask.

use ndarray::{Array, Array3};
use proptest::prelude::*;

use super::*;
use crate::{Labels3, Mask2, Mask3};

proptest! {
    #[test]
    fn every_component_is_split_into_one_object_at_least_and_no_voxel_is_lost(
        extent in (1_usize..6, 1_usize..12, 1_usize..12),
        bits in proptest::collection::vec(0_u8..10, 100..400),
        filled in 1_u8..10,
        length in 0.0_f64..3.0,
        connectivity in 1_usize..=3,
        apart in any::<bool>(),
    ) {
        let connectivity = self::connectivity(connectivity);
        let mask = random_mask::<Zyx>([extent.0, extent.1, extent.2], &bits, filled);
        let length = Length::Micrometres(length);
        let seeds = if apart { Seeds::Apart(length) } else { Seeds::Prominence(length) };
        let labels = mask.split(&Split::by(seeds).with_connectivity(connectivity)).unwrap();
        prop_assert_eq!(labels.foreground(), mask.clone());
        let components = mask.components(connectivity).unwrap().labels;
        let mut owners = std::collections::HashMap::new();
        for (&object, &component) in labels.view().iter().zip(components.view()) {
            prop_assert_eq!(*owners.entry(object).or_insert(component), component);
        }
        let whole = Split::new(Length::Voxels(1e9)).with_connectivity(connectivity);
        let whole = mask.split(&whole).unwrap().sequential();
        prop_assert_eq!(whole.view(), components.view(), "no neck is that deep");
    }

    #[test]
    fn cleaning_up_twice_is_cleaning_up_once(
        extent in (1_usize..6, 1_usize..9, 1_usize..9),
        bits in proptest::collection::vec(0_u8..10, 100..400),
        filled in 1_u8..10,
        radius in 0.0_f64..2.0,
    ) {
        let mask = random_mask::<Zyx>([extent.0, extent.1, extent.2], &bits, filled);
        let radius = Length::Micrometres(radius);
        let (opened, closed) = (mask.opened(radius).unwrap(), mask.closed(radius).unwrap());
        prop_assert_eq!(&opened.opened(radius).unwrap(), &opened);
        prop_assert_eq!(&closed.closed(radius).unwrap(), &closed);
        let inside = |a: &Mask3, b: &Mask3| a.view().iter().zip(b.view()).all(|(a, b)| !a || *b);
        prop_assert!(inside(&opened, &mask) && inside(&mask, &closed));
        let filled = mask.fill_holes().unwrap();
        prop_assert_eq!(&filled.fill_holes().unwrap(), &filled);
        let labels = mask.components(Connectivity::Face).unwrap().labels;
        prop_assert_eq!(&labels.sequential(), &labels, "components come in the order of first voxels");
        let renamed = labels.mapped(|id| if id == 0 { 0 } else { 900 - 7 * id });
        prop_assert_eq!(&renamed.with_ids_of(&labels).unwrap(), &labels);
        prop_assert_eq!(&renamed.sequential(), &labels);
        let largest = mask.largest(Connectivity::Face).unwrap();
        prop_assert_eq!(&labels.largest().foreground(), &largest);
    }
}

#[test]
fn the_surface_of_a_ball_is_right_within_two_per_cent() {
    for (radius, edges) in
        [(5.0, [1.0; 3]), (12.5, [1.0; 3]), (8.0, [0.8, 0.5, 0.5]), (6.0, [1.2, 0.3, 0.3])]
    {
        let extent = [50, 60, 60];
        let place =
            |at: usize, axis: usize| (at as f64 - extent[axis] as f64 / 2.0 + 0.3) * edges[axis];
        let ids = Array3::from_shape_fn(extent, |(z, y, x)| {
            let square = place(z, 0).powi(2) + place(y, 1).powi(2) + place(x, 2).powi(2);
            u32::from(square <= radius * radius)
        });
        let table = Labels3::new(ids).with_voxel_size(size(&edges)).measure_shape();
        let expected = 4.0 * std::f64::consts::PI * radius * radius;
        let surface = table.objects[0].surface.unwrap();
        assert!(
            (surface / expected - 1.0).abs() < 0.02,
            "radius {radius}, {edges:?}: {}",
            surface / expected
        );
        assert!((table.objects[0].sphericity.unwrap() - 1.0).abs() < 0.02);
    }
}

#[test]
fn tops_that_are_close_make_one_object() {
    let disc = |y: usize, x: usize, at: usize| y.abs_diff(6).pow(2) + x.abs_diff(at).pow(2) <= 25;
    let voxels =
        Array::from_shape_fn((13, 30), |(y, x)| disc(y, x, 6) || disc(y, x, 14) || disc(y, x, 23));
    let mask = Mask2::new(voxels);
    let objects = |length| {
        let labels = mask.split(&Split::by(Seeds::Apart(Length::Voxels(length)))).unwrap();
        labels.measure_shape().objects.len()
    };
    assert_eq!([objects(0.0), objects(7.0), objects(9.0), objects(100.0)], [3, 3, 2, 1]);
}

#[test]
fn images_without_voxels_have_no_objects() {
    for extent in [[0, 3, 4], [3, 0, 4], [3, 4, 0], [0, 0, 0]] {
        let mask = Mask3::none(extent);
        let radius = Length::Voxels(1.5);
        assert_eq!(mask.fill_holes().unwrap(), mask);
        assert_eq!(mask.fill_holes_in_slices().unwrap(), mask);
        assert_eq!(mask.opened(radius).unwrap(), mask);
        assert_eq!(mask.smoothed(radius).unwrap(), mask);
        assert_eq!(mask.largest(Connectivity::Face).unwrap(), mask);
        assert_eq!(mask.without_touching(Sides::ALL, Connectivity::Face).unwrap(), mask);
        for seeds in [Seeds::Prominence(radius), Seeds::Apart(radius)] {
            let labels = mask.split(&Split::by(seeds)).unwrap();
            assert_eq!(labels.sequential().largest().without_touching(Sides::ALL), labels);
            assert_eq!(labels.without_small(Volume::Voxels(1)).unwrap(), labels);
            assert_eq!(labels.measure_shape().objects, []);
            let image = Stack::<Zyx, u8>::new(Array::zeros(extent));
            assert_eq!(labels.measure(&image).unwrap().objects, []);
            assert_eq!(Peaks::new(1).find::<Zyx, u8>(&image.channel(0)).unwrap(), [[0; 3]; 0]);
        }
        assert_eq!(streamed::labelled(&mask, 2, &Labelling::new()).1, Labelled::default());
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let bits: Vec<u8> =
        (0..3000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let mask = random_mask::<Zyx>([9, 40, 70], &bits, 14);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let smooth = mask.smoothed(Length::Micrometres(0.8)).unwrap();
            (mask.distances(Unit::Micrometres).unwrap(), smooth)
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn new_ids_end_where_numbers_end() {
    let earlier = labels::<Yx>(&[1, 3], vec![u32::MAX, 0, 0]);
    let now = labels::<Yx>(&[1, 3], vec![1, 0, 1]);
    assert_eq!(now.with_ids_of(&earlier).unwrap().view()[[0, 2]], u32::MAX);
    let more = labels::<Yx>(&[1, 3], vec![1, 0, 2]);
    assert_eq!(
        more.with_ids_of(&earlier),
        Err(ObjectsError::TooManyComponents(crate::TooManyComponents))
    );
    assert!(more.with_ids_of(&labels::<Yx>(&[3, 1], vec![1, 0, 2])).is_err());
}
