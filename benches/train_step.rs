//! How long does one training step take: patches, forward, backward, optimiser?

#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::{hint::black_box, ops::ControlFlow};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array;
use segmenter::{
    Device, DynUNetConfig, Mask, Model, Sample, Space, Stack, TrainConfig, TrainingData, Yx, Zyx,
    train,
};

/// Criterion's measure is a run of one step, less than a hundredth of which is not the step.
fn step_of<S: Space>(
    c: &mut Criterion,
    name: &str,
    image: S::Extent,
    patch: S::Extent,
    batch: usize,
) {
    let mut value = 0_u32;
    let raw = Array::from_shape_simple_fn(S::dim(image), || {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (value >> 24) as u8
    });
    let target = Mask::<S>::new(raw.mapv(|value| value > 100));
    let sample = Sample::new("noise", Stack::<S, u8>::new(raw), target).expect("equal extents");
    let data = TrainingData::new(vec![sample], Vec::new()).expect("there is foreground");
    let model = Model::init(DynUNetConfig::small(), patch, 0, &Device::flex());
    let model = model.expect("a valid network");
    let config = TrainConfig::new(patch).with_batch(batch).with_patches_per_image(batch);
    let config = config.with_epochs(1);
    let mut group = c.benchmark_group("training step, small network");
    group.sample_size(10);
    let voxels = S::voxels(patch).unwrap_or(0) * batch;
    group.throughput(Throughput::Elements(voxels as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            train(model.clone(), black_box(&data), &config, None, |_| ControlFlow::Continue(()))
        });
    });
    group.finish();
}

fn train_step(c: &mut Criterion) {
    step_of::<Yx>(c, "8 × 128×128", [256, 256], [128, 128], 8);
    step_of::<Zyx>(c, "4 × 16×64×64", [20, 80, 80], [16, 64, 64], 4);
}

criterion_group!(benches, train_step);
criterion_main!(benches);
