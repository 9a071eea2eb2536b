#![doc = include_str!("../README.md")]

pub use segmenter_core as core;
pub use segmenter_curation as curation;
pub use segmenter_model as model;
pub use segmenter_predict as prediction;
pub use segmenter_train as training;

pub use segmenter_core::{
    Labels, Labels2, Labels3, Mask, Mask2, Mask3, Probability, Probability2, Probability3, Region,
    Sample, Source, Space, Stack, Stack2, Stack3, VoxelSize, Window, Yx, Zyx, io, metrics, objects,
    threshold,
};
pub use segmenter_model::{
    AnyModel, DynUNet, DynUNetConfig, Model, Model2, Model3, Precision, Size, burn::tensor::Device,
};
pub use segmenter_predict::{Logits, Plan, Tiling, predict, predict_into};
pub use segmenter_train::{
    Augmentation, Event, Loss, Run, Schedule, TrainConfig, TrainingData, train,
};

#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/coming-from-the-allen-cell-segmenter.md")]
pub mod coming_from_the_allen_cell_segmenter {}
