//! One figure at a time, for `scripts/against_pytorch.py`, which runs PyTorch in turn with it.
//!
//! `steps train DIMS SIZE EXTENT BATCH PRECISION REPEATS` prints the seconds of each training step
//! after two for warming up; `steps predict DIMS SIZE EXTENT TILE OVERLAP PRECISION REPEATS` those of
//! each prediction of an image. Extents read `16x64x64`. The last line is the peak memory in bytes.

#![allow(clippy::print_stdout, reason = "it is a program")]
#![allow(clippy::unwrap_used, reason = "only the script calls it")]
#![allow(missing_docs, reason = "it is a program")]

mod support;

use std::{hint::black_box, ops::ControlFlow, time::Instant};

use ndarray::Array;
use segmenter::{
    Device, DynUNet, DynUNetConfig, Loss, Model, Precision, Size, Space, Stack, Tiling, Yx, Zyx,
    model::burn::{
        module::Module,
        optim::{AdamConfig, GradientsParams},
        tensor::{Distribution, Tensor},
    },
    predict,
};

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["train", "2", ref rest @ ..] => train::<Yx>(rest),
        ["train", "3", ref rest @ ..] => train::<Zyx>(rest),
        ["predict", "2", ref rest @ ..] => predict_image::<Yx>(rest),
        ["predict", "3", ref rest @ ..] => predict_image::<Zyx>(rest),
        // `cargo test --benches` and `cargo bench` call it without words.
        _ => return,
    }
    println!("{}", support::peak());
}

fn size(word: &str) -> Size {
    match word {
        "small" => Size::Small,
        "medium" => Size::Medium,
        _ => Size::Large,
    }
}

fn precision(word: &str) -> Precision {
    match word {
        "bf16" => Precision::Bf16,
        _ => Precision::F32,
    }
}

fn extent<S: Space>(word: &str) -> S::Extent {
    let sizes: Vec<usize> = word.split('x').map(|size| size.parse().unwrap()).collect();
    S::extent_from_fn(|axis| sizes[axis])
}

fn train<S: Space>(words: &[&str]) {
    let &[network, patch, batch, numbers, repeats] = words else { panic!("six words") };
    let device = Device::flex().autodiff();
    let [z, y, x] = S::to_zyx(extent::<S>(patch));
    let shape = [batch.parse().unwrap(), 1, z, y, x];
    let config = DynUNetConfig::<S>::of_size(size(network));
    let mut network = DynUNet::new(&config, 0, &Device::flex()).unwrap().train();
    network = network.with_precision(precision(numbers));
    let mut optimiser = AdamConfig::new().init();
    let input = Tensor::<5>::random(shape, Distribution::Default, &device);
    let target =
        Tensor::<5>::random(shape, Distribution::Default, &device).greater_elem(0.5).float();
    let counted = target.ones_like();
    for step in 0..2 + repeats.parse::<usize>().unwrap() {
        let began = Instant::now();
        let logits = network.forward(input.clone());
        let loss = Loss::Dice.forward(logits, target.clone(), counted.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        black_box(loss.into_scalar::<f32>());
        network = optimiser.step(1e-3, network, gradients);
        if step >= 2 {
            println!("{}", began.elapsed().as_secs_f64());
        }
    }
}

fn predict_image<S: Space>(words: &[&str]) {
    let &[network, image, tile, overlap, numbers, repeats] = words else { panic!("seven words") };
    let tile = extent::<S>(tile);
    let config = DynUNetConfig::<S>::of_size(size(network));
    let model = Model::init(config, tile, 0, &Device::flex()).unwrap();
    let model = model.with_precision(precision(numbers));
    let mut value = 0_u32;
    let image = Array::from_shape_simple_fn(S::dim(extent::<S>(image)), || {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (value >> 8) as f32 / (1 << 24) as f32
    });
    let image = Stack::<S, f32>::new(image);
    let tiling = Tiling::new(tile).with_overlap(overlap.parse().unwrap()).unwrap();
    for _ in 0..repeats.parse::<usize>().unwrap() {
        let began = Instant::now();
        black_box(predict(&model, &image, &tiling, |_| ControlFlow::Continue(())).unwrap());
        println!("{}", began.elapsed().as_secs_f64());
    }
}
