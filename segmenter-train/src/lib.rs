//! Training: from curated images to a model.
//!
//! - [`TrainingData`] is what is learnt from and what is scored on; it checks itself.
//! - [`TrainConfig`] is how, as one plain value.
//! - [`train`] does it, starting from a new model or one that was trained before.
//!
//! # Example: train, then fine-tune
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use burn::tensor::Device;
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Sample, Stack2, Yx};
//! use segmenter_model::{DynUNetConfig, Model2};
//! use segmenter_train::{Event, TrainConfig, TrainingData, train};
//!
//! // A bright square to find.
//! let inside = |y: usize, x: usize| (6..16).contains(&y) && (8..20).contains(&x);
//! let raw = Array2::from_shape_fn((24, 24), |(y, x)| if inside(y, x) { 200_u8 } else { 20 });
//! let target = Mask2::new(Array2::from_shape_fn((24, 24), |(y, x)| inside(y, x)));
//! let sample = Sample::new("square", Stack2::new(raw), target)?;
//! let data = TrainingData::<Yx>::new(vec![sample], Vec::new())?;
//!
//! let network = DynUNetConfig::new(&[4, 8], &[[1, 1], [2, 2]]);
//! let model = Model2::init(network, [16, 16], 1, &Device::flex())?;
//! let config = TrainConfig::new([16, 16]).with_batch(2).with_epochs(3);
//! let run = train(model, &data, &config, None, |event| {
//!     if let Event::Epoch(report) = event {
//!         assert!(report.loss.is_finite());
//!     }
//!     ControlFlow::Continue(())
//! })?;
//!
//! // Fine-tuning is the same verb from another start.
//! let gentle = config.with_learning_rate(1e-4);
//! let tuned = train(run.model, &data, &gentle, None, |_| ControlFlow::Continue(()))?;
//! assert_eq!(tuned.model.card().provenance.steps, 12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod augment;
mod config;
mod data;
mod folder;
mod loss;
mod patch;
mod report;
mod sampling;
mod trainer;
mod validation;

pub use augment::Augmentation;
pub use config::{ConfigFault, Crop, Schedule, TrainConfig};
pub use data::{DataError, DataFaults, TrainingData};
pub use loss::Loss;
pub use report::{EpochReport, Event, Run, TrainError};
pub use trainer::train;

pub use segmenter_model::{self as model, burn};
