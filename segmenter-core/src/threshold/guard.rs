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
    /// Noise reaches 0.8 (normal) to 4.9 (exponential), and sparse bright objects start at about 5:
    /// of 70 images of nuclei one is below.
    /// Noise of a heavier tail than the exponential (a gamma of shape ½ or a log-normal of σ = 1 reach
    /// 12) passes as foreground.
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
    /// the brighter has foreground in it. It is at least that of rounding to bins, their width over √12.
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
