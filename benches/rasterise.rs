//! How long does a polygon of many vertices take to become a mask?

#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::{f64::consts::TAU, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segmenter::{Region, Yx};

const SIDE: usize = 1024;

/// A wobbly circle, as a hand would draw it.
fn outline(vertices: u32) -> Region {
    let centre = SIDE as f64 / 2.0;
    let point = |vertex: u32| {
        let angle = TAU * f64::from(vertex) / f64::from(vertices);
        let radius = centre * (0.75 + 0.2 * (7.0 * angle).sin());
        (centre + radius * angle.cos(), centre + radius * angle.sin())
    };
    Region::polygon((0..vertices).map(point)).expect("the points are finite")
}

fn rasterise(c: &mut Criterion) {
    let mut group = c.benchmark_group("rasterise 1024²");
    group.throughput(Throughput::Elements((SIDE * SIDE) as u64));
    for vertices in [20, 200, 2000] {
        let region = outline(vertices);
        group.bench_function(BenchmarkId::new("vertices", vertices), |b| {
            b.iter(|| black_box(&region).rasterise::<Yx>([SIDE, SIDE]));
        });
    }
    group.finish();
}

criterion_group!(benches, rasterise);
criterion_main!(benches);
