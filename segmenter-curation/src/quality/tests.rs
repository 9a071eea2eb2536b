use ndarray::{Array2, Array3};
use segmenter_core::{Mask2, Mask3, Region, Sample, Stack2, Stack3};
use serde::Deserialize;

use super::{
    histogram::{Bins, Histogram},
    plane::planes,
    *,
};
use crate::Excluded;

/// Made by `scripts/quality_cases.py`.
#[derive(Deserialize)]
struct Case {
    extent: [usize; 2],
    raw: Vec<f32>,
    mask: Vec<bool>,
    focus: f64,
    noise: f64,
    signal_to_noise: f64,
    separability: f64,
    agreement: f64,
    edge: f64,
    structure: f64,
    saturated: f64,
    otsu: f64,
}

impl Case {
    fn load() -> Self {
        serde_json::from_str(include_str!("cases.json")).unwrap()
    }

    fn raw(&self) -> Array2<f32> {
        Array2::from_shape_vec(self.extent, self.raw.clone()).unwrap()
    }

    fn mask(&self) -> Array2<bool> {
        Array2::from_shape_vec(self.extent, self.mask.clone()).unwrap()
    }

    fn sample(&self) -> Sample<segmenter_core::Yx> {
        Sample::new("case", Stack2::new(self.raw()), Mask2::new(self.mask())).unwrap()
    }
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found}, not {expected}");
}

fn sample(raw: Array2<f32>, mask: Array2<bool>) -> Sample<segmenter_core::Yx> {
    Sample::new("image", Stack2::new(raw), Mask2::new(mask)).unwrap()
}

#[test]
fn measures_are_those_of_scipy() {
    let case = Case::load();
    let found = measure(&case.sample()).unwrap().whole;
    close(found.focus, case.focus);
    close(found.noise, case.noise);
    close(found.signal_to_noise, case.signal_to_noise);
    close(found.separability, case.separability);
    close(found.agreement, case.agreement);
    close(found.edge, case.edge);
    close(found.structure, case.structure);
    close(found.saturated, case.saturated);
    assert_eq!(found.objects, Objects { count: 3, fragments: 1, at_border: 1 });
}

#[test]
fn the_threshold_of_bright_structures_is_otsus() {
    let case = Case::load();
    let mut histogram = Histogram::new(Bins::new(0.0, 255.0, true));
    histogram.add_plane(&planes(&case.sample()).next().unwrap().unwrap());
    assert_eq!(histogram.otsu(), Some(case.otsu));
}

#[test]
fn slices_are_measured_as_planes_and_the_volume_as_all_of_them() {
    let case = Case::load();
    let [rows, columns] = case.extent;
    let dim = (3, rows, columns);
    // The second slice is upside down, the third has nothing in it.
    let at = |z: usize, y: usize| if z == 1 { rows - 1 - y } else { y };
    let (raw, mask) = (case.raw(), case.mask());
    let raw = Array3::from_shape_fn(dim, |(z, y, x)| raw[[at(z, y), x]]);
    let mask = Array3::from_shape_fn(dim, |(z, y, x)| z < 2 && mask[[at(z, y), x]]);
    let volume = Sample::new("volume", Stack3::new(raw), Mask3::new(mask)).unwrap();
    let found = measure(&volume).unwrap();
    let plane = measure(&case.sample()).unwrap();

    // Intensities are limited to percentiles of the whole volume before they are correlated.
    assert_eq!(
        Measures { agreement: None, ..found.slices[0] },
        Measures { agreement: None, ..plane.whole }
    );
    assert!((found.slices[0].agreement.unwrap() - case.agreement).abs() < 0.01);
    assert_eq!(found.empty_slices(), 1);
    assert_eq!(found.slices[2].separability, None);
    close(found.whole.focus, case.focus);
    assert_eq!(found.whole.foreground, plane.whole.foreground.map(|share| share * 2.0 / 3.0));
}

#[test]
fn voxels_that_do_not_count_change_nothing() {
    let case = Case::load();
    let right = |at: f64| Region::polygon([(at, -1.0), (99.0, -1.0), (99.0, 99.0), (at, 99.0)]);
    let whole = |columns: usize| {
        let raw = Array2::from_shape_fn((30, columns), |(y, x)| {
            case.raw().get([y, x]).copied().unwrap_or(1e6)
        });
        let mask = Array2::from_shape_fn((30, columns), |(y, x)| {
            case.mask().get([y, x]).copied().unwrap_or(true)
        });
        sample(raw, mask)
    };
    let excluded = Excluded::new([30, 40], [right(26.0).unwrap()]);
    let found = measure(&whole(40).with_counted(excluded).unwrap()).unwrap().whole;
    assert_eq!(found.foreground, measure(&whole(26)).unwrap().whole.foreground);
    close(found.separability, case.separability);
    close(found.agreement, case.agreement);
    close(found.structure, case.structure);
    close(found.saturated, case.saturated);
}

