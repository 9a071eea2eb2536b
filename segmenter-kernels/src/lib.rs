//! Convolution and normalisation kernels for segmentation networks on a CPU.

mod conv;
mod correlate;
mod gather;
mod norm;
mod pack;
mod scratch;
mod simd;
mod threads;

pub use conv::{Conv, Precision, Prepared};
pub use norm::{InstanceNorm, Moments, NormGradients, add_activated, moments};
pub use scratch::{Plain, Scratch};
pub use simd::Processor;
pub use threads::{Threads, available_threads, each_on_one_thread};

/// How to compute: none of it is in the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In which numbers to multiply.
    pub precision: Precision,
    /// On how many threads.
    pub threads: Threads,
    /// For which kind of processor, one that is [available](Processor::available).
    pub processor: Processor,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            precision: Precision::default(),
            threads: Threads::default(),
            processor: Processor::detect(),
        }
    }
}

/// Channels of an image, and what becomes of them before they are used.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    values: &'a [f32],
    channels: usize,
    affine: Option<Affine<'a>>,
}

impl<'a> Input<'a> {
    /// Channels as they are, `[channels, z, y, x]`.
    #[must_use]
    pub fn new(values: &'a [f32], channels: usize) -> Self {
        Self { values, channels, affine: None }
    }

    /// Channels that are normalised and activated when they are read.
    ///
    /// # Panics
    /// If there isn't a scale and an offset for each channel.
    #[must_use]
    pub fn with_affine(self, affine: Affine<'a>) -> Self {
        assert_eq!([affine.scale.len(), affine.offset.len()], [self.channels; 2], "channels");
        Self { affine: Some(affine), ..self }
    }
}

/// `value * scale + offset` for each channel, and what is negative then times the slope.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// For each channel.
    pub scale: &'a [f32],
    /// For each channel.
    pub offset: &'a [f32],
    /// Of a leaky ReLU; 1 for none.
    pub slope: f32,
}
