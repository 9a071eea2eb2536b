//! How fast are two segmentations of a volume merged inside a region, and voxels excluded?

#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use segmenter::{Labels3, Mask3, Region};

const EXTENT: [usize; 3] = [32, 512, 512];

fn merge(c: &mut Criterion) {
    let base = Labels3::new(Array3::from_elem(EXTENT, 1));
    let other = Labels3::new(Array3::from_elem(EXTENT, 2));
    let counted = Mask3::all(EXTENT);
    let corners = [(40.5, 60.0), (430.0, 25.5), (500.0, 390.0), (90.0, 470.5)];
    let region = Region::polygon(corners).expect("the points are finite");
    let mut group = c.benchmark_group("region of 32×512×512");
    group.throughput(Throughput::Elements(EXTENT.iter().product::<usize>() as u64));
    group.bench_function("copy, for comparison", |b| b.iter(|| black_box(&base).clone()));
    group.bench_function("merge labels", |b| {
        b.iter(|| black_box(&base).merged_with(&other, &region));
    });
    group.bench_function("exclude", |b| b.iter(|| black_box(&counted).excluding(&region)));
    group.finish();
}

criterion_group!(benches, merge);
criterion_main!(benches);
