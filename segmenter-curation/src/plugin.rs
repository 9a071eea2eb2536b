//! The files of the Allen Cell & Structure Segmenter's curation plugin.
//!
//! The plugin keeps one folder an experiment:
//!
//! ```text
//! data/train.csv  data/val.csv  data/test.csv  data/selected_channels.json
//! excluding_masks/excluding_mask_<raw>.npy  merging_masks/merging_mask_<raw>.npy
//! checkpoints/epoch_<n>.ckpt  csv/version_<k>/metrics.csv  train_config.yaml
//! ```
//!
//! [`Experiment::open`] opens such a folder, and [`export`] writes one:
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Region, Stack2, io::Existing};
//! use segmenter_curation::{
//!     Decision, Record, Split,
//!     plugin::{Experiment, export},
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let [raw, seg] = ["cell.tif", "cell_seg.tif"].map(|name| folder.path().join(name));
//! Stack2::new(Array2::<u16>::zeros((64, 64))).save(&raw)?;
//! Mask2::all([64, 64]).save(&seg)?;
//!
//! let mut record = Record::new("cell", raw, seg);
//! record.exclude(Region::polygon([(12.0, 30.5), (40.0, 28.0), (37.5, 61.0)])?);
//! record.decide(Decision::Use);
//! let split = Split { train: vec![record], validation: vec![], test: vec![] };
//! export(folder.path().join("cells"), &split, Existing::Refuse)?;
//!
//! let experiment = Experiment::open(folder.path().join("cells"), None)?;
//! assert_eq!(*experiment.split(), split);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A table has one row an image: `,raw,seg1,seg2,merge_mask,exclude_mask,base_image`, where the
//! first column has no name and counts the rows from 0, a missing file is an empty cell, and lines
//! end in CR LF. Paths are absolute, as they were on the machine that wrote them. A mask is the
//! vertices of polygons, not pixels; what is inside any of them is merged or excluded in all slices.

mod channels;
mod error;
mod experiment;
mod export;
mod metrics;
mod records;
mod rows;

use std::{fs, path::Path};

pub use self::{
    channels::Channels,
    error::{MaskFault, PluginError, RowFault, RowFaultReason},
    experiment::{Experiment, ExperimentFault, ExperimentFaults},
    export::{ExportError, export, write_rows},
    metrics::{EpochMetrics, Metrics, MetricsError},
    records::read_records,
    rows::{Base, Row, read_rows},
};
use self::{
    error::chain,
    records::gather_records,
    rows::{COLUMNS, Places, gather_rows},
};
pub use crate::table::TableError;

/// Reads which channel of each file was chosen: `data/selected_channels.json` of an experiment.
///
/// # Errors
/// If the file can't be read or holds something else.
pub fn read_channels(path: impl AsRef<Path>) -> Result<Channels, PluginError> {
    let path = path.as_ref();
    let fail = |source| PluginError::Channels { path: path.to_owned(), source };
    let text = fs::read(path).map_err(fail)?;
    serde_json::from_slice(&text).map_err(|error| fail(error.into()))
}

/// What was read, or the first of the faults beside it.
fn first_fault<T>((read, faults): (T, Vec<PluginError>)) -> Result<T, PluginError> {
    match faults.into_iter().next() {
        None => Ok(read),
        Some(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests;
