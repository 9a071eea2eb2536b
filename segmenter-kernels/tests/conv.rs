//! Convolutions and their gradients against sums in double precision, over random shapes, on every
//! kind of processor that this one is of.

use proptest::{prelude::*, test_runner::RngSeed};
use segmenter_kernels::{Conv, Input, Precision, Processor, Settings, Threads};

/// A convolution with everything that it needs, all of it made of small numbers.
#[derive(Clone, Debug)]
struct Case {
    conv: Conv,
    extent: [usize; 3],
    seed: u64,
}

fn axis() -> impl Strategy<Value = (usize, usize, usize)> {
    (1..=3_usize, 1..=3_usize)
        .prop_flat_map(|(kernel, stride)| (Just(kernel), Just(stride), 0..kernel))
}

fn case() -> impl Strategy<Value = Case> {
    let channels = prop_oneof![1..=9_usize, Just(16), Just(24)];
    let extents =
        (1..=5_usize, prop_oneof![1..=9_usize, Just(17)], prop_oneof![1..=40_usize, Just(64)]);
    ([channels.clone(), channels], [axis(), axis(), axis()], extents, any::<u64>()).prop_map(
        |(channels, axes, (z, y, x), seed)| {
            let [kernel, stride, padding] =
                [axes.map(|axis| axis.0), axes.map(|axis| axis.1), axes.map(|axis| axis.2)];
            let extent = [z, y, x];
            // An image is no smaller than the kernel without its padding.
            let extent = std::array::from_fn(|axis| {
                extent[axis].max(kernel[axis].saturating_sub(2 * padding[axis]))
            });
            Case { conv: Conv { channels, kernel, stride, padding }, extent, seed }
        },
    )
}

/// Numbers around 0 with a standard deviation of about 1, from a multiplicative generator.
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut draw = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..len).map(|_| (draw() + draw() + draw()) * 2.0).collect()
}

fn rounded(values: &[f32]) -> Vec<f32> {
    let round = |value: f32| {
        let bits = value.to_bits();
        f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    };
    values.iter().map(|&value| round(value)).collect()
}

/// Calls `with(output, input, weight)` for every product of a convolution.
fn products(case: &Case, mut with: impl FnMut(usize, usize, usize)) {
    let Case { conv, extent, .. } = case;
    let count = conv.output_extent(*extent);
    let index =
        |[z, y, x]: [usize; 3], [_, height, width]: [usize; 3]| (z * height + y) * width + x;
    let places = |extent: [usize; 3]| {
        let [depth, height, width] = extent;
        (0..depth * height * width)
            .map(move |at| [at / (height * width), at / width % height, at % width])
    };
    for to in places(count) {
        for tap in places(conv.kernel) {
            let from: [Option<usize>; 3] = std::array::from_fn(|axis| {
                (to[axis] * conv.stride[axis] + tap[axis])
                    .checked_sub(conv.padding[axis])
                    .filter(|&at| at < extent[axis])
            });
            let [Some(z), Some(y), Some(x)] = from else { continue };
            for output in 0..conv.channels[1] {
                for input in 0..conv.channels[0] {
                    let taps: usize = conv.kernel.iter().product();
                    with(
                        output * count.iter().product::<usize>() + index(to, count),
                        input * extent.iter().product::<usize>() + index([z, y, x], *extent),
                        (output * conv.channels[0] + input) * taps + index(tap, conv.kernel),
                    );
                }
            }
        }
    }
}

/// The largest difference, as a share of the largest value.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(&found, expected)| {
        let difference = (f64::from(found) - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    });
    differences.fold(0.0, f64::max) / largest
}

struct Results {
    forward: Vec<f32>,
    input: Vec<f32>,
    weight: Vec<f32>,
}

fn computed(case: &Case, [image, weight, gradient]: [&[f32]; 3], settings: Settings) -> Results {
    let Case { conv, extent, .. } = *case;
    let [inputs, outputs] = conv.channels;
    let images = [Input::new(image, inputs)];
    let gradients = [Input::new(gradient, outputs)];
    let mut sums = vec![0.0; conv.weights()];
    conv.add_weight_gradient(extent, &images, &gradients, &mut sums, settings);
    Results {
        forward: conv.forward(extent, &images, weight, None, settings),
        input: conv.input_gradient(extent, &gradients, weight, None, settings),
        weight: sums,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_convolution_and_its_gradients_are_the_sums_that_define_them(case in case()) {
        let Case { conv, extent, seed } = case;
        let count = conv.output_extent(extent);
        let [inputs, outputs] = conv.channels;
        let image = noise(seed, inputs * extent.iter().product::<usize>());
        let weight = noise(seed ^ 1 << 20, conv.weights());
        let gradient = noise(seed ^ 1 << 40, outputs * count.iter().product::<usize>());
        for precision in [Precision::F32, Precision::Bf16] {
            let [image, weight, gradient] = match precision {
                Precision::F32 => [image.clone(), weight.clone(), gradient.clone()],
                Precision::Bf16 => [&image, &weight, &gradient].map(|values| rounded(values)),
            };
            let [mut forward, mut input, mut weights] =
                [gradient.len(), image.len(), weight.len()].map(|len| vec![0.0; len]);
            products(&case, |to, from, tap| {
                let [a, b, c] = [image[from], weight[tap], gradient[to]].map(f64::from);
                forward[to] += a * b;
                input[from] += c * b;
                weights[tap] += a * c;
            });
            let mut first: Option<Results> = None;
            for processor in Processor::available() {
                let settings = Settings { precision, threads: Threads::All, processor };
                let results = computed(&case, [&image, &weight, &gradient], settings);
                prop_assert!(error(&results.forward, &forward) < 1e-5, "{processor:?}");
                prop_assert!(error(&results.input, &input) < 1e-5, "{processor:?}");
                prop_assert!(error(&results.weight, &weights) < 1e-5, "{processor:?}");
                let alone = Settings { threads: Threads::One, ..settings };
                let alone = computed(&case, [&image, &weight, &gradient], alone);
                prop_assert_eq!(&results.forward, &alone.forward);
                prop_assert_eq!(&results.input, &alone.input);
                prop_assert_eq!(&results.weight, &alone.weight);
                // Processors that multiply and add in one rounding agree to the bit.
                if processor == Processor::Portable {
                    continue;
                }
                if let Some(first) = &first {
                    prop_assert_eq!(&results.forward, &first.forward);
                    prop_assert_eq!(&results.input, &first.input);
                    prop_assert_eq!(&results.weight, &first.weight);
                }
                first.get_or_insert(results);
            }
        }
    }
}