#[test]
fn a_shifted_segmentation_fits_best_where_it_was() {
    let case = Case::load();
    let (raw, mask) = (case.raw(), case.mask());
    let moved = Array2::from_shape_fn(mask.raw_dim(), |(y, x)| {
        y >= 2 && mask.get([y - 2, x + 3]) == Some(&true)
    });
    let shift = measure(&sample(raw, moved)).unwrap().shift.unwrap();
    assert_eq!((shift.y, shift.x), (-2, 3));
    assert!(shift.gain > 0.3);
    let shift = measure(&case.sample()).unwrap().shift.unwrap();
    assert_eq!((shift.y, shift.x, shift.gain), (0, 0, 0.0));
}

#[test]
fn an_object_that_is_not_segmented_is_boxed() {
    let case = Case::load();
    let mut mask = case.mask();
    mask.slice_each_axis_mut(
        |axis| if axis.axis.index() == 0 { (15..30).into() } else { (..).into() },
    )
    .fill(false);
    let missing = measure(&sample(case.raw(), mask)).unwrap().missing;
    let found = missing.uncovered[0].rasterise::<segmenter_core::Yx>(case.extent);
    let lower = case
        .mask()
        .indexed_iter()
        .filter(|((y, x), inside)| **inside && (15..26).contains(y) && *x > 9)
        .count();
    assert_eq!((missing.structures, missing.uncovered.len()), (2, 1));
    assert!(found.count() >= lower && found.view()[[20, 18]] && !found.view()[[9, 8]]);
}

#[test]
fn what_is_not_defined_is_none_and_never_a_number() {
    let images = [
        sample(Array2::from_elem((5, 6), 0.1), Array2::from_elem((5, 6), true)),
        sample(Array2::from_elem((5, 6), 0.1), Array2::from_elem((5, 6), false)),
        sample(Array2::from_elem((1, 1), 7.0), Array2::from_elem((1, 1), true)),
        sample(Array2::zeros((0, 4)), Array2::from_elem((0, 4), true)),
    ];
    for image in images {
        let quality = measure(&image).unwrap();
        let text = serde_json::to_string(&quality).unwrap();
        let back: Quality = serde_json::from_str(&text).unwrap();
        assert_eq!(back, quality);
        assert_eq!(quality.whole.agreement, None, "{text}");
        assert_eq!(quality.whole.focus, None, "{text}");
        assert_eq!(quality.whole.structure, None, "{text}");
    }
}

#[test]
fn an_intensity_that_is_no_number_is_named_by_its_place() {
    let mut raw = Array2::zeros((4, 4));
    raw[[2, 1]] = f32::NAN;
    let error = measure(&sample(raw, Array2::from_elem((4, 4), true))).unwrap_err();
    let expected =
        "`image`: intensities are finite numbers, but slice 0 has NaN at row 2, column 1";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_prediction_disagrees_in_blobs_of_either_kind() {
    let labels = Array3::from_shape_fn((4, 9, 9), |(z, y, x)| z < 2 && y < 4 && x < 5);
    let predicted = Array3::from_shape_fn((4, 9, 9), |(z, y, x)| {
        f32::from(u8::from(z < 2 && y < 4 && x < 4 || z >= 2 && y >= 5 && x >= 5))
    });
    let raw = Stack3::new(Array3::<u8>::zeros((4, 9, 9)));
    let sample = Sample::new("image", raw, Mask3::new(labels)).unwrap();
    let found = disagreements(&sample, &Stack3::new(predicted), 0.5, 1).unwrap();
    // By hand: a block of 2 × 4 × 4, of which 2 × 3 × 3 are not at its border in the slice (the image's
    // border is none), and a rim of 2 × 4 × 1.
    assert_eq!(
        (found[0].kind, found[0].voxels, found[0].depth),
        (Kind::NotSegmented, 32, 18.0 / 32.0)
    );
    assert_eq!(found[0].region.slices(), Some(2..=3));
    assert_eq!((found[1].kind, found[1].voxels, found[1].depth), (Kind::NotPredicted, 8, 0.0));
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].region.rasterise::<segmenter_core::Zyx>([4, 9, 9]).count(), 8);

    let small = Stack3::new(Array3::<f32>::zeros((4, 9, 8)));
    let error = disagreements(&sample, &small, 0.5, 1).unwrap_err();
    assert!(matches!(error, QualityError::Prediction { .. }));
}
