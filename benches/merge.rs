//! How fast are two segmentations of a volume merged inside a region, and voxels excluded, beside a plain
//! copy of as much memory?

#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use segmenter::{
    Labels3, Mask3, Region, Source, Window,
    curation::{Excluded, Merged},
};

const EXTENT: [usize; 3] = [64, 1024, 1024];

fn region() -> Region {
    let corners = [(80.5, 120.0), (860.0, 50.5), (1000.0, 780.0), (180.0, 940.5)];
    Region::polygon(corners).expect("the points are finite")
}

/// Reads all slices, one after the other.
fn read_slices<T>(source: &impl Source<segmenter::Zyx, T>) {
    for window in Window::slices(EXTENT) {
        black_box(source.read(&window).expect("the slice is inside"));
    }
}

fn merge(c: &mut Criterion) {
    let base = Arc::new(Labels3::new(Array3::from_elem(EXTENT, 1)));
    let other = Arc::new(Labels3::new(Array3::from_elem(EXTENT, 2)));
    let mut group = c.benchmark_group("labels of 64×1024×1024");
    group.sample_size(10).throughput(Throughput::Bytes((4 << 20) * 64));
    group.bench_function("copy, for comparison", |b| b.iter(|| Labels3::clone(&base)));
    group.bench_function("merge", |b| b.iter(|| base.merged_with(&other, &region())));
    group.bench_function("copy slice by slice", |b| b.iter(|| read_slices(&base)));
    let merged = Merged::new(Arc::clone(&base), Arc::clone(&other), [region()]);
    let merged = merged.expect("the extents are equal");
    group.bench_function("merge slice by slice", |b| b.iter(|| read_slices(&merged)));
    group.finish();
}

fn exclude(c: &mut Criterion) {
    let counted = Mask3::all(EXTENT);
    let mut group = c.benchmark_group("mask of 64×1024×1024");
    group.sample_size(10).throughput(Throughput::Bytes((1 << 20) * 64));
    group.bench_function("copy, for comparison", |b| b.iter(|| black_box(&counted).clone()));
    group.bench_function("exclude", |b| b.iter(|| black_box(&counted).excluding(&region())));
    group.bench_function("copy slice by slice", |b| b.iter(|| read_slices(&counted)));
    let excluded = Excluded::new(EXTENT, [region()]);
    group.bench_function("exclude slice by slice", |b| b.iter(|| read_slices(&excluded)));
    group.finish();
}

criterion_group!(benches, merge, exclude);
criterion_main!(benches);
