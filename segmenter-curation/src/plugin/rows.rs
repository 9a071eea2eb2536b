//! The tables: which files belong to one image.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use csv::StringRecord;

use super::{PluginError, RowFault, RowFaultReason, first_fault};
use crate::{
    path,
    table::{Table, TableError},
};

/// The columns after the row's number, in order.
pub(super) const COLUMNS: [&str; 6] =
    ["raw", "seg1", "seg2", "merge_mask", "exclude_mask", "base_image"];

/// Which segmentation counts outside of the polygons to merge. Inside, it is the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// The first.
    #[default]
    Seg1,
    /// The second.
    Seg2,
}

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

/// Reads a table and none of the files that it names, but checks that they are there; see
/// [`read_records`](super::read_records) for the root.
///
/// # Errors
/// If the table can't be read, or with every row that is wrong or every file that is missing.
pub fn read_rows(path: impl AsRef<Path>, root: Option<&Path>) -> Result<Vec<Row>, PluginError> {
    first_fault(gather_rows(path.as_ref(), Places { root, experiment: None }))
}

/// The rows of a table, and everything that is wrong with it. What is not there is named as the table
/// names it.
pub(super) fn gather_rows(path: &Path, places: Places<'_>) -> (Vec<Row>, Vec<PluginError>) {
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

/// Where the files are that a table names.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// Where all of them are looked for, by the ends of their paths.
    pub(super) root: Option<&'a Path>,
    /// The experiment that the table is of, which has the masks.
    pub(super) experiment: Option<&'a Path>,
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
    pub(super) fn files(&self) -> Vec<(&'static str, &Path)> {
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
