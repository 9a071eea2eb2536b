//! The networks of `segmenter`, and the files they are kept in.
//!
//! - [`DynUNetConfig`] describes a network, [`DynUNet`] is it: MONAI's DynUNet over planes or
//!   volumes.
//! - [`Model`] is a network with all that prediction needs to know about it. It is saved as one
//!   [model file](mod@file).
//! - [`Model::load`] takes the checkpoints of MONAI's DynUNet that CytoDL writes, too.
//! - [`Normalisation`] brings intensities to the scale the network was trained on.
//!
//! Nothing here names a backend: every entry point takes a [`burn::tensor::Device`], and the
//! features `flex` (CPU, on by default), `wgpu` and `cuda` say which devices there are.

mod checkpoint;
mod compiled;
mod config;
pub mod file;
mod load;
mod model;
mod network;
mod normalise;
mod postprocess;
pub mod tensor;
pub mod weights;

pub use burn;
pub use compiled::Compiled;
pub use config::{ConfigError, DynUNetConfig, Norm, NormKind, PatchError, Size};
pub use load::{AnyModel, LoadError};
pub use model::{InitError, Model, Model2, Model3, ModelCard, Provenance};
pub use network::{DynUNet, Precision, UnknownRounding};
pub use normalise::{Normalisation, Scaling};
pub use postprocess::{Blending, Postprocess};
pub use segmenter_core::torch::NamedTensor;
pub use weights::{WeightFault, WeightsError};
