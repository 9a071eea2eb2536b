//! The same losses as MONAI.
//!
//! `ref_{2d,3d}_small.npz` hold logits, a target and a mask, and what MONAI 1.4's
//! `MaskedDiceLoss(sigmoid=True)` makes of them with the mask and without, with its gradient.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use approx::assert_relative_eq;
use segmenter_core::io::npy;
use segmenter_model::burn::tensor::{Device, Tensor, TensorData};
use segmenter_train::Loss;

/// A reference file, if it lies beside this checkout.
fn reference(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/cytodl");
    let path = folder.join("fixtures").join(name);
    if !path.is_file() {
        println!("skipped: the reference files are not beside this checkout");
        return None;
    }
    Some(path)
}

fn tensor(file: &Path, name: &str, device: &Device) -> Tensor<5> {
    let array = npy::read_npz_f32(file, name).unwrap();
    let mut shape = [1; 5];
    shape[5 - array.ndim() + 2..].copy_from_slice(&array.shape()[2..]);
    Tensor::from_data(TensorData::new(array.into_iter().collect::<Vec<f32>>(), shape), device)
}

fn number(file: &Path, name: &str) -> f32 {
    npy::read_npz_f32(file, name).unwrap().into_iter().next().unwrap()
}

fn check(file: &Path) {
    let device = Device::flex().autodiff();
    let logits = tensor(file, "y", &device).require_grad();
    let target = tensor(file, "loss_target", &device);
    let mask = tensor(file, "loss_mask", &device);
    let everywhere = mask.ones_like();
    for loss in [Loss::Dice, Loss::MaskedLogitsDice] {
        let all = loss.forward(logits.clone(), target.clone(), everywhere.clone());
        assert_relative_eq!(
            all.into_scalar::<f32>(),
            number(file, "loss_nomask"),
            max_relative = 1e-6
        );
    }
    let masked = Loss::MaskedLogitsDice.forward(logits.clone(), target.clone(), mask.clone());
    let gradients = masked.backward();
    assert_relative_eq!(masked.into_scalar::<f32>(), number(file, "loss"), max_relative = 1e-6);

    let found = logits.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
    let expected = npy::read_npz_f32(file, "loss_grad").unwrap();
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert_relative_eq!(*found, *expected, epsilon = 1e-5 * largest);
    }
    // What MONAI's mask leaks is why it is not the default.
    let sound = Loss::Dice.forward(logits, target, mask).into_scalar::<f32>();
    assert!(sound < number(file, "loss") - 0.01, "{sound}");
}

#[test]
fn masked_dice_over_planes_is_monais_and_so_is_its_gradient() {
    let Some(file) = reference("ref_2d_small.npz") else { return };
    check(&file);
}

#[test]
fn masked_dice_over_volumes_is_monais_and_so_is_its_gradient() {
    let Some(file) = reference("ref_3d_small.npz") else { return };
    check(&file);
}
