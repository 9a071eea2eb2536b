//! Networks as burn modules.
//!
//! Every network works on tensors of rank 5, `[batch, channels, z, y, x]`; planes have one slice and
//! kernels of one slice. A convolution over a plane is the same sum of products either way (burn's
//! CPU backend turns it into this form itself), and one network serves both ranks. The rank of the
//! images stays in the type of the [`Model`](crate::Model) around it.
//!
//! The fields are named as in MONAI, so the path of a parameter through the modules is its name in
//! a PyTorch checkpoint.

mod autocast;
#[cfg(feature = "flex")]
mod cpu;
mod dynunet;
#[cfg(feature = "flex")]
mod inference;
mod init;
mod layers;
mod norm;
mod ops;
mod precision;

pub use autocast::UnknownRounding;
pub(crate) use autocast::{Autocast, Features, rounded};
pub use dynunet::DynUNet;
#[cfg(feature = "flex")]
pub(crate) use inference::Inference;
pub use precision::Precision;

/// The zeros around the input of a convolution: MONAI's `get_padding`, (kernel - stride + 1) / 2,
/// truncated.
fn padding(kernel: [usize; 3], stride: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| (kernel[axis] + 1).saturating_sub(stride[axis]) / 2)
}

/// What MONAI calls the block of a level on the way down, of levels up to `last`.
fn block_name(level: usize, last: usize) -> String {
    match level {
        0 => "input_block".to_owned(),
        _ if level == last => "bottleneck".to_owned(),
        _ => format!("downsamples.{}", level - 1),
    }
}
