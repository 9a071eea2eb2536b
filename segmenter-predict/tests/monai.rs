//! The same logits as MONAI, for networks of many shapes.
//!
//! `fixtures/monai` holds some of the cases that `scripts/monai_cases.py` makes with MONAI 1.6 and
//! PyTorch 2.15; its header says what is in them. `MONAI_CASES=FOLDER` runs all that are in a folder.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::{
    env, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use ndarray::{ArrayD, Axis};
use segmenter_core::{Space, Stack, io::npy};
use segmenter_model::{
    AnyModel, Blending, LoadError, Model, NormKind, Postprocess, burn::tensor::Device, tensor,
};
use segmenter_predict::{Tiling, predict};

/// Of the largest logit, or of 1 if that is larger.
const TOLERANCE: f32 = 1e-5;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/monai")
}

fn difference(
    found: impl IntoIterator<Item = f32>,
    expected: &ArrayD<f32>,
) -> Result<f32, String> {
    let found: Vec<f32> = found.into_iter().collect();
    if found.len() != expected.len() {
        return Err(format!("{} values instead of {:?}", found.len(), expected.shape()));
    }
    let scale = expected.iter().fold(1.0_f32, |largest, logit| largest.max(logit.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale);
    Ok(differences.fold(0.0, |most, by| if by > most || by.is_nan() { by } else { most }))
}

/// The largest differences from MONAI's logits: of a patch, and of the tiled image.
fn differences<S: Space>(model: &Model<S>, case: &Path) -> Result<[f32; 2], String> {
    let array = |name: &str| npy::read_npz_f32(case, name).unwrap();
    let patch = array("x").into_dimensionality::<S::ChannelDim>().unwrap();
    let logits = model.forward(tensor::batch::<S>(&[patch.view()], model.device()));
    let forward = difference(tensor::unbatch::<S>(logits).remove(0), &array("y"))?;

    let raw = array("raw").into_dimensionality::<S::ChannelDim>().unwrap();
    let image = Stack::<S, f32>::from_channels(raw);
    let go = |_| ControlFlow::Continue(());
    let logits = predict(model, &image, &Tiling::of(model), go).map_err(|e| e.to_string())?;
    Ok([forward, difference(logits.view().iter().copied(), &array("logits"))?])
}

fn check(path: &Path) -> Result<[f32; 2], String> {
    let case = path.with_extension("npz");
    match AnyModel::load(path, &Device::flex()).map_err(|error| format!("{error:?}"))? {
        AnyModel::Yx(model) => differences(&model, &case),
        AnyModel::Zyx(model) => differences(&model, &case),
    }
}

#[test]
fn every_network_gives_monais_logits() {
    let folder = env::var_os("MONAI_CASES").map_or_else(fixtures, PathBuf::from);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ckpt"))
        .filter(|path| path.with_extension("npz").is_file())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no cases", folder.display());
    let mut failures = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match check(path) {
            Ok([forward, tiled]) => {
                println!("{name}: forward {forward:e}, tiled {tiled:e}");
                if !(forward <= TOLERANCE && tiled <= TOLERANCE) {
                    failures.push(name);
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
