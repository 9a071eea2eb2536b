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
//! [`Experiment::open`] opens such a folder, and [`export`] writes one.
//!
//! A table has one row an image: `,raw,seg1,seg2,merge_mask,exclude_mask,base_image`, where the
//! first column has no name and counts the rows from 0, a missing file is an empty cell, and lines
//! end in CR LF. Paths are absolute, as they were on the machine that wrote them. A mask is the
//! vertices of polygons, not pixels; what is inside any of them is merged or excluded in all slices.

mod experiment;
mod export;
mod metrics;

use std::{
    collections::BTreeSet,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use segmenter_core::{
    InvalidRegion, Region,
    io::{
        image_stem,
        npy::{NpyError, read_polygons},
    },
};

pub use self::{
    experiment::{Experiment, ExperimentFault, ExperimentFaults},
    export::{ExportError, export, write_rows},
    metrics::{EpochMetrics, Metrics, MetricsError},
};
pub use crate::table::TableError;
use crate::{
    Base, Channels, Decision, Record, path,
    table::{Table, list},
};

/// The columns after the row's number, in order.
const COLUMNS: [&str; 6] = ["raw", "seg1", "seg2", "merge_mask", "exclude_mask", "base_image"];

/// A row of a table: the files of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The raw image.
    pub raw: PathBuf,
    /// The first segmentation.
    pub seg1: PathBuf,
    /// The second segmentation.
    pub seg2: Option<PathBuf>,
    /// The `.npy` file of polygons inside which the other segmentation counts.
    pub merge_mask: Option<PathBuf>,
    /// The `.npy` file of polygons inside which nothing counts.
    pub exclude_mask: Option<PathBuf>,
    /// The segmentation that counts outside of the polygons to merge.
    pub base: Base,
}

/// Why the plugin's files were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file is not a table with the plugin's columns.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows are wrong; all of them are listed.
    #[error("{path}: {}", list(.faults))]
    Rows {
        /// The table.
        path: PathBuf,
        /// What is wrong, in the order of the lines.
        faults: Vec<RowFault>,
    },
    /// Files that the table names are not there.
    #[error("{path}: the files {files:?} are missing; name the root folder they are in now")]
    Missing {
        /// The table.
        path: PathBuf,
        /// All files that are not there, or not below the root, as the table names them.
        files: Vec<String>,
    },
    /// Masks can't be read; all of them are listed.
    #[error("{}", list(.faults))]
    Masks {
        /// What is wrong.
        faults: Vec<MaskFault>,
    },
    /// The choice of channels can't be read.
    #[error("{path}: not the plugin's choice of channels")]
    Channels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RowFault {
    /// The line in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: RowFaultReason,
}

/// What can be wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFaultReason {
    /// A file that every row has is not named.
    #[error("{column} is empty")]
    Empty {
        /// The column.
        column: &'static str,
    },
    /// The base is neither segmentation.
    #[error("base_image is `{found}`, but has to be seg1 or seg2")]
    Base {
        /// The cell.
        found: String,
    },
    /// There is no second segmentation for what the row says.
    #[error("{column} needs a second segmentation, but seg2 is empty")]
    NoSecondSegmentation {
        /// The column that needs one.
        column: &'static str,
    },
    /// Two columns name the same file, or files that can't be told apart below the root.
    #[error("{first} and {second} are both {file}; name a root that tells them apart")]
    SameFile {
        /// A column.
        first: &'static str,
        /// Another column.
        second: &'static str,
        /// The file.
        file: PathBuf,
    },
}

/// What is wrong with a mask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskFault {
    /// The file can't be read.
    #[error("{}", chain(.0))]
    Npy(#[from] NpyError),
    /// A polygon bounds no region.
    #[error("{path}: polygon {polygon}: {source}")]
    Region {
        /// The file.
        path: PathBuf,
        /// Which polygon, counted from 0.
        polygon: usize,
        /// What is wrong.
        source: InvalidRegion,
    },
}

/// An error with what is behind it: a list of errors has no one source.
fn chain(error: &dyn Error) -> String {
    let behind = error.source().map(|source| format!(": {}", chain(source)));
    error.to_string() + &behind.unwrap_or_default()
}

