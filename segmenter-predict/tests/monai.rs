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

use ndarray::ArrayD;
use segmenter_core::{Space, Stack, io::npy};
use segmenter_model::{
    AnyModel, Blending, LoadError, Model, Model3, NormKind, Postprocess, burn::tensor::Device,
    tensor,
};
use segmenter_predict::{Tiling, predict};

/// Of the largest logit, or of 1 if that is larger.
const TOLERANCE: f32 = 1e-5;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/monai")
}

fn difference(found: impl IntoIterator<Item = f32>, expected: &ArrayD<f32>) -> Result<f32, String> {
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

/// The two models compute the same.
fn assert_same(found: &AnyModel, expected: &AnyModel) {
    let (AnyModel::Zyx(found), AnyModel::Zyx(expected)) = (found, expected) else {
        panic!("models over volumes")
    };
    let differences = |model: &Model<_>| {
        differences(model, &fixtures().join("experiment/described.npz")).unwrap()
    };
    assert_eq!(differences(found), differences(expected));
    assert!(differences(found).iter().all(|&by| by <= TOLERANCE));
    let (found, expected) = (found.card(), expected.card());
    assert_eq!((found.patch, found.overlap), (expected.patch, expected.overlap));
    assert_eq!(found.postprocess, Some(Postprocess::OtsuOfLogits));
}

#[test]
fn a_state_dictionary_is_described_by_the_configuration_beside_it() {
    let load =
        |name: &str| AnyModel::load(fixtures().join("experiment").join(name), &Device::flex());
    assert_same(&load("state_dict.pt").unwrap(), &load("described.ckpt").unwrap());
}

#[test]
fn a_state_dictionary_is_described_by_an_argument() {
    let device = Device::flex();
    let folder = fixtures().join("experiment");
    let described = Model3::load(folder.join("described.ckpt"), &device).unwrap();
    let card = described.card().clone();
    let model = Model::load_weights(folder.join("state_dict.pt"), card, &device).unwrap();
    assert_same(&AnyModel::Zyx(model), &AnyModel::Zyx(described));

    let alone = tempfile::tempdir().unwrap();
    let path = alone.path().join("state_dict.pt");
    fs::copy(folder.join("state_dict.pt"), &path).unwrap();
    let error = Model3::load(&path, &device).unwrap_err();
    assert!(matches!(error, LoadError::NoNetwork { .. }), "{error}");
    assert!(error.to_string().contains("Model::load_weights"), "{error}");
}

#[test]
fn a_zipped_model_opens_as_it_was_downloaded_and_so_does_its_folder() {
    let device = Device::flex();
    let described = AnyModel::load(fixtures().join("experiment/described.ckpt"), &device).unwrap();
    assert_same(&AnyModel::load(fixtures().join("archive.zip"), &device).unwrap(), &described);

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    fs::create_dir(&checkpoints).unwrap();
    for (from, to) in [
        ("described.ckpt", checkpoints.join("epoch_001.ckpt")),
        ("train_config.yaml", folder.path().join("train_config.yaml")),
    ] {
        fs::copy(fixtures().join("experiment").join(from), to).unwrap();
    }
    assert_same(&AnyModel::load(folder.path(), &device).unwrap(), &described);

    fs::remove_file(checkpoints.join("epoch_001.ckpt")).unwrap();
    let error = AnyModel::load(folder.path(), &device).unwrap_err();
    assert!(matches!(error, LoadError::NoCheckpoint { .. }), "{error}");
}

#[test]
fn a_block_that_its_two_paths_disagree_on_is_named() {
    let error = AnyModel::load(fixtures().join("alias.ckpt"), &Device::flex()).unwrap_err();
    let LoadError::Alias { name, .. } = &error else { panic!("{error}") };
    assert_eq!(name, "input_block.conv1.conv.weight");
}

#[test]
fn norms_and_blending_come_along() {
    let load = |name: &str| AnyModel::load(fixtures().join(name), &Device::flex()).unwrap();
    let AnyModel::Zyx(group) = load("group.ckpt") else { panic!("a model over volumes") };
    assert_eq!(group.card().network.norm.kind, NormKind::Group { groups: 2 });
    assert_eq!(group.card().blending, Blending::Gaussian);
    let AnyModel::Yx(constant) = load("plane_constant.ckpt") else { panic!("one over planes") };
    assert_eq!((constant.card().blending, constant.card().overlap), (Blending::Constant, 0.25));
    let AnyModel::Yx(heads) = load("supervised.ckpt") else { panic!("one over planes") };
    assert_eq!(heads.card().network.deep_supervision_heads, 2);
}
