//! Whole runs on small images.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "helpers of tests are tests, and their numbers small"
)]

use std::{fs, ops::ControlFlow};

use ndarray::Array2;
use segmenter_core::{Mask2, Sample, Stack2, VoxelSize, Yx, io::SaveError};
use segmenter_model::{AnyModel, DynUNetConfig, Model2, burn::tensor::Device, weights};
use segmenter_train::{Event, Loss, Run, TrainConfig, TrainError, TrainingData, train};

const SIDE: usize = 40;

/// Bright discs on a dark, noisy ground; which of them depends on the seed.
fn discs(seed: usize) -> (Array2<f32>, Mask2) {
    let centres = [(9 + seed % 5, 10), (28, 27 - seed % 7), (10 + seed % 3, 30)];
    let inside = |y: usize, x: usize| {
        centres.iter().any(|&(cy, cx)| y.abs_diff(cy).pow(2) + x.abs_diff(cx).pow(2) <= 30)
    };
    let noise = |y: usize, x: usize| ((y * 7919 + x * 104_729 + seed * 31) % 97) as f32 / 97.0;
    let raw = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
        (if inside(y, x) { 2.0 } else { 1.0 }) + noise(y, x)
    });
    (raw, Mask2::new(Array2::from_shape_fn((SIDE, SIDE), |(y, x)| inside(y, x))))
}

fn sample(seed: usize) -> Sample<Yx> {
    let (raw, target) = discs(seed);
    let size = VoxelSize::new([0.5, 0.25]).unwrap();
    Sample::new(format!("discs {seed}"), Stack2::new(raw).with_voxel_size(size), target).unwrap()
}

fn data() -> TrainingData<Yx> {
    let samples = |seeds: std::ops::Range<usize>| seeds.map(sample).collect();
    TrainingData::new(samples(0..4), samples(4..6)).unwrap()
}

fn model() -> Model2 {
    let network = DynUNetConfig::new(&[4, 8, 8], &[[1, 1], [2, 2], [2, 2]]);
    Model2::init(network, [24, 24], 11, &Device::flex()).unwrap()
}

fn config(epochs: usize) -> TrainConfig<Yx> {
    TrainConfig::new([24, 24]).with_batch(4).with_epochs(epochs).with_learning_rate(1e-2)
}

fn go(_: &Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bits(run: &Run<Yx>) -> Vec<Vec<u32>> {
    let tensors = weights::collect(run.last.network(), 2);
    tensors.values().map(|t| t.values.iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn a_network_learns_to_find_discs() {
    let run = train(model(), &data(), &config(60), None, go).unwrap();
    let dice = run.model.card().provenance.validation_dice.unwrap();
    assert!(dice > 0.95, "validation Dice {dice}");
    assert_eq!(run.history.len(), 60);
    assert_eq!(run.model.card().voxel_size, Some(VoxelSize::new([0.5, 0.25]).unwrap()));
}

#[test]
fn the_same_seed_gives_the_same_bits_on_one_thread_as_on_three() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(&train(model(), &data(), &config(2), None, go).unwrap()))
    };
    let one = on(1);
    assert_eq!(one, on(3));
    let other = train(model(), &data(), &config(2).with_seed(1), None, go).unwrap();
    assert_ne!(one, bits(&other));
}

#[test]
fn labels_that_are_excluded_are_not_learnt() {
    let run = |noise: bool| {
        let samples = (0..4).map(|seed| {
            let (raw, target) = discs(seed);
            let (mut target, mut counted) = (target, Mask2::all([SIDE, SIDE]));
            for ((y, x), counts) in counted.view_mut().indexed_iter_mut() {
                *counts = x < SIDE / 2;
                if x >= SIDE / 2 {
                    target.view_mut()[[y, x]] = noise && (x + y) % 2 == 0;
                }
            }
            let sample = Sample::new(format!("{seed}"), Stack2::new(raw), target).unwrap();
            sample.with_counted(counted).unwrap()
        });
        let data = TrainingData::new(samples.collect(), Vec::new()).unwrap();
        let mut config = config(3);
        // Where patches lie must not depend on the excluded labels either; that they don't is a
        // promise of the sampler.
        config.foreground_share = 0.5;
        bits(&train(model(), &data, &config, None, go).unwrap())
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn a_run_leaves_its_models_settings_and_history_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = train(model(), &data(), &config(3), Some(&path), go).unwrap();
    let AnyModel::Yx(best) =
        AnyModel::load(path.join("best.safetensors"), &Device::flex()).unwrap()
    else {
        panic!("a model over planes")
    };
    assert_eq!(best.card(), run.model.card());
    let settings = fs::read_to_string(path.join("config.json")).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig<Yx>>(&settings).unwrap(), config(3));
    let metrics = fs::read_to_string(path.join("metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 1 + 3);
    let again = train(model(), &data(), &config(3), Some(&path), go);
    assert!(matches!(again, Err(TrainError::Save(SaveError::Exists { .. }))));
}

#[test]
fn a_stopped_run_ends_in_good_order_with_its_last_state_saved() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(model(), &data(), &config(50), Some(folder.path()), |event| match event {
        Event::Step { step: 6, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .unwrap();
    assert!(run.stopped);
    assert_eq!(run.last.card().provenance.steps, 6);
    let last = Model2::load(folder.path().join("last.safetensors"), &Device::flex()).unwrap();
    assert_eq!(last.card().provenance.steps, 6);
}

#[test]
fn fine_tuning_goes_on_from_the_weights_and_remembers_where_they_came_from() {
    let first = train(model(), &data(), &config(25), None, go).unwrap();
    let gentle = config(1).with_learning_rate(1e-4);
    let tuned = train(first.model.clone(), &data(), &gentle, None, go).unwrap();
    let loss = tuned.history[0].loss;
    assert!(loss < first.history[0].loss / 2.0, "starts at {loss}");
    let provenance = &tuned.model.card().provenance;
    assert_eq!(provenance.parent.as_deref(), Some(&first.model.card().provenance));
    assert_eq!(provenance.steps, first.model.card().provenance.steps + 4);
}

#[test]
fn a_learning_rate_that_is_far_too_large_is_reported_as_such() {
    let config = config(40).with_learning_rate(1e30).with_loss(Loss::CrossEntropy);
    let error = train(model(), &data(), &config, None, go).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
}

#[test]
fn settings_and_data_that_the_network_cannot_take_are_refused() {
    let mut odd = config(1);
    odd.patch = [24, 25];
    assert!(matches!(train(model(), &data(), &odd, None, go), Err(TrainError::Patch(_))));
    let network = DynUNetConfig::new(&[4, 8], &[[1, 1], [2, 2]]).with_in_channels(3);
    let rgb = Model2::init(network, [24, 24], 0, &Device::flex()).unwrap();
    let error = train(rgb, &data(), &config(1), None, go).unwrap_err();
    let TrainError::Channels { what, found, expected } = error else { panic!("{error}") };
    assert_eq!((what, found, expected), ("channels", 1, 3));
    assert!(matches!(
        train(model(), &data(), &config(0), None, go),
        Err(TrainError::Config(faults)) if faults.len() == 1
    ));
}
