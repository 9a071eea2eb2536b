//! Normalisation and activation in as few passes over memory as there can be.

use crate::{
    Affine, Settings,
    correlate::folded,
    simd::{Job, LANES, Processor, Simd},
    threads::{Shared, unwritten},
};

/// Values that are added up in `f32` before `f64` takes over: few enough for sums of 64 in a lane.
const BLOCK: usize = 64 * LANES;

/// An instance normalisation with a learned scale and offset a channel, and a leaky ReLU after it.
///
/// Each channel of each image is brought to mean 0 and variance 1, the variance being that of the
/// voxels themselves, without Bessel's correction.
#[derive(Clone, Copy, Debug)]
pub struct InstanceNorm<'a> {
    /// For each channel.
    pub scale: &'a [f32],
    /// For each channel.
    pub offset: &'a [f32],
    /// Added to the variance, so that a constant channel can be divided by its square root.
    pub epsilon: f64,
    /// What negative values are multiplied with after all, not negative itself.
    pub slope: f32,
}

/// Mean and reciprocal of the standard deviation of one channel of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f32,
    /// One by the root of the variance with epsilon added.
    pub reciprocal: f32,
}

/// What goes back through an [`InstanceNorm`].
#[derive(Clone, Debug)]
pub struct NormGradients {
    /// Of its input.
    pub input: Vec<f32>,
    /// Of its scale.
    pub scale: Vec<f32>,
    /// Of its offset.
    pub offset: Vec<f32>,
    /// Of what was added before the activation, which is the gradient before normalisation.
    pub residual: Option<Vec<f32>>,
}

/// Mean and deviation of channels of so many voxels each.
///
/// # Panics
/// If the voxels are 0, or not a divisor of the number of values.
#[must_use]
pub fn moments(values: &[f32], voxels: usize, epsilon: f64, settings: Settings) -> Vec<Moments> {
    assert!(voxels > 0 && values.len().is_multiple_of(voxels), "channels of {voxels} voxels");
    settings.threads.map(values.len() / voxels, |at| {
        moments_of(&values[at * voxels..(at + 1) * voxels], epsilon, settings.processor)
    })
}

fn moments_of(channel: &[f32], epsilon: f64, processor: Processor) -> Moments {
    let count = channel.len() as f64;
    let [mean, _] = processor.sums(channel, channel, |value, _| [value, 0.0]);
    let mean = narrowed(mean / count);
    let [squares, _] =
        processor.sums(channel, channel, |value, _| [(value - mean) * (value - mean), 0.0]);
    Moments { mean, reciprocal: narrowed(1.0 / (squares / count + epsilon).sqrt()) }
}

