//! Instance normalisation and its gradients against the formulas in double precision.

use proptest::{prelude::*, test_runner::RngSeed};
use segmenter_kernels::{InstanceNorm, Processor, Settings, Threads};

const EPSILON: f64 = 1e-5;

/// Numbers around `mean` with a standard deviation of about 1, from a multiplicative generator.
fn noise(seed: u64, len: usize, mean: f32) -> Vec<f32> {
    let mut state = seed | 1;
    let mut draw = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..len).map(|_| (draw() + draw() + draw()) * 2.0 + mean).collect()
}

fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(&found, expected)| {
        let difference = (f64::from(found) - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    });
    differences.fold(0.0, f64::max) / largest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_normalisation_and_its_gradients_are_the_formulas_that_define_them(
        // Fewer voxels may by chance be nearly equal, and what is left of them after the mean is
        // taken off is then the rounding of it.
        (batch, channels, voxels) in (1..=3_usize, 1..=5_usize, 8..=3000_usize),
        (with_residual, slope) in (any::<bool>(), prop_oneof![Just(0.01_f32), Just(1.0), Just(0.0)]),
        seed in any::<u64>(),
    ) {
        let len = batch * channels * voxels;
        let input = noise(seed, len, 0.7);
        let residual = noise(seed ^ 1 << 20, len, 0.0);
        let gradient = noise(seed ^ 1 << 30, len, 0.1);
        let scale = noise(seed ^ 1 << 40, channels, 1.0);
        let offset = noise(seed ^ 1 << 50, channels, 0.2);

        // The formulas of Ioffe and Szegedy 2015, each channel of each image on its own.
        let [mut output, mut to_input, mut to_residual] = [(); 3].map(|()| vec![0.0; len]);
        let mut nearest = f64::INFINITY;
        let [mut to_scale, mut to_offset] = [(); 2].map(|()| vec![0.0; channels]);
        let count = voxels as f64;
        for at in 0..batch * channels {
            let here = at * voxels..(at + 1) * voxels;
            let [factor, shift] = [scale[at % channels], offset[at % channels]].map(f64::from);
            let mean = input[here.clone()].iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            let squares = input[here.clone()].iter().map(|&v| (f64::from(v) - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count + EPSILON).sqrt();
            let normal = |at: usize| (f64::from(input[at]) - mean) / deviation;
            for at in here.clone() {
                let before = normal(at) * factor + shift;
                let before = if with_residual { before + f64::from(residual[at]) } else { before };
                nearest = nearest.min(before.abs());
                let negative = before < 0.0;
                output[at] = if negative { before * f64::from(slope) } else { before };
                to_residual[at] =
                    f64::from(gradient[at]) * if before > 0.0 { 1.0 } else { f64::from(slope) };
            }
            let sum: f64 = here.clone().map(|at| to_residual[at]).sum();
            let product: f64 = here.clone().map(|at| to_residual[at] * normal(at)).sum();
            to_offset[at % channels] += sum;
            to_scale[at % channels] += product;
            for at in here {
                to_input[at] = factor / deviation
                    * (to_residual[at] - sum / count - normal(at) * product / count);
            }
        }

        let norm = InstanceNorm { scale: &scale, offset: &offset, epsilon: EPSILON, slope };
        let added = with_residual.then_some(&residual[..]);
        for processor in Processor::available() {
            let settings = Settings { processor, threads: Threads::All, ..Settings::default() };
            let (found, moments) = norm.forward(&input, added, voxels, settings);
            prop_assert!(error(&found, &output) < 1e-5, "{processor:?}");
            // Where a value is nothing but a rounding away from 0, so is what it lets through.
            prop_assume!(nearest > 1e-5);
            let tensors = [&input[..], &found, &gradient];
            let back = norm.gradients(tensors, &moments, with_residual, settings);
            prop_assert!(error(&back.input, &to_input) < 1e-5, "{processor:?}");
            prop_assert!(error(&back.scale, &to_scale) < 1e-5, "{processor:?}");
            prop_assert!(error(&back.offset, &to_offset) < 1e-5, "{processor:?}");
            if let Some(residual) = &back.residual {
                prop_assert!(error(residual, &to_residual) < 1e-5, "{processor:?}");
            }
            prop_assert_eq!(back.residual.is_some(), with_residual);
            let alone = Settings { threads: Threads::One, ..settings };
            prop_assert_eq!(&norm.forward(&input, added, voxels, alone).0, &found);
            let again = norm.gradients(tensors, &moments, with_residual, alone);
            prop_assert_eq!(again.input, back.input);
            prop_assert_eq!(again.scale, back.scale);
        }
    }
}
