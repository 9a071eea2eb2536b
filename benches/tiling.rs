//! What does it cost to cut an image into tiles and to blend them?
//!
//! The plan is measured by itself. The walk needs a network, and has the smallest that there can be:
//! its time is an upper bound of what reading, scaling and blending cost beside a real one.

#![allow(clippy::cast_possible_truncation, reason = "the pixels may be anything")]
#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::{hint::black_box, ops::ControlFlow};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use segmenter::{Device, DynUNetConfig, Model3, Stack3, Tiling, predict};

const EXTENT: [usize; 3] = [32, 256, 256];

fn tiling(c: &mut Criterion) {
    let network = DynUNetConfig::new(&[1, 1], &[[1, 1, 1], [2, 2, 2]]);
    let model = Model3::init(network, [16, 64, 64], 0, &Device::flex()).expect("a valid network");
    let image = Stack3::new(Array3::from_shape_fn(EXTENT, |(z, y, x)| (z + y * x) as u16));
    let mut group = c.benchmark_group("tiling 32×256×256");
    group.sample_size(10);
    group.bench_function("plan", |b| {
        b.iter(|| Tiling::of(black_box(&model)).windows(EXTENT).map(|w| w.start[2]).sum::<usize>());
    });
    group.throughput(Throughput::Elements(EXTENT.iter().product::<usize>() as u64));
    group.bench_function("cut, smallest network, blend", |b| {
        let go = |_| ControlFlow::Continue(());
        b.iter(|| predict(&model, black_box(&image), &Tiling::of(&model), go));
    });
    group.finish();
}

criterion_group!(benches, tiling);
criterion_main!(benches);
