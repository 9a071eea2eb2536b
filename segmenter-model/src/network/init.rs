//! Random weights.

use std::f64::consts::TAU;

use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Makes parameters, drawing from one seeded sequence. The numbers are drawn on the host, so they
/// do not depend on the backend.
pub(super) struct Init<'a> {
    rng: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> Init<'a> {
    pub(super) fn new(seed: u64, device: &'a Device) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), device }
    }

    /// He et al. 2015 for a leaky ReLU of slope 0.01, as PyTorch's `kaiming_normal_(a=0.01)` has it:
    /// variance 2 / (1 + 0.01²) / fan-in, where fan-in is the second axis times the kernel.
    pub(super) fn kaiming_normal(&mut self, shape: [usize; 5]) -> Param<Tensor<5>> {
        let fan_in: usize = shape[1..].iter().product();
        #[allow(clippy::cast_precision_loss, reason = "a fan-in is a small number")]
        let deviation = (2.0 / (1.0 + 0.01 * 0.01) / fan_in as f64).sqrt();
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.normal(deviation)).collect();
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    pub(super) fn constant(&self, value: f32, length: usize) -> Param<Tensor<1>> {
        Param::from_data(TensorData::new(vec![value; length], [length]), self.device)
    }

    /// Box and Muller 1958, the cosine half.
    fn normal(&mut self, deviation: f64) -> f32 {
        let radius = (-2.0 * self.open_unit().ln()).sqrt();
        let angle = TAU * self.open_unit();
        #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
        let value = (deviation * radius * angle.cos()) as f32;
        value
    }

    /// A number above 0 and below 1, from the upper 53 bits of a draw.
    fn open_unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let upper = (self.rng.next_u64() >> 11) as f64;
        (upper + 0.5) * STEP
    }
}
