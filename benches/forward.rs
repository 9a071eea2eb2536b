//! How long does one forward pass take, by size of the network?

#![allow(missing_docs, reason = "criterion's macros emit undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segmenter::{
    Device, DynUNetConfig, Model, Size, Space, Yx, Zyx,
    model::burn::tensor::{Distribution, Tensor},
};

fn forward_of<S: Space>(c: &mut Criterion, name: &str, patch: S::Extent) {
    let device = Device::flex();
    let [z, y, x] = S::to_zyx(patch);
    let input = Tensor::<5>::random([1, 1, z, y, x], Distribution::Default, &device);
    let mut group = c.benchmark_group(format!("forward {name}"));
    group.sample_size(10);
    group.throughput(Throughput::Elements((z * y * x) as u64));
    for size in [Size::Small, Size::Medium] {
        let model = Model::<S>::init(DynUNetConfig::of_size(size), patch, 0, &device);
        let model = model.expect("a valid network");
        group.bench_function(BenchmarkId::new("size", format!("{size:?}")), |b| {
            b.iter(|| model.forward(black_box(input.clone())).into_data());
        });
    }
    group.finish();
}

fn forward(c: &mut Criterion) {
    forward_of::<Yx>(c, "256×256", [256, 256]);
    forward_of::<Zyx>(c, "32×64×64", [32, 64, 64]);
}

criterion_group!(benches, forward);
criterion_main!(benches);