/// Reads a table and the masks that it names. The records are decided to be used: the plugin writes
/// only those.
///
/// With a root, each file is looked for below it, by the longest end of its path that is there: the
/// table of another machine is read where the data is now. Without, paths are taken as they are.
/// [`Experiment::open`] reads all tables of an experiment.
///
/// # Errors
/// If the table or a mask can't be read; or with every row that is wrong, every file that is missing
/// or every mask that is damaged.
pub fn read_records(
    path: impl AsRef<Path>,
    root: Option<&Path>,
) -> Result<Vec<Record>, PluginError> {
    first_fault(gather_records(path.as_ref(), Places { root, experiment: None }))
}

/// Reads a table and none of the files that it names, but checks that they are there; see
/// [`read_records`] for the root.
///
/// # Errors
/// If the table can't be read, or with every row that is wrong or every file that is missing.
pub fn read_rows(path: impl AsRef<Path>, root: Option<&Path>) -> Result<Vec<Row>, PluginError> {
    first_fault(gather_rows(path.as_ref(), Places { root, experiment: None }))
}

/// What was read, or the first of the faults beside it.
fn first_fault<T>((read, faults): (T, Vec<PluginError>)) -> Result<T, PluginError> {
    match faults.into_iter().next() {
        None => Ok(read),
        Some(fault) => Err(fault),
    }
}

/// The records of a table, and everything that is wrong with it and its masks.
fn gather_records(path: &Path, places: Places<'_>) -> (Vec<Record>, Vec<PluginError>) {
    let (rows, mut errors) = gather_rows(path, places);
    let mut faults = Vec::new();
    let records = rows.into_iter().map(|row| record(row, &mut faults)).collect();
    if !faults.is_empty() {
        errors.push(PluginError::Masks { faults });
    }
    (records, errors)
}

/// The rows of a table, and everything that is wrong with it. What a row names and is not there is
/// left out of it.
fn gather_rows(path: &Path, places: Places<'_>) -> (Vec<Row>, Vec<PluginError>) {
    let table = match read_table(path) {
        Ok(table) => table,
        Err(error) => return (Vec::new(), vec![error.into()]),
    };
    let mut finder = Finder { places, missing: BTreeSet::new() };
    let (mut rows, mut faults, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (line, cells) in &table.rows {
        let (row, reasons) = parse(&table, cells, &mut finder);
        faults.extend(reasons.into_iter().map(|reason| RowFault { line: *line, reason }));
        rows.push(row);
    }
    let path = || path.to_owned();
    if !faults.is_empty() {
        errors.push(PluginError::Rows { path: path(), faults });
    }
    if !finder.missing.is_empty() {
        let files = finder.missing.into_iter().collect();
        errors.push(PluginError::Missing { path: path(), files });
    }
    (rows, errors)
}

fn read_table(path: &Path) -> Result<Table, TableError> {
    let table = Table::read(path)?;
    let optional = ["", "seg2", "merge_mask", "exclude_mask"];
    table.check(path, &["raw", "seg1", "base_image"], &optional)?;
    Ok(table)
}

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

/// Where the files are that a table names.
#[derive(Clone, Copy)]
struct Places<'a> {
    /// Where all of them are looked for, by the ends of their paths.
    root: Option<&'a Path>,
    /// The experiment that the table is of, which has the masks.
    experiment: Option<&'a Path>,
}

/// Finds files by what a table calls them.
struct Finder<'a> {
    places: Places<'a>,
    missing: BTreeSet<String>,
}

impl Finder<'_> {
    fn find(&mut self, name: &str) -> PathBuf {
        let found = match self.places.root {
            Some(root) => path::find_tail(root, name),
            None => Some(PathBuf::from(name)).filter(|path| path.is_file()),
        };
        let within = || path::find_tail(self.places.experiment?, name);
        found.or_else(within).unwrap_or_else(|| {
            self.missing.insert(name.to_owned());
            PathBuf::from(name)
        })
    }

    fn find_any(&mut self, name: &str) -> Option<PathBuf> {
        (!name.is_empty()).then(|| self.find(name))
    }
}