/// Adds one image to another, each normalised and activated first, and activates the sum.
///
/// # Shapes
/// - sum, other: `[channels, …]`, of so many voxels a channel
///
/// # Panics
/// If shapes don't fit.
pub fn add_activated(
    sum: &mut [f32],
    other: &[f32],
    by: [Affine<'_>; 2],
    slope: f32,
    voxels: usize,
    settings: Settings,
) {
    assert_eq!(sum.len(), other.len(), "values");
    settings.threads.each_chunk(sum, voxels, |at, sum| {
        let other = &other[at * voxels..(at + 1) * voxels];
        let by = by.map(|affine| [affine.scale[at], affine.offset[at], affine.slope]);
        settings.processor.run(Add { sum, other, by, slope });
    });
}

impl InstanceNorm<'_> {
    /// Normalises a batch, adds the residual if there is one, and activates.
    ///
    /// # Shapes
    /// - input, residual, output: `[batch, channels, …]`, of so many voxels a channel
    /// - moments: `[batch, channels]`
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn forward(
        &self,
        input: &[f32],
        residual: Option<&[f32]>,
        voxels: usize,
        settings: Settings,
    ) -> (Vec<f32>, Vec<Moments>) {
        assert!(residual.is_none_or(|residual| residual.len() == input.len()), "residual");
        assert_eq!(self.scale.len(), self.offset.len(), "channels");
        assert!(voxels > 0 && input.len().is_multiple_of(voxels), "channels of {voxels} voxels");
        let Settings { processor, threads, .. } = settings;
        // SAFETY: each channel is written below.
        let mut output = unsafe { unwritten(input.len()) };
        // All of a channel by one thread, so that it comes from memory once.
        let moments = threads.map_chunks(&mut output, voxels, |at, output| {
            let here = at * voxels..(at + 1) * voxels;
            let residual = residual.map(|residual| &residual[here.clone()]);
            let input = &input[here];
            let moments = moments_of(input, self.epsilon, processor);
            let (scale, offset) = self.affine(at, moments);
            let slope = self.slope;
            processor.run(Activate { output, input, residual, scale, offset, slope });
            moments
        });
        (output, moments)
    }

    /// Scale and offset that normalise one channel of one image.
    #[must_use]
    pub fn affine(&self, at: usize, moments: Moments) -> (f32, f32) {
        let channel = at % self.scale.len();
        let scale = self.scale[channel] * moments.reciprocal;
        (scale, self.offset[channel] - moments.mean * scale)
    }

    /// The gradients, from that of the output.
    ///
    /// # Shapes
    /// - input, output, gradient: `[batch, channels, …]`, of so many voxels a channel: what went into
    ///   [`forward`](Self::forward) and came out of it, and the gradient of the latter
    /// - moments: `[batch, channels]`, of `forward`
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn gradients(
        &self,
        [input, output, gradient]: [&[f32]; 3],
        moments: &[Moments],
        with_residual: bool,
        settings: Settings,
    ) -> NormGradients {
        assert_eq!([output.len(), gradient.len()], [input.len(); 2], "values");
        let voxels = input.len() / moments.len();
        let Settings { processor, threads, .. } = settings;
        // The gradient before the activation: all that is left of the output is its sign.
        // SAFETY: each channel is written below.
        let mut before = unsafe { unwritten(input.len()) };
        // SAFETY: as above, if there is anything to it.
        let mut result = unsafe { unwritten(if with_residual { input.len() } else { 0 }) };
        let shared = Shared::new(&mut result);
        let sums = threads.map_chunks(&mut before, voxels, |at, before| {
            let here = at * voxels..(at + 1) * voxels;
            let (input, output) = (&input[here.clone()], &output[here.clone()]);
            let gradient = &gradient[here];
            processor.run(Deactivate { before, output, gradient, slope: self.slope });
            let mean = moments[at].mean;
            let product = |gradient: f32, value: f32| [gradient, gradient * (value - mean)];
            let sums = processor.sums(before, input, product);
            let by = self.shape(at, moments[at], sums.map(|sum| sum / voxels as f64));
            if with_residual {
                let to = shared.at(at * voxels, voxels);
                // SAFETY: each task has a channel of its own.
                let to = unsafe { std::slice::from_raw_parts_mut(to, voxels) };
                processor.run(Combine { to, from: Some(before), values: input, by });
            } else {
                processor.run(Combine { to: before, from: None, values: input, by });
            }
            sums
        });
        let channels = self.scale.len();
        let (mut scale, mut offset) = (vec![0.0; channels], vec![0.0; channels]);
        for (at, ([sum, product], moments)) in sums.iter().zip(moments).enumerate() {
            offset[at % channels] += narrowed(*sum);
            scale[at % channels] += narrowed(product * f64::from(moments.reciprocal));
        }
        let (input, residual) = match with_residual {
            true => (result, Some(before)),
            false => (before, None),
        };
        NormGradients { input, scale, offset, residual }
    }

    /// What the gradient before the activation, the value and 1 are multiplied with to give the
    /// gradient of the value, from the means of the gradient and of its product with the value's
    /// difference from the mean: `factor * (gradient - sum - slope * (value - mean))`.
    fn shape(&self, at: usize, moments: Moments, [sum, product]: [f64; 2]) -> [f32; 3] {
        let [mean, reciprocal] = [moments.mean, moments.reciprocal].map(f64::from);
        let factor = f64::from(self.scale[at % self.scale.len()]) * reciprocal;
        let slope = product * reciprocal * reciprocal;
        [narrowed(factor), narrowed(-factor * slope), narrowed(factor * (slope * mean - sum))]
    }
}

