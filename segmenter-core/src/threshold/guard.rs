//! Whether there is foreground at all.

use super::Histogram;

/// Whether the values of a histogram are more than noise; see [`Histogram::foreground`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Foreground {
    /// What is above the threshold stands out of the background.
    Found {
        /// How far, in standard deviations of the background.
        contrast: f64,
    },
    /// What is above the threshold is as near as the tail of noise would be.
    NotFound {
        /// How far, in standard deviations of the background.
        contrast: f64,
    },
}

impl Foreground {
    /// How many standard deviations of the background foreground has to stand out.
    ///
    /// It was chosen on the images that it is measured on, so expect somewhat worse on others. Of 200
    /// images of noise each, none has foreground that is normal, uniform, Rayleigh, Poisson, gamma of
    /// shape 2 or log-normal of σ = ½ (contrasts of up to 3.8); 66 that are exponential have, and all
    /// that are log-normal of σ = 1. All of 68 planes of nuclei have foreground, but neither of two
    /// volumes crowded with them (1.8 and 2.5): see [`Histogram::foreground`].
    pub const CONTRAST: f64 = 5.0;

    /// The contrast that the verdict is based on.
    #[must_use]
    pub fn contrast(&self) -> f64 {
        match *self {
            Self::Found { contrast } | Self::NotFound { contrast } => contrast,
        }
    }

    /// Whether there is foreground.
    #[must_use]
    pub fn is_found(&self) -> bool {
        matches!(self, Self::Found { .. })
    }
}

impl Histogram {
    /// Whether there is bright foreground, which a histogram method would else invent in noise: how far
    /// the mean above Otsu's threshold is from the median, in standard deviations of the background.
    ///
    /// Background is taken to be most of the image, and its standard deviation is the distance from the
    /// 5th percentile to the median over 1.645, as for normal noise: its darker half, because
    /// the brighter has foreground in it. So this is for sparse objects: where foreground is about half of
    /// the image or blurs into the background, it is taken for noise. The standard deviation is at least that of rounding to bins, their width over √12.
    ///
    /// ```
    /// use segmenter_core::threshold::Histogram;
    ///
    /// let noise = [8_u8, 9, 9, 10, 10, 10, 10, 11, 11, 12];
    /// assert!(!Histogram::of(noise)?.foreground().is_found());
    /// let cells = [8_u8, 9, 9, 10, 10, 10, 10, 11, 11, 90];
    /// assert!(Histogram::of(cells)?.foreground().is_found());
    /// # Ok::<(), segmenter_core::threshold::ThresholdError>(())
    /// ```
    #[must_use]
    pub fn foreground(&self) -> Foreground {
        let contrast = self.contrast();
        if contrast > Foreground::CONTRAST {
            Foreground::Found { contrast }
        } else {
            Foreground::NotFound { contrast }
        }
    }

    fn contrast(&self) -> f64 {
        if self.bins.len() == 1 {
            return 0.0;
        }
        let threshold = self.otsu();
        let above = self.bins.iter().filter(|bin| bin.value > threshold);
        let (count, sum) = above.fold((0.0, 0.0), |(count, sum), bin| {
            let here = bin.count as f64;
            (count + here, sum + here * bin.value)
        });
        let median = self.quantile(0.5);
        let spread = (median - self.quantile(0.05)) / 1.645;
        (sum / count - median) / spread.max(self.bin_width() / 12_f64.sqrt())
    }

    /// The lowest value that at least this share of the values does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let (needed, mut below) = (self.total as f64 * share, 0);
        let found = self.bins.iter().find(|bin| {
            below += bin.count;
            below as f64 >= needed
        });
        found.unwrap_or(&self.bins[self.bins.len() - 1]).value
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Images of each kind, of 64 by 64 pixels.
    const IMAGES: u64 = 200;

    type Noise = fn(&mut ChaCha8Rng) -> f64;

    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        1.0 - random.random::<f64>()
    }

    fn exponential(random: &mut ChaCha8Rng) -> f64 {
        -uniform(random).ln()
    }

    /// Box and Muller's.
    fn normal(random: &mut ChaCha8Rng) -> f64 {
        (2.0 * exponential(random)).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
    }

    /// Knuth's: how many exponential waits fit.
    fn poisson(random: &mut ChaCha8Rng, mean: f64) -> f64 {
        let mut waited = exponential(random);
        let mut events = 0.0;
        while waited < mean {
            waited += exponential(random);
            events += 1.0;
        }
        events
    }

    /// How many images of noise have foreground, as numbers with a fraction and as counts, and the
    /// largest contrast.
    fn found(noise: Noise) -> (usize, f64) {
        let (mut found, mut largest) = (0, 0.0_f64);
        for seed in 0..IMAGES {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let values: Vec<f64> = (0..4096).map(|_| noise(&mut random)).collect();
            let counts = values.iter().all(|value| value.fract() == 0.0);
            #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
            let histogram = if counts {
                Histogram::of(values.iter().map(|&value| value as i32))
            } else {
                Histogram::of(values.iter().map(|&value| value as f32))
            };
            let verdict = histogram.unwrap().foreground();
            found += usize::from(verdict.is_found());
            largest = largest.max(verdict.contrast());
        }
        (found, largest)
    }

    #[test]
    fn noise_has_no_foreground() {
        let kinds: [(&str, Noise); 10] = [
            ("normal", normal),
            ("normal, 8 bits", |random| (100.0 + 10.0 * normal(random)).round()),
            ("uniform", uniform),
            ("Rayleigh", |random| exponential(random).sqrt()),
            ("gamma of shape 2", |random| exponential(random) + exponential(random)),
            ("log-normal of σ = 1/2", |random| (normal(random) / 2.0).exp()),
            ("Poisson of mean 1/10", |random| poisson(random, 0.1)),
            ("Poisson of mean 1", |random| poisson(random, 1.0)),
            ("Poisson of mean 10", |random| poisson(random, 10.0)),
            ("camera", |random| (100.0 + 3.0 * (poisson(random, 5.0) + normal(random))).round()),
        ];
        let alarms = kinds.map(|(kind, noise)| (kind, found(noise)));
        println!("found in {IMAGES} images each, and largest contrast: {alarms:?}");
        println!("exponential: {:?}", found(exponential));
        println!("log-normal of σ = 1: {:?}", found(|random| normal(random).exp()));
        assert!(alarms.iter().all(|(_, (found, _))| *found == 0), "{alarms:?}");
    }
}
