//! The same gradients as PyTorch, which computed them in double precision, for every parameter of
//! networks that MONAI made: `scripts/monai_gradients.py` says of what.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, and numbers are small"
)]

use std::path::{Path, PathBuf};

use segmenter_core::{Space, io::npy};
use segmenter_model::{
    AnyModel, Model, Precision,
    burn::{
        module::{Module, ModuleVisitor, Param},
        tensor::{Device, Gradients, Tensor, TensorData},
    },
    tensor,
};

/// How far a gradient is off.
#[derive(Debug)]
struct Difference {
    name: String,
    /// The largest difference, and the largest number.
    largest: [f32; 2],
    /// The sum of the squared differences, and that of the squared numbers.
    squares: [f32; 2],
}

struct Comparison<'a> {
    path: Vec<String>,
    file: &'a Path,
    gradients: &'a Gradients,
    differences: Vec<Difference>,
}

impl ModuleVisitor for Comparison<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let found = param.val().grad(self.gradients).expect("a gradient");
        self.differences.push(difference(&found.into_data(), self.file, &name));
    }
}

fn difference(found: &TensorData, file: &Path, name: &str) -> Difference {
    let found = found.clone().try_to_vec::<f32>().unwrap();
    let expected = npy::read_npz_f32(file, name).unwrap();
    assert_eq!(found.len(), expected.len(), "{name}");
    let differences = || found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let worse = |most: f32, by: f32| if by > most || by.is_nan() { by } else { most };
    Difference {
        name: name.to_owned(),
        largest: [
            differences().fold(0.0, worse),
            expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs())),
        ],
        squares: [
            differences().map(|by| by * by).sum(),
            expected.iter().map(|value| value * value).sum(),
        ],
    }
}

fn differences<S: Space>(model: Model<S>, case: &Path, precision: Precision) -> Vec<Difference> {
    let device = Device::flex().autodiff();
    let network = model.with_precision(precision).into_network().train();
    let x = npy::read_npz_f32(case.with_extension("npz"), "x").unwrap();
    let x = x.into_dimensionality::<S::ChannelDim>().unwrap();
    let x = tensor::batch::<S>(&[x.view()], &device).require_grad();
    let logits = network.forward(x.clone());
    let shape = logits.dims();
    let factor = |at: usize| (0.37 * at as f64).cos() as f32;
    let factors = (0..shape.iter().product()).map(factor).collect::<Vec<_>>();
    let gradients =
        (logits * Tensor::from_data(TensorData::new(factors, shape), &device)).sum().backward();
    let file = case.with_extension("gradients.npz");
    let mut comparison = Comparison {
        path: Vec::new(),
        file: &file,
        gradients: &gradients,
        differences: Vec::new(),
    };
    network.visit(&mut comparison);
    let of_x = difference(&x.grad(&gradients).unwrap().into_data(), &file, "x");
    comparison.differences.push(of_x);
    assert!(comparison.differences.len() > 20);
    comparison.differences
}

fn check(precision: Precision, judge: impl Fn(&str, &[Difference])) {
    let folder: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../segmenter-predict/tests/fixtures/monai");
    for name in ["volume_flat", "volume_flat_plain", "plane_channels", "same_width", "trans_bias"] {
        let case = folder.join(name).with_extension("ckpt");
        let differences = match AnyModel::load(&case, &Device::flex()).unwrap() {
            AnyModel::Yx(model) => differences(model, &case, precision),
            AnyModel::Zyx(model) => differences(model, &case, precision),
        };
        judge(name, &differences);
    }
}

#[test]
fn every_gradient_is_pytorchs() {
    check(Precision::F32, |case, differences| {
        // A kernel of one weight ahead of a normalisation: what it is makes no difference, and its
        // gradient is nothing but roundings.
        let meaningful = |one: &&Difference| one.name != "input_block.conv3.conv.weight";
        for Difference { name, largest: [off, largest], .. } in
            differences.iter().filter(meaningful)
        {
            assert!(off / largest < 2e-5, "{case}: {name} is off by {off:e} of {largest:e}");
        }
    });
}

/// Values of 8 bits are off by up to 1/512 each; these networks' weights are random and their
/// images tiny, so that it adds up. PyTorch's own autocast is off by 0.11 to 0.18 here.
#[test]
fn in_bf16_the_gradient_as_a_whole_is_near_pytorchs() {
    check(Precision::Bf16, |case, differences| {
        let sum = |which: usize| differences.iter().map(|one| one.squares[which]).sum::<f32>();
        let off = (sum(0) / sum(1)).sqrt();
        println!("{case}: {off}");
        assert!(off < 0.2, "{case}: the gradient is off by {off}");
    });
}
