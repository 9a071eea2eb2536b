//! The same bits whatever the number of threads.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use rayon::ThreadPoolBuilder;
use segmenter_core::Zyx;
use segmenter_model::{
    DynUNet, DynUNetConfig, Precision,
    burn::{
        module::{Module, ModuleVisitor, Param},
        tensor::{Device, Gradients, Tensor, TensorData},
    },
};
use segmenter_train::Loss;

struct Collector<'a> {
    gradients: &'a Gradients,
    bits: Vec<u32>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("a gradient").into_data();
        self.bits.extend(gradient.try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits));
    }
}

fn gradients(precision: Precision) -> Vec<u32> {
    const SHAPE: [usize; 5] = [2, 1, 8, 24, 40];
    let device = Device::flex().autodiff();
    let wave = |by: f32| {
        let values = (0..SHAPE.iter().product()).map(|at: usize| (at as f32 * by).sin()).collect();
        Tensor::<5>::from_data(TensorData::new::<f32, _>(values, SHAPE), &device)
    };
    let network = DynUNet::new(&DynUNetConfig::<Zyx>::small(), 5, &Device::flex()).unwrap();
    let network = network.with_precision(precision).train();
    let target = wave(0.013).greater_elem(0.2).float();
    let logits = network.forward(wave(0.71));
    let loss = Loss::DiceCrossEntropy.forward(logits, target.clone(), target.ones_like());
    let gradients = loss.backward();
    let mut collector = Collector { gradients: &gradients, bits: Vec::new() };
    network.visit(&mut collector);
    collector.bits
}

#[test]
fn gradients_are_of_the_same_bits_on_1_2_and_16_threads() {
    for precision in [Precision::F32, Precision::Bf16] {
        let on = |threads: usize| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gradients(precision))
        };
        let one = on(1);
        assert!(one.len() > 80_000);
        assert!(one == on(2), "{precision:?}");
        assert!(one == on(16), "{precision:?}");
    }
}
