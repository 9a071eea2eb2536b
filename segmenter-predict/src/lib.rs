//! Prediction: from a model and an image of any size to a segmentation, tile by tile.
//!
//! - [`Tiling`] says which tiles an image is cut into and how much they overlap.
//! - [`predict`] runs a model over them and blends the logits.
//! - [`predict_into`] does the same for results that are larger than memory, box by box into a file,
//!   within a [`Plan`] that says beforehand what memory it takes.
//! - [`Logits`] is what comes out: turn it into a [`Probability`](segmenter_core::Probability) or a
//!   [`Mask`](segmenter_core::Mask), or save it as it is.
//!
//! # Example: segment one image
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use burn::tensor::Device;
//! use ndarray::Array2;
//! use segmenter_core::Stack2;
//! use segmenter_model::{DynUNetConfig, Model2};
//! use segmenter_predict::{Tiling, predict};
//!
//! let model = Model2::init(DynUNetConfig::small(), [32, 32], 7, &Device::flex())?;
//! let image = Stack2::new(Array2::<u8>::zeros((70, 100)));
//! let logits = predict(&model, &image, &Tiling::of(&model), |_| ControlFlow::Continue(()))?;
//! let foreground = logits.probability(0).threshold(model.card().threshold);
//! assert_eq!(foreground.extent(), [70, 100]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blend;
mod frame;
mod logits;
mod plan;
mod predict;
mod stream;
mod tiling;
mod values;
mod walk;

pub use blend::gaussian_weights;
pub use logits::Logits;
pub use plan::{BudgetError, Plan};
pub use predict::{PredictError, Progress, predict};
pub use stream::predict_into;
pub use tiling::{InvalidOverlap, Tiling};
pub use values::{mask, probability, probability_byte};

pub use segmenter_model::burn;
