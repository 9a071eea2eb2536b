//! Varying patches, so that a network learns what does not matter.

use ndarray::{ArrayViewMut, Axis, Dimension};
use rand::{Rng, RngExt};
use segmenter_core::Space;
use serde::{Deserialize, Serialize};

use crate::{ConfigFault, config::is_share, patch::Patch};

/// How patches are varied. Flips and turns move the image, its target and the mask of counted voxels
/// alike; the others change intensities, of which they see the scaled ones (mean 0, deviation 1 over
/// the image).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Chance of mirroring along each axis.
    pub flip: f64,
    /// Chance of turning by 90° in the plane; only where the patch is square there.
    pub turn: f64,
    /// Chance of bending intensities between the patch's smallest and largest by a power.
    pub gamma: f64,
    /// The power is from 1 / (1 + this) to 1 + this.
    pub gamma_range: f64,
    /// Chance of scaling and shifting intensities.
    pub contrast: f64,
    /// The factor is from 1 - this to 1 + this, and the shift from -this to this.
    pub contrast_range: f64,
    /// Chance of adding Gaussian noise.
    pub noise: f64,
    /// The noise has a standard deviation from 0 to this.
    pub noise_range: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip: 0.5,
            turn: 0.5,
            gamma: 0.3,
            gamma_range: 0.5,
            contrast: 0.3,
            contrast_range: 0.25,
            noise: 0.2,
            noise_range: 0.2,
        }
    }
}

impl Augmentation {
    /// Patches as they are.
    #[must_use]
    pub fn none() -> Self {
        Self { flip: 0.0, turn: 0.0, gamma: 0.0, contrast: 0.0, noise: 0.0, ..Self::default() }
    }

    pub(crate) fn faults(&self) -> Vec<ConfigFault> {
        let chances = [
            ("augmentation.flip", self.flip),
            ("augmentation.turn", self.turn),
            ("augmentation.gamma", self.gamma),
            ("augmentation.contrast", self.contrast),
            ("augmentation.noise", self.noise),
        ];
        let ranges = [
            ("augmentation.gamma_range", self.gamma_range),
            ("augmentation.contrast_range", self.contrast_range),
            ("augmentation.noise_range", self.noise_range),
        ];
        let fault = |(field, value): (&'static str, f64), needed| ConfigFault {
            field,
            found: value.to_string(),
            needed,
        };
        let bad_chances = chances.into_iter().filter(|(_, chance)| !is_share(*chance));
        let bad_ranges =
            ranges.into_iter().filter(|(_, range)| !(range.is_finite() && *range >= 0.0));
        bad_chances
            .map(|chance| fault(chance, "from 0 to 1"))
            .chain(bad_ranges.map(|range| fault(range, "0 or more")))
            .collect()
    }

    /// Varies one patch. Draws the same numbers whatever the patch holds.
    pub(crate) fn apply<S: Space>(&self, patch: &mut Patch<S>, rng: &mut impl Rng) {
        for axis in 0..S::RANK {
            if rng.random_bool(self.flip) {
                patch.each(|array| array.invert_axis(Axis(axis + 1)));
            }
        }
        let square = patch.extent().as_ref().last_chunk().is_some_and(|[y, x]| y == x);
        if rng.random_bool(self.turn) && square {
            patch.each(|array| array.swap_axes(S::RANK - 1, S::RANK));
        }
        patch.make_contiguous();
        for channel in patch.raw.axis_iter_mut(Axis(0)) {
            self.vary_intensities(channel, rng);
        }
    }

    fn vary_intensities<D: Dimension>(
        &self,
        mut channel: ArrayViewMut<'_, f32, D>,
        rng: &mut impl Rng,
    ) {
        if rng.random_bool(self.gamma) {
            let bend = rng.random_range(-1.0..=1.0) * (1.0 + self.gamma_range).ln();
            gamma(&mut channel, narrow(bend.exp()));
        }
        if rng.random_bool(self.contrast) {
            let factor = narrow(1.0 + rng.random_range(-1.0..=1.0) * self.contrast_range);
            let shift = narrow(rng.random_range(-1.0..=1.0) * self.contrast_range);
            channel.mapv_inplace(|value| value * factor + shift);
        }
        if rng.random_bool(self.noise) {
            let deviation = narrow(rng.random_range(0.0..=1.0) * self.noise_range);
            channel.mapv_inplace(|value| value + deviation * normal(rng));
        }
    }
}

fn gamma<D: Dimension>(channel: &mut ArrayViewMut<'_, f32, D>, power: f32) {
    let (low, high) = channel
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    let range = high - low;
    if range > 0.0 {
        channel.mapv_inplace(|value| ((value - low) / range).powf(power) * range + low);
    }
}

/// Nearly normal, quickly: the sum of four uniform numbers, scaled to variance 1 (Irwin and Hall).
fn normal(rng: &mut impl Rng) -> f32 {
    const SCALE: f32 = 1.732_050_8;
    let bits = rng.next_u64();
    let sum: f32 = (0..4_u32).map(|part| f32::from(sixteen_bits(bits, part)) / 65_536.0).sum();
    (sum - 2.0) * SCALE
}

#[allow(clippy::cast_possible_truncation, reason = "16 bits are wanted")]
fn sixteen_bits(bits: u64, part: u32) -> u16 {
    (bits >> (16 * part)) as u16
}

#[allow(clippy::cast_possible_truncation, reason = "intensities are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