fn parse(
    table: &Table,
    cells: &StringRecord,
    finder: &mut Finder<'_>,
) -> (Row, Vec<RowFaultReason>) {
    let cell = |column| table.cell(cells, column);
    let mut faults = Vec::new();
    for column in ["raw", "seg1"].into_iter().filter(|column| cell(column).is_empty()) {
        faults.push(RowFaultReason::Empty { column });
    }
    let base = match cell("base_image") {
        "seg1" => Base::Seg1,
        "seg2" => Base::Seg2,
        other => {
            faults.push(RowFaultReason::Base { found: other.to_owned() });
            Base::Seg1
        }
    };
    let row = Row {
        raw: finder.find_any(cell("raw")).unwrap_or_default(),
        seg1: finder.find_any(cell("seg1")).unwrap_or_default(),
        seg2: finder.find_any(cell("seg2")),
        merge_mask: finder.find_any(cell("merge_mask")),
        exclude_mask: finder.find_any(cell("exclude_mask")),
        base,
    };
    faults.extend(row.contradictions());
    (row, faults)
}

impl Row {
    fn contradictions(&self) -> Vec<RowFaultReason> {
        let alone = |column| RowFaultReason::NoSecondSegmentation { column };
        let mut faults = Vec::new();
        if self.seg2.is_none() {
            faults.extend((self.base == Base::Seg2).then(|| alone("base_image")));
            faults.extend(self.merge_mask.is_some().then(|| alone("merge_mask")));
        }
        let files = self.files();
        for (at, (first, file)) in files.iter().enumerate() {
            for (second, _) in files[at + 1..].iter().filter(|(_, other)| other == file) {
                faults.push(RowFaultReason::SameFile { first, second, file: file.to_path_buf() });
            }
        }
        faults
    }

    /// The files that are named, each with its column.
    fn files(&self) -> Vec<(&'static str, &Path)> {
        let [raw, seg1, seg2, merge_mask, exclude_mask, _] = COLUMNS;
        let all = [
            (raw, Some(&self.raw)),
            (seg1, Some(&self.seg1)),
            (seg2, self.seg2.as_ref()),
            (merge_mask, self.merge_mask.as_ref()),
            (exclude_mask, self.exclude_mask.as_ref()),
        ];
        let named = all.into_iter().filter_map(|(column, file)| Some((column, file?.as_path())));
        named.filter(|(_, file)| !file.as_os_str().is_empty()).collect()
    }
}

fn record(row: Row, faults: &mut Vec<MaskFault>) -> Record {
    // A mask that is not there has been told of.
    let there = |mask: Option<PathBuf>| mask.filter(|mask| mask.is_file());
    let mut regions = |mask| match there(mask).map(|mask| read_mask(&mask)) {
        Some(Ok(regions)) => regions,
        Some(Err(fault)) => {
            faults.push(fault);
            Vec::new()
        }
        None => Vec::new(),
    };
    let (merge, exclude) = (regions(row.merge_mask), regions(row.exclude_mask));
    let (base, decision) = (row.base, Decision::Use);
    let record = Record::new(name(&row.raw), row.raw, row.seg1);
    Record { seg2: row.seg2, base, merge, exclude, decision, ..record }
}

fn name(raw: &Path) -> String {
    let file = raw.file_name().unwrap_or_default().to_string_lossy();
    image_stem(&file).unwrap_or(&file).to_owned()
}

/// The regions in a mask of the plugin, in the order in which they were drawn.
fn read_mask(path: &Path) -> Result<Vec<Region>, MaskFault> {
    let region = |(polygon, points): (usize, Vec<[f64; 2]>)| {
        let points = points.into_iter().map(|[y, x]| (x, y));
        let path = path.to_owned();
        Region::polygon(points).map_err(|source| MaskFault::Region { path, polygon, source })
    };
    read_polygons(path)?.into_iter().enumerate().map(region).collect()
}

#[cfg(test)]
mod tests;
