//! What is written as it comes is what memory would have held, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::ops::ControlFlow;

use burn::tensor::Device;
use ndarray::Array;
use proptest::prelude::*;
use segmenter_core::{NewImage, Space, Stack, Yx, Zyx, io::SaveOptions};
use segmenter_model::{DynUNetConfig, Model};
use segmenter_predict::{BudgetError, Plan, PredictError, Tiling, predict, predict_into};

const GO: ControlFlow<()> = ControlFlow::Continue(());

fn model<S: Space>(strides: &[S::Extent], patch: S::Extent) -> Model<S> {
    let config = DynUNetConfig::new(&[2, 3], strides).with_out_channels(2);
    Model::init(config, patch, 1, &Device::flex()).unwrap()
}

fn image<S: Space>(extent: S::Extent) -> Stack<S, f32> {
    let mut next = 0_u32;
    let mut random = || {
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(next >> 16).unwrap())
    };
    Stack::from_channels(Array::from_shape_simple_fn(S::channel_dim(1, extent), &mut random))
}

/// The logits as a file has them that was written under a plan.
fn written<S: Space>(model: &Model<S>, image: &Stack<S, f32>, plan: &Plan<S>) -> Stack<S, f32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logits.ome.tif");
    let file = NewImage::<S, f32>::new(image.extent()).with_channels(2);
    let sink = SaveOptions::new().create(&file, &path).unwrap();
    let plan = plan.clone().with_block(sink.block());
    predict_into(model, image, &plan, |logit| logit, Box::new(sink), |_| GO).unwrap();
    Stack::open(&path).unwrap()
}

fn check<S: Space>(model: &Model<S>, image: &Stack<S, f32>, tiling: &Tiling<S>, eighths: u64) {
    let whole = predict(model, image, tiling, |_| GO).unwrap().into_stack();
    let plan = Plan::new(model, image.extent(), tiling).unwrap();
    // That of a file.
    let block = S::extent_from_fn(|axis| if axis + 2 < S::RANK { 1 } else { 256 });
    let plan = plan.with_block(block);
    let BudgetError { least, .. } = plan.within(0).unwrap_err();
    let budget = least + (plan.peak_bytes() - least) / 8 * eighths;
    let plan = plan.within(budget).unwrap();
    assert!(plan.peak_bytes() <= budget);
    let found = written(model, image, &plan);
    assert!(found.view() == whole.view(), "{plan}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_volume_is_the_same_in_any_columns(
        // A file of one slice would be a plane.
        extent in [2_usize..20, 1_usize..600, 1_usize..600],
        tile in [1_usize..5, 1_usize..5, 1_usize..5],
        overlap in 0.0..0.6,
        eighths in 0_u64..=8,
    ) {
        let model = model::<Zyx>(&[[1, 1, 1], [1, 2, 2]], [4, 32, 32]);
        // No more than a quarter of a million voxels.
        let [z, y, x] = extent;
        let extent = [z, y, x.min(250_000 / (z * y)).max(1)];
        let tile = [4 * tile[0], 32 * tile[1], 32 * tile[2]];
        let tiling = Tiling::new(tile).with_overlap(overlap).unwrap();
        check(&model, &image(extent), &tiling, eighths);
    }

    #[test]
    fn a_plane_is_the_same_in_any_columns(
        extent in [1_usize..900, 1_usize..900],
        tile in [1_usize..9, 1_usize..9],
        overlap in 0.0..0.9,
        eighths in 0_u64..=8,
    ) {
        let model = model::<Yx>(&[[1, 1], [2, 2]], [16, 16]);
        let tiling = Tiling::new(tile.map(|size| 16 * size)).with_overlap(overlap).unwrap();
        check(&model, &image(extent), &tiling, eighths);
    }
}

#[test]
fn a_plan_or_a_sink_for_another_image_is_refused() {
    let model = model::<Yx>(&[[1, 1], [2, 2]], [16, 16]);
    let image = image::<Yx>([40, 50]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logits.tif");
    for (planned, stored) in [([40, 51], [40, 50]), ([40, 50], [41, 50])] {
        let plan = Plan::new(&model, planned, &Tiling::of(&model)).unwrap();
        let file = NewImage::<Yx, f32>::new(stored).with_channels(2);
        let sink = Box::new(SaveOptions::new().create(&file, &path).unwrap());
        let error = predict_into(&model, &image, &plan, |logit| logit, sink, |_| GO).unwrap_err();
        assert!(matches!(error, PredictError::OtherImage { .. }), "{error}");
    }
    let plan = Plan::new(&model, [40, 50], &Tiling::of(&model)).unwrap();
    let file = NewImage::<Yx, f32>::new([40, 50]).with_channels(1);
    let sink = Box::new(SaveOptions::new().create(&file, &path).unwrap());
    let error = predict_into(&model, &image, &plan, |logit| logit, sink, |_| GO).unwrap_err();
    assert!(matches!(error, PredictError::Write(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_budget_that_can_not_be_met_says_what_would_do() {
    let model = model::<Zyx>(&[[1, 1, 1], [1, 2, 2]], [8, 64, 64]);
    let plan = Plan::new(&model, [500, 3000, 4000], &Tiling::of(&model)).unwrap();
    let error = plan.within(1 << 20).unwrap_err();
    assert!(error.to_string().contains(&format!("{} are needed", error.least)), "{error}");
    let least = plan.within(error.least).unwrap();
    assert_eq!(least.peak_bytes(), error.least);
    assert_eq!(least.within(u64::MAX).unwrap(), plan, "more memory makes a plan no worse");
}
