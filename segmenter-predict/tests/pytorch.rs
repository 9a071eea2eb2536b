//! The same numbers as PyTorch and MONAI, on checkpoints that CytoDL wrote.
//!
//! `ref_{2d,3d}_small.npz` hold inputs and outputs of the networks in the checkpoints beside them:
//! one forward pass, MONAI's sliding window over a larger image and over one smaller than the window,
//! the weights that it blends with, scikit-image's Otsu threshold of the blended logits, and CytoDL's
//! probabilities in bytes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use ndarray::{Array, ArrayD, Axis, Dimension, Ix2, Ix3};
use segmenter_core::{Space, Stack, Yx, Zyx, io::npy, threshold};
use segmenter_model::{
    AnyModel, Model, Normalisation, Postprocess, Scaling, burn::tensor::Device, tensor,
};
use segmenter_predict::{Logits, Tiling, gaussian_weights, predict};

const TOLERANCE: f32 = 1e-4;

/// The folder of the reference files, if they lie beside this checkout.
fn reference() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/cytodl");
    if !folder.is_dir() {
        println!("skipped: the reference files are not beside this checkout");
        return None;
    }
    Some(folder)
}

/// An array of a reference file without its batch axis.
fn array(folder: &Path, file: &str, name: &str) -> ArrayD<f32> {
    let path = folder.join("fixtures").join(file);
    npy::read_npz_f32(path, name).unwrap()
}

/// `[batch, channels, …]` without the two leading axes.
fn spatial<D: Dimension>(array: ArrayD<f32>) -> Array<f32, D> {
    let array = array.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0);
    array.into_dimensionality().unwrap()
}

#[track_caller]
fn assert_close(found: impl IntoIterator<Item = f32>, expected: impl IntoIterator<Item = f32>) {
    let (found, expected): (Vec<f32>, Vec<f32>) =
        (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len());
    let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {largest:e}");
    assert!(largest <= TOLERANCE, "off by {largest}");
}

/// The inputs of the reference files are scaled already.
fn unscaled<S: Space>(model: &Model<S>) -> Model<S> {
    let mut card = model.card().clone();
    card.normalisation = Normalisation::Fixed(Scaling { mean: vec![0.0], deviation: vec![1.0] });
    Model::from_parts(model.network().clone(), card, model.device())
}

fn check<S: Space<Dim = D>, D: Dimension>(model: &Model<S>, folder: &Path, file: &str) {
    let model = unscaled(model);
    let input: Array<f32, D> = spatial(array(folder, file, "x"));
    let batch = input.insert_axis(Axis(0)).into_dimensionality::<S::ChannelDim>().unwrap();
    let logits = model.forward(tensor::batch::<S>(&[batch.view()], model.device()));
    let logits = tensor::unbatch::<S>(logits).remove(0);
    assert_close(logits, array(folder, file, "y"));

    for (image, expected) in [("sw_in", "sw_out"), ("tiny_in", "tiny_out")] {
        let image = Stack::<S, f32>::new(spatial(array(folder, file, image)));
        let go = |_| ControlFlow::Continue(());
        let logits = predict(&model, &image, &Tiling::of(&model), go).unwrap();
        assert_close(logits.view().iter().copied(), array(folder, file, expected));
    }
    assert_close(gaussian_weights::<S>(model.card().patch), array(folder, file, "importance"));
    check_postprocessing::<S, D>(folder, file);
}

/// What CytoDL makes of the blended logits.
fn check_postprocessing<S: Space<Dim = D>, D: Dimension>(folder: &Path, file: &str) {
    let blended: Array<f32, D> = spatial(array(folder, file, "sw_out"));
    let with_channel = blended.clone().insert_axis(Axis(0)).into_dimensionality().unwrap();
    let logits = Logits::<S>::new(with_channel, None);

    let otsu = array(folder, file, "otsu").into_iter().next().unwrap();
    assert_eq!(threshold::otsu(blended.iter().copied()), Ok(otsu.into()));
    let mask = logits.postprocessed(0, &Postprocess::OtsuOfLogits).unwrap();
    assert_eq!(mask.channel(0), blended.mapv(|logit| u8::from(logit > otsu)));

    let bytes = logits.postprocessed(0, &Postprocess::StretchedProbability).unwrap();
    let expected = array(folder, file, "prob_u8");
    let bytes = bytes.channel(0).mapv(f32::from);
    let apart: Vec<f32> = bytes.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
    let differing = apart.iter().filter(|&&by| by > 0.0).count();
    println!("{differing} of {} probability bytes differ", apart.len());
    assert!(apart.iter().all(|&by| by <= 1.0) && differing * 1000 < apart.len());
}

#[test]
fn a_network_over_planes_gives_pytorchs_logits() {
    let Some(folder) = reference() else { return };
    let path = folder.join("experiments/exp_2d_small/checkpoints/epoch_001.ckpt");
    let AnyModel::Yx(model) = AnyModel::load(path, &Device::flex()).unwrap() else {
        panic!("a model over planes")
    };
    assert_eq!((model.card().patch, model.card().overlap), ([32, 32], 0.2));
    check::<Yx, Ix2>(&model, &folder, "ref_2d_small.npz");
}

#[test]
fn a_network_over_volumes_gives_pytorchs_logits() {
    let Some(folder) = reference() else { return };
    let path = folder.join("experiments/exp_3d_small_mask/checkpoints/epoch_000.ckpt");
    let AnyModel::Zyx(model) = AnyModel::load(path, &Device::flex()).unwrap() else {
        panic!("a model over volumes")
    };
    assert_eq!((model.card().patch, model.card().overlap), ([16, 32, 32], 0.2));
    check::<Zyx, Ix3>(&model, &folder, "ref_3d_small.npz");
}
