//! Thresholds beside those of scikit-image 0.26.0, which `fixtures/threshold/make_thresholds.py` has
//! written.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{collections::BTreeMap, path::Path};

use half::f16;
use segmenter_core::{
    Pixel, PixelType, Space, Stack,
    io::{AnyPixels, AnyStack},
    threshold::{Foreground, Histogram, ThresholdMethod},
};
use serde::Deserialize;

type Thresholds = BTreeMap<String, Option<f64>>;

#[derive(Deserialize)]
struct Case {
    r#type: String,
    bytes: String,
    thresholds: Thresholds,
}

fn values<T: Pixel>(hex: &str) -> Vec<T> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes.chunks(T::TYPE.bytes()).map(|bytes| T::from_le_slice(bytes).unwrap()).collect()
}

/// What differs by more than 10⁻⁶ of the threshold.
fn differing<T: Pixel>(name: &str, values: &[T], expected: &Thresholds) -> Vec<String> {
    let mut faults = Vec::new();
    for (method, &expected) in expected {
        let found = method.parse::<ThresholdMethod>().unwrap().of(values.iter().copied()).ok();
        let same = match (found, expected) {
            (Some(found), Some(expected)) => {
                // NumPy's means of half precision are rounded to it.
                let half = T::TYPE == PixelType::F16 && ["li", "mean"].contains(&method.as_str());
                let near = if half { 1e-3 } else { 1e-6 };
                (found - expected).abs() <= near * expected.abs()
            }
            (found, expected) => found == expected,
        };
        if !same {
            faults.push(format!("{name} {} {method}: {found:?}, not {expected:?}", T::TYPE));
        }
    }
    faults
}

#[test]
fn thresholds_are_those_of_scikit_image_for_every_type() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/threshold/cases.json")).unwrap();
    let mut faults = Vec::new();
    for (at, Case { r#type, bytes, thresholds }) in cases.iter().enumerate() {
        let name = format!("case {at}");
        faults.extend(match r#type.as_str() {
            "u8" => differing::<u8>(&name, &values(bytes), thresholds),
            "u16" => differing::<u16>(&name, &values(bytes), thresholds),
            "i16" => differing::<i16>(&name, &values(bytes), thresholds),
            "i32" => differing::<i32>(&name, &values(bytes), thresholds),
            "f16" => differing::<f16>(&name, &values(bytes), thresholds),
            "f32" => differing::<f32>(&name, &values(bytes), thresholds),
            "f64" => differing::<f64>(&name, &values(bytes), thresholds),
            other => panic!("{other}"),
        });
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn thresholds_of_real_images_are_those_of_scikit_image_and_nuclei_in_planes_are_foreground() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !root.exists() {
        eprintln!("skipped: there are no images in {}", root.display());
        return;
    }
    let images: BTreeMap<String, Thresholds> =
        serde_json::from_str(include_str!("fixtures/threshold/images.json")).unwrap();
    let (mut faults, mut missed) = (Vec::new(), Vec::new());
    for (name, expected) in &images {
        let (found, differing) = match AnyStack::open(root.join(name)).unwrap() {
            AnyStack::Yx(AnyPixels::U8(image)) => of_image(name, &image, expected),
            AnyStack::Zyx(AnyPixels::U8(image)) => of_image(name, &image, expected),
            AnyStack::Zyx(AnyPixels::U16(image)) => of_image(name, &image, expected),
            other => panic!("{name} is of {}", other.pixel_type()),
        };
        faults.extend(differing);
        if !found.is_found() {
            missed.push((name, found.contrast()));
        }
    }
    println!("{} of {} images pass for noise: {missed:?}", missed.len(), images.len());
    assert!(faults.is_empty(), "{faults:#?}");
    // What the guard can't do: crowded volumes pass for noise, as its documentation says.
    let missed: Vec<_> = missed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(missed, ["nuclei3d/raw/ovule_1135.ome.tif", "nuclei3d/raw/stardist_img3d.tif"]);
}

fn of_image<S: Space, T: Pixel>(
    name: &str,
    image: &Stack<S, T>,
    expected: &Thresholds,
) -> (Foreground, Vec<String>) {
    let values: Vec<T> = image.view().iter().copied().collect();
    let found = Histogram::of(values.iter().copied()).unwrap().foreground();
    (found, differing(name, &values, expected))
}
