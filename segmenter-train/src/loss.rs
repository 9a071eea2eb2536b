//! What training minimises.

use burn::tensor::{
    Tensor,
    activation::{relu, sigmoid},
};
use serde::{Deserialize, Serialize};

/// Keeps the Dice of nothing against nothing at 1, as MONAI's `DiceLoss` does.
const SMOOTH: f64 = 1e-5;

/// What training minimises. In each of them but the last a voxel that does not count contributes
/// nothing: neither to the value nor to a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// 1 - Dice of probabilities against the target, of each patch on its own, averaged (Milletari
    /// et al. 2016, without squares).
    Dice,
    /// The mean binary cross-entropy over the counted voxels of the batch.
    CrossEntropy,
    /// The sum of both: Dice looks at the object as a whole, cross-entropy at each voxel.
    #[default]
    DiceCrossEntropy,
    /// The Dice of the reference, MONAI's `MaskedDiceLoss(sigmoid=True)`: the mask is put onto the
    /// logits, whose sigmoid is then ½, so that each voxel that does not count adds ½ to the
    /// denominator ([MONAI issue 8655](https://github.com/Project-MONAI/MONAI/issues/8655)). A
    /// perfect prediction of a patch of which a quarter is excluded does not score 0. For comparing
    /// with models of CytoDL, not for making better ones.
    MaskedLogitsDice,
}

impl Loss {
    /// The loss of a batch, as a tensor of one number.
    ///
    /// # Shapes
    /// - logits, target, counted: `[batch, channels, z, y, x]`; target and counted hold 0 and 1, and
    ///   `counted` may have one channel for all
    /// - output: `[1]`
    #[must_use]
    pub fn forward(&self, logits: Tensor<5>, target: Tensor<5>, counted: Tensor<5>) -> Tensor<1> {
        match self {
            Self::Dice => dice(logits, target, counted),
            Self::CrossEntropy => cross_entropy(logits, target, counted),
            Self::DiceCrossEntropy => {
                dice(logits.clone(), target.clone(), counted.clone())
                    + cross_entropy(logits, target, counted)
            }
            Self::MaskedLogitsDice => {
                let everywhere = counted.ones_like();
                dice(logits * counted.clone(), target * counted, everywhere)
            }
        }
    }
}

fn dice(logits: Tensor<5>, target: Tensor<5>, counted: Tensor<5>) -> Tensor<1> {
    let [batch, channels, ..] = logits.dims();
    let sums = |values: Tensor<5>| -> Tensor<2> {
        let [_, _, z, y, x] = values.dims();
        values.reshape([batch * channels, z * y * x]).sum_dim(1)
    };
    let found = sigmoid(logits) * counted.clone();
    let target = target * counted;
    let shared = sums(found.clone() * target.clone());
    let dice = (shared * 2.0 + SMOOTH) / (sums(found) + sums(target) + SMOOTH);
    (-dice + 1.0).mean()
}

/// max(x, 0) - x·y + ln(1 + exp(-|x|)), which neither overflows nor cancels.
fn cross_entropy(logits: Tensor<5>, target: Tensor<5>, counted: Tensor<5>) -> Tensor<1> {
    let [_, channels, ..] = logits.dims();
    let [_, counted_channels, ..] = counted.dims();
    #[allow(clippy::cast_precision_loss, reason = "a number of channels")]
    let repeats = (channels / counted_channels) as f64;
    let number = counted.clone().sum() * repeats;
    let tail = (-logits.clone().abs()).exp().log1p();
    let each = relu(logits.clone()) - logits * target + tail;
    (each * counted).sum() / number.clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn row(values: &[f32], device: &Device) -> Tensor<5> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 1, 1, values.len()]), device)
    }

    fn value(loss: Loss, logits: &[f32], target: &[f32], counted: &[f32]) -> f32 {
        let device = Device::flex();
        let [logits, target, counted] = [logits, target, counted].map(|v| row(v, &device));
        loss.forward(logits, target, counted).into_scalar::<f32>()
    }

    const ALL: [Loss; 3] = [Loss::Dice, Loss::CrossEntropy, Loss::DiceCrossEntropy];

    /// By hand: probabilities ½, ½, so Dice is (2·½) / (1 + 1); cross-entropy is ln 2.
    #[test]
    fn an_undecided_network_scores_half_and_ln_2() {
        assert_relative_eq!(
            value(Loss::Dice, &[0.0, 0.0], &[1.0, 0.0], &[1.0, 1.0]),
            0.5,
            max_relative = 1e-4
        );
        assert_relative_eq!(
            value(Loss::CrossEntropy, &[0.0, 0.0], &[1.0, 0.0], &[1.0, 1.0]),
            std::f32::consts::LN_2
        );
    }

    #[test]
    fn a_perfect_prediction_scores_nothing_however_much_is_excluded() {
        for loss in ALL {
            let found = value(
                loss,
                &[40.0, -40.0, 3.0, -9.0],
                &[1.0, 0.0, 0.0, 1.0],
                &[1.0, 1.0, 0.0, 0.0],
            );
            assert!(found.abs() < 1e-4, "{loss:?}: {found}");
        }
    }

    #[test]
    fn what_is_excluded_changes_neither_the_value_nor_any_gradient() {
        let device = Device::flex().autodiff();
        for loss in ALL {
            let run = |excluded: f32, target: f32| {
                let logits = row(&[0.3, -1.2, excluded, 2.0], &device).require_grad();
                let target = row(&[1.0, 0.0, target, 1.0], &device);
                let counted = row(&[1.0, 1.0, 0.0, 1.0], &device);
                let value = loss.forward(logits.clone(), target, counted);
                let gradients = value.backward();
                let gradient = logits.grad(&gradients).unwrap().into_data();
                (value.into_scalar::<f32>(), gradient.try_to_vec::<f32>().unwrap())
            };
            let (value, gradient) = run(0.0, 0.0);
            assert_eq!(gradient[2], 0.0, "{loss:?}");
            assert_eq!(run(50.0, 1.0), (value, gradient), "{loss:?}");
        }
    }

    #[test]
    fn a_batch_of_which_nothing_counts_has_no_gradient_and_no_nan() {
        let device = Device::flex().autodiff();
        for loss in ALL {
            let logits = row(&[0.3, -1.2], &device).require_grad();
            let nothing = row(&[0.0, 0.0], &device);
            let value = loss.forward(logits.clone(), row(&[1.0, 0.0], &device), nothing);
            let gradients = value.backward();
            let gradient = logits.grad(&gradients).unwrap().into_data();
            assert_eq!(gradient.try_to_vec::<f32>().unwrap(), [0.0, 0.0]);
            assert_eq!(value.into_scalar::<f32>(), 0.0, "{loss:?}");
        }
    }

    #[test]
    fn large_logits_overflow_nothing() {
        let found = value(Loss::CrossEntropy, &[1e4, -1e4], &[0.0, 1.0], &[1.0, 1.0]);
        assert_relative_eq!(found, 1e4);
    }
}
