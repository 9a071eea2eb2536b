//! `csv/version_<k>/metrics.csv`: the losses that Lightning wrote down while it trained.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use csv::StringRecord;

use crate::table::{Table, TableError, list};

/// The losses of one run of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Which run in the experiment, from 0.
    pub version: u64,
    /// One entry an epoch, ascending.
    pub epochs: Vec<EpochMetrics>,
}

/// The losses of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochMetrics {
    /// Which epoch, from 0.
    pub epoch: u64,
    /// The mean over the epoch's steps.
    pub train_loss: Option<f64>,
    /// The mean over the validation images.
    pub validation_loss: Option<f64>,
}

/// Why losses were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The file is not a table with the columns.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Cells hold something else; all of them are listed.
    #[error("{path}: {}", list(.faults))]
    Cells {
        /// The file.
        path: PathBuf,
        /// Which cells, and what they hold.
        faults: Vec<String>,
    },
}

impl Metrics {
    /// Reads a table. Its columns are found by name, since their order differs from version to
    /// version. An epoch has a row for training and one for validation, and rows of single steps may
    /// lie between them.
    pub(super) fn read(path: &Path, version: u64) -> Result<Self, MetricsError> {
        let table = Table::read(path)?;
        let columns = ["epoch", "train/loss_epoch", "val/loss_epoch"];
        let missing = columns.iter().filter(|name| table.column(name).is_none());
        let missing: Vec<String> = missing.map(|&name| name.to_owned()).collect();
        if missing.contains(&columns[0].to_owned()) {
            let (path, unknown) = (path.to_owned(), Vec::new());
            return Err(TableError::Columns { path, missing, unknown }.into());
        }
        let mut epochs = BTreeMap::<u64, EpochMetrics>::new();
        let mut faults = Vec::new();
        for (line, row) in &table.rows {
            let mut cells = Cells { table: &table, row, line: *line, faults: &mut faults };
            let Some(epoch) = cells.number::<u64>("epoch") else { continue };
            let entry = epochs.entry(epoch).or_default();
            entry.epoch = epoch;
            entry.train_loss = cells.number("train/loss_epoch").or(entry.train_loss);
            entry.validation_loss = cells.number("val/loss_epoch").or(entry.validation_loss);
        }
        if !faults.is_empty() {
            return Err(MetricsError::Cells { path: path.to_owned(), faults });
        }
        Ok(Self { version, epochs: epochs.into_values().collect() })
    }

    /// The epoch with the smallest loss on the validation images.
    #[must_use]
    pub fn best(&self) -> Option<&EpochMetrics> {
        let validated =
            self.epochs.iter().filter_map(|epoch| Some((epoch, epoch.validation_loss?)));
        validated.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(epoch, _)| epoch)
    }
}

/// The cells of a row.
struct Cells<'a> {
    table: &'a Table,
    row: &'a StringRecord,
    line: u64,
    faults: &'a mut Vec<String>,
}

impl Cells<'_> {
    /// The number in a cell; `None` if it is empty or holds something else, which is noted.
    fn number<T: FromStr>(&mut self, column: &str) -> Option<T> {
        let cell = self.table.cell(self.row, column).trim();
        if cell.is_empty() {
            return None;
        }
        let number = cell.parse().ok();
        if number.is_none() {
            self.faults.push(format!("line {}: {column} is `{cell}`, not a number", self.line));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<Metrics, MetricsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        fs::write(&path, text).unwrap();
        Metrics::read(&path, 0)
    }

    /// The layout of Lightning 2.3 with more than 50 steps an epoch.
    #[test]
    fn the_rows_of_an_epoch_are_joined_whatever_the_order_of_the_columns() {
        let metrics = read(
            "val/loss_epoch,epoch,step,train/loss_step,train/loss_epoch\n\
             ,0,49,0.9,\n0.5,0,59,,\n,0,59,,0.7\n0.25,1,119,,\n,1,119,,0.6\n",
        )
        .unwrap();
        let epoch = |epoch, train, validation| EpochMetrics {
            epoch,
            train_loss: Some(train),
            validation_loss: Some(validation),
        };
        assert_eq!(metrics.epochs, [epoch(0, 0.7, 0.5), epoch(1, 0.6, 0.25)]);
        assert_eq!(metrics.best(), Some(&epoch(1, 0.6, 0.25)));
    }

    #[test]
    fn every_cell_that_is_no_number_is_named() {
        let error = read("epoch,val/loss_epoch\nzero,1\n1,much\n").unwrap_err().to_string();
        assert!(error.contains("line 2: epoch is `zero`"), "{error}");
        assert!(error.contains("line 3: val/loss_epoch is `much`"), "{error}");
        let error = read("step,loss\n1,2\n").unwrap_err();
        assert!(matches!(error, MetricsError::Table(TableError::Columns { .. })), "{error}");
    }
}
