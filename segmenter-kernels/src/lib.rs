//! Convolution and normalisation kernels for segmentation networks on a CPU.
//!
//! - [`Conv`] is a 2D or 3D convolution of any kernel, stride and number of channels, with both its
//!   gradients; its input gradient is also the transposed convolution. [`Prepared`] is one whose
//!   weights are in order for many images.
//! - [`InstanceNorm`] normalises, adds and activates, with its gradients.
//! - [`Processor`] says what kind of processor there is. It is found out when a program runs, so none
//!   has to be named when it is built.
//!
//! There is no im2col: images are copied once, padded with zeros, and a tap of a kernel is an offset
//! into the copy. Eight output channels × 48 voxels are held in registers while all channels and taps
//! pass by (4 × 16 without AVX-512).
//!
//! Every sum is taken in an order that depends on the shapes alone. One thread and many compute the
//! same bits, and so do all kinds of processors that multiply and add in one rounding.
//!
//! ```
//! use segmenter_kernels::{Conv, Input, Settings};
//!
//! // The sums of each 3 × 3 neighbourhood of a plane, [channel, z, y, x].
//! let conv = Conv { channels: [1, 1], kernel: [1, 3, 3], stride: [1; 3], padding: [0, 1, 1] };
//! let image = [1.0; 12];
//! let input = [Input::new(&image, 1)];
//! let sums = conv.forward([1, 3, 4], &input, &[1.0; 9], None, Settings::default());
//! assert_eq!(sums, [4.0, 6.0, 6.0, 4.0, 6.0, 9.0, 9.0, 6.0, 4.0, 6.0, 6.0, 4.0]);
//!
//! // How the image would have to change for the first sum to grow.
//! let mut gradient = [0.0; 12];
//! gradient[0] = 1.0;
//! let gradients = [Input::new(&gradient, 1)];
//! let back = conv.input_gradient([1, 3, 4], &gradients, &[1.0; 9], None, Settings::default());
//! assert_eq!(back[..6], [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
//! ```
//!
//! This is the one crate that computes with `unsafe`: for the processor's vectors, and for outputs
//! that several threads write parts of.

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