#[allow(clippy::cast_possible_truncation, reason = "sums are taken in f64, and kept in f32")]
fn narrowed(value: f64) -> f32 {
    value as f32
}

impl Processor {
    /// Two sums over two channels, taken in blocks.
    fn sums(
        self,
        one: &[f32],
        other: &[f32],
        term: impl Fn(f32, f32) -> [f32; 2] + Copy,
    ) -> [f64; 2] {
        let mut totals = [0.0; 2];
        for (one, other) in one.chunks(BLOCK).zip(other.chunks(BLOCK)) {
            self.run(Sums { one, other, term, totals: &mut totals });
        }
        totals
    }
}

/// Adds a block to two sums.
struct Sums<'a, F> {
    one: &'a [f32],
    other: &'a [f32],
    term: F,
    totals: &'a mut [f64; 2],
}

impl<F: Fn(f32, f32) -> [f32; 2]> Job for Sums<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut lanes = [[0.0; LANES]; 2];
        for (one, other) in self.one.chunks(LANES).zip(self.other.chunks(LANES)) {
            if let (Ok(one), Ok(other)) = (<&[f32; LANES]>::try_from(one), other.try_into()) {
                let other: &[f32; LANES] = other;
                for lane in 0..LANES {
                    let [first, second] = (self.term)(one[lane], other[lane]);
                    lanes[0][lane] += first;
                    lanes[1][lane] += second;
                }
            } else {
                for (lane, (&one, &other)) in one.iter().zip(other).enumerate() {
                    let [first, second] = (self.term)(one, other);
                    lanes[0][lane] += first;
                    lanes[1][lane] += second;
                }
            }
        }
        self.totals[0] += f64::from(folded(&lanes[0]));
        self.totals[1] += f64::from(folded(&lanes[1]));
    }
}

/// `input * scale + offset + residual`, activated.
struct Activate<'a> {
    output: &'a mut [f32],
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    scale: f32,
    offset: f32,
    slope: f32,
}

impl Job for Activate<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { scale, offset, slope, .. } = self;
        let activate = |value: f32| if value < 0.0 { value * slope } else { value };
        let values = self.output.iter_mut().zip(self.input);
        match self.residual {
            None => values.for_each(|(to, &value)| *to = activate(value * scale + offset)),
            Some(residual) => {
                for ((to, &value), &residual) in values.zip(residual) {
                    *to = activate(value * scale + offset + residual);
                }
            }
        }
    }
}

/// The sum of two images, each normalised and activated first, activated.
struct Add<'a> {
    sum: &'a mut [f32],
    other: &'a [f32],
    by: [[f32; 3]; 2],
    slope: f32,
}

impl Job for Add<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let leaky = |value: f32, slope: f32| if value < 0.0 { value * slope } else { value };
        let [one, two] = self.by;
        for (sum, &other) in self.sum.iter_mut().zip(self.other) {
            let first = leaky(*sum * one[0] + one[1], one[2]);
            let second = leaky(other * two[0] + two[1], two[2]);
            *sum = leaky(first + second, self.slope);
        }
    }
}

/// The gradient ahead of an activation.
struct Deactivate<'a> {
    before: &'a mut [f32],
    output: &'a [f32],
    gradient: &'a [f32],
    slope: f32,
}

impl Job for Deactivate<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let values = self.output.iter().zip(self.gradient);
        for (before, (&output, &gradient)) in self.before.iter_mut().zip(values) {
            *before = if output > 0.0 { gradient } else { gradient * self.slope };
        }
    }
}

/// `from * by[0] + values * by[1] + by[2]`, in place if there is no `from`.
struct Combine<'a> {
    to: &'a mut [f32],
    from: Option<&'a [f32]>,
    values: &'a [f32],
    by: [f32; 3],
}

impl Job for Combine<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [factor, slope, constant] = self.by;
        let values = self.to.iter_mut().zip(self.values);
        match self.from {
            None => values.for_each(|(to, &value)| *to = *to * factor + (value * slope + constant)),
            Some(from) => {
                for ((to, &value), &from) in values.zip(from) {
                    *to = from * factor + (value * slope + constant);
                }
            }
        }
    }
}
