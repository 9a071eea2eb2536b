//! How often which intensities occur, inside the segmentation and outside of it.

use super::plane::Plane;

/// Number of bins: one for each value of 16 bits.
const BINS: usize = 1 << 16;

/// The intensities of a whole image, as bins between its lowest and its highest.
///
/// Whole numbers that span no more than 16 bits have a bin each, so what follows is exact for them.
#[derive(Clone, Debug)]
pub(crate) struct Bins {
    low: f64,
    step: f64,
}

impl Bins {
    pub(crate) fn new(low: f64, high: f64, whole_numbers: bool) -> Self {
        let span = high - low;
        let exact = whole_numbers && span < BINS as f64;
        Self { low, step: if exact || span == 0.0 { 1.0 } else { span / (BINS - 1) as f64 } }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and limited"
    )]
    fn bin(&self, value: f32) -> usize {
        (((f64::from(value) - self.low) / self.step).round() as usize).min(BINS - 1)
    }

    fn value(&self, bin: usize) -> f64 {
        self.low + bin as f64 * self.step
    }
}

/// Counts of the voxels that count.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    bins: Bins,
    inside: Vec<u64>,
    outside: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new(bins: Bins) -> Self {
        Self { bins, inside: vec![0; BINS], outside: vec![0; BINS] }
    }

    pub(crate) fn clear(&mut self) {
        self.inside.fill(0);
        self.outside.fill(0);
    }

    pub(crate) fn add_plane(&mut self, plane: &Plane) {
        let voxels = plane.raw.iter().zip(&plane.inside).zip(&plane.counted);
        for ((&value, &inside), _) in voxels.filter(|(_, counted)| **counted) {
            let counts = if inside { &mut self.inside } else { &mut self.outside };
            counts[self.bins.bin(value)] += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [(&mut self.inside, &other.inside), (&mut self.outside, &other.outside)];
        for (counts, other) in pairs {
            counts.iter_mut().zip(other).for_each(|(count, other)| *count += other);
        }
    }

    /// The probability that a voxel inside is brighter than one outside, where equal ones count half.
    pub(crate) fn separability(&self) -> Option<f64> {
        let (inside, outside) = (total(&self.inside), total(&self.outside));
        let (mut below, mut wins) = (0_u64, 0.0);
        for (&inside, &outside) in self.inside.iter().zip(&self.outside) {
            wins += inside as f64 * (below as f64 + outside as f64 / 2.0);
            below += outside;
        }
        let pairs = inside as f64 * outside as f64;
        (pairs > 0.0).then(|| wins / pairs)
    }

    /// The median of the voxels inside less that of the voxels outside.
    pub(crate) fn signal(&self) -> Option<f64> {
        Some(self.quantile(&self.inside, 0.5)? - self.quantile(&self.outside, 0.5)?)
    }

    /// The intensity below which a share of all voxels lies.
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        self.quantile(&self.all(), share)
    }

    /// The mean of all voxels, limited to a range.
    pub(crate) fn limited_mean(&self, low: f64, high: f64) -> f64 {
        let all = self.all();
        let limited =
            |(bin, &count): (usize, &u64)| self.bins.value(bin).clamp(low, high) * count as f64;
        let occupied = all.iter().enumerate().filter(|(_, count)| **count > 0);
        occupied.map(limited).sum::<f64>() / total(&all).max(1) as f64
    }

    /// The share of voxels as bright as the brightest.
    pub(crate) fn saturated(&self, brightest: f64) -> Option<f64> {
        #[allow(clippy::cast_possible_truncation, reason = "it was one")]
        let bin = self.bins.bin(brightest as f32);
        let all = self.all();
        let total = total(&all);
        (total > 0).then(|| all[bin] as f64 / total as f64)
    }

    /// Otsu's threshold over all voxels; see [`segmenter_core::threshold::otsu`].
    pub(crate) fn otsu(&self) -> Option<f64> {
        let all = self.all();
        let occupied = || all.iter().enumerate().filter(|(_, count)| **count > 0);
        let sum = |(bin, &count): (usize, &u64)| count as f64 * bin as f64;
        let (count, sum_of_all) = (total(&all) as f64, occupied().map(sum).sum::<f64>());
        let (mut below, mut sum_below) = (0.0, 0.0);
        let mut best = (occupied().next()?.0, 0.0);
        for (bin, &voxels) in occupied() {
            below += voxels as f64;
            sum_below += sum((bin, &voxels));
            let above = count - below;
            if above > 0.0 {
                let apart = sum_below / below - (sum_of_all - sum_below) / above;
                let variance = below * above * apart * apart;
                if variance > best.1 {
                    best = (bin, variance);
                }
            }
        }
        Some(self.bins.value(best.0))
    }

    fn all(&self) -> Vec<u64> {
        self.inside.iter().zip(&self.outside).map(|(inside, outside)| inside + outside).collect()
    }

    /// The lowest intensity that at least this share of the voxels does not exceed.
    fn quantile(&self, counts: &[u64], share: f64) -> Option<f64> {
        let needed = (total(counts) as f64 * share).max(1.0);
        let mut below = 0;
        let bin = counts.iter().position(|count| {
            below += count;
            below as f64 >= needed
        });
        bin.map(|bin| self.bins.value(bin))
    }
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().sum()
}
