//! Bringing intensities to the scale that a network was trained on.

use ndarray::{ArrayViewMut, Axis, RemoveAxis};
use segmenter_core::{ReadError, Source, Space, Window};
use serde::{Deserialize, Serialize};

/// How intensities are scaled before they reach the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Normalisation {
    /// Each channel of each image gets mean 0 and standard deviation 1 over the whole image, with
    /// the population's standard deviation; a constant channel becomes 0.
    #[default]
    ZScore,
    /// The same mean and standard deviation for every image, one a channel: for images whose
    /// absolute intensities mean something.
    Fixed(Scaling),
}

/// A mean and a standard deviation a channel: `(intensity - mean) / deviation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What becomes 0.
    pub mean: Vec<f32>,
    /// What becomes 1 from there.
    pub deviation: Vec<f32>,
}

impl Normalisation {
    /// What to scale an image by. Reads the image once, slice by slice.
    ///
    /// # Errors
    /// If the image can't be read.
    pub fn scaling<S: Space>(&self, image: &dyn Source<S, f32>) -> Result<Scaling, ReadError> {
        match self {
            Self::ZScore => Scaling::of(image),
            Self::Fixed(scaling) => Ok(scaling.clone()),
        }
    }
}

impl Scaling {
    /// Mean and standard deviation of each channel of an image.
    ///
    /// The sums are taken in `f64` in one pass, of differences from the first slice's mean, so that
    /// a small contrast on a large offset keeps its digits.
    fn of<S: Space>(image: &dyn Source<S, f32>) -> Result<Self, ReadError> {
        let mut moments = vec![Moments::default(); image.channels()];
        for slice in Window::<S>::slices(image.extent()) {
            let pixels = image.read(&slice)?;
            for (moments, channel) in moments.iter_mut().zip(pixels.axis_iter(Axis(0))) {
                moments.add(channel.iter().copied());
            }
        }
        Ok(Self {
            mean: moments.iter().map(Moments::mean).collect(),
            deviation: moments.iter().map(Moments::deviation).collect(),
        })
    }

    /// Scales pixels in place. Channels beyond the last mean are left as they are.
    pub fn apply<D: RemoveAxis>(&self, mut pixels: ArrayViewMut<'_, f32, D>) {
        let scales = self.mean.iter().zip(&self.deviation);
        for (mut channel, (&mean, &deviation)) in pixels.axis_iter_mut(Axis(0)).zip(scales) {
            let divisor = if deviation > 0.0 { deviation } else { 1.0 };
            channel.mapv_inplace(|value| (value - mean) / divisor);
        }
    }
}

/// Sums of one channel, of differences from `origin`.
#[derive(Clone, Default)]
struct Moments {
    origin: Option<f64>,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, values: impl Iterator<Item = f32> + Clone) {
        let origin = *self.origin.get_or_insert_with(|| plain_mean(values.clone()));
        for value in values {
            let difference = f64::from(value) - origin;
            self.count += 1.0;
            self.sum += difference;
            self.squares += difference * difference;
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "intensities are f32")]
    fn mean(&self) -> f32 {
        (self.origin.unwrap_or(0.0) + self.sum / self.count.max(1.0)) as f32
    }

    #[allow(clippy::cast_possible_truncation, reason = "intensities are f32")]
    fn deviation(&self) -> f32 {
        let count = self.count.max(1.0);
        let mean = self.sum / count;
        (self.squares / count - mean * mean).max(0.0).sqrt() as f32
    }
}

fn plain_mean(values: impl Iterator<Item = f32>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + f64::from(value)));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array3, array};
    use segmenter_core::{Stack2, Stack3};

    use super::*;

    /// numpy 2: `np.mean([1, 2, 3, 4, 6])`, `np.std` of the same.
    #[test]
    fn z_score_takes_the_populations_deviation_as_numpy_does() {
        let scaling = Scaling::of(&Stack2::new(array![[1_u8, 2, 3], [4, 6, 2]])).unwrap();
        assert_relative_eq!(scaling.mean[0], 3.0);
        assert_relative_eq!(scaling.deviation[0], 1.632_993_2);
    }

    #[test]
    fn a_small_contrast_on_a_large_offset_keeps_its_digits() {
        let pixels = Array3::from_shape_fn((4, 64, 64), |(z, y, x)| {
            60_000.0 + if (z + y + x) % 2 == 0 { 0.5 } else { -0.5 }
        });
        let scaling = Scaling::of(&Stack3::new(pixels)).unwrap();
        assert_relative_eq!(scaling.deviation[0], 0.5, max_relative = 1e-6);
    }

    #[test]
    fn a_constant_channel_becomes_zero() {
        let scaling = Scaling::of(&Stack2::new(array![[7_u16, 7], [7, 7]])).unwrap();
        let mut pixels = array![[[7.0_f32, 7.0]]];
        scaling.apply(pixels.view_mut());
        assert_eq!(pixels, array![[[0.0, 0.0]]]);
    }
}
