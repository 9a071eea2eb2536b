//! Comma-separated values with a header.

use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

use csv::{ReaderBuilder, StringRecord};

/// A table.
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    /// Each row with the number of its line, from 1.
    pub(crate) rows: Vec<(u64, StringRecord)>,
}

/// Why a file of comma-separated values was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file can't be read.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not a table: rows have different numbers of cells, or it is not UTF-8.
    #[error("{path}: not a table of comma-separated values: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which lines, and what is wrong with each.
        reason: String,
    },
    /// Columns are missing, or there are some of unknown meaning.
    #[error("{path}: the columns {missing:?} are missing and {unknown:?} have no meaning here")]
    Columns {
        /// The file.
        path: PathBuf,
        /// Columns that have to be there and are not.
        missing: Vec<String>,
        /// Columns that are there and are not known.
        unknown: Vec<String>,
    },
}

impl Table {
    pub(crate) fn read(path: &Path) -> Result<Self, TableError> {
        let io = |source| TableError::Io { path: path.to_owned(), source };
        let bytes = fs::read(path).map_err(io)?;
        let mut lines = Lines { bytes: &bytes, byte: 0, line: 1 };
        let malformed = |reasons: &[String]| TableError::Malformed {
            path: path.to_owned(),
            reason: list(reasons),
        };
        let mut reader = ReaderBuilder::new().from_reader(bytes.as_slice());
        let header =
            reader.headers().map_err(|error| malformed(&[describe(error.kind(), &mut lines)]))?;
        let header = header.iter().map(str::to_owned).collect();
        let (mut rows, mut reasons) = (Vec::new(), Vec::new());
        for row in reader.into_records() {
            match row {
                Ok(row) => rows.push((lines.of(row.position()), row)),
                Err(error) => reasons.push(describe(error.kind(), &mut lines)),
            }
        }
        if reasons.is_empty() { Ok(Self { header, rows }) } else { Err(malformed(&reasons)) }
    }

    /// Checks that the table has all of these columns, and no others but the optional ones.
    pub(crate) fn check(
        &self,
        path: &Path,
        needed: &[&str],
        optional: &[&str],
    ) -> Result<(), TableError> {
        let missing = needed.iter().filter(|name| self.column(name).is_none());
        let missing: Vec<String> = missing.map(|&name| name.to_owned()).collect();
        let known = |name: &&String| needed.iter().chain(optional).any(|known| known == name);
        let unknown: Vec<String> =
            self.header.iter().filter(|name| !known(name)).cloned().collect();
        if missing.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        Err(TableError::Columns { path: path.to_owned(), missing, unknown })
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// A cell; empty if there is no such column.
    pub(crate) fn cell<'a>(&self, row: &'a StringRecord, column: &str) -> &'a str {
        self.column(column).and_then(|column| row.get(column)).unwrap_or_default()
    }
}

/// Numbers of lines, from 1. The parser's own are one behind where lines end in CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a row. Rows come in order.
    fn of(&mut self, row: Option<&csv::Position>) -> u64 {
        let start = row.and_then(|row| usize::try_from(row.byte()).ok()).unwrap_or(self.byte);
        while let Some(&byte) = self.bytes.get(self.byte) {
            if self.byte >= start && byte != b'\r' && byte != b'\n' {
                break;
            }
            self.line += u64::from(byte == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

fn describe(kind: &csv::ErrorKind, lines: &mut Lines<'_>) -> String {
    match kind {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = lines.of(pos.as_ref());
            format!("line {line} has {len} cells, but the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, err } => {
            format!("line {} is not UTF-8: {err}", lines.of(pos.as_ref()))
        }
        other => format!("{other:?}"),
    }
}

/// Faults as one line of text.
pub(crate) fn list(faults: &[impl Display]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_of_another_length_are_named_by_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,\"2", "3\"", "", "4", "5,6", "7,8,9", ""].join(end);
            fs::write(&path, text).unwrap();
            let error = Table::read(&path).map(|_| ()).unwrap_err().to_string();
            let expected = "line 5 has 1 cells, but the header has 2; \
                            line 7 has 3 cells, but the header has 2";
            assert!(error.ends_with(expected), "{error}");
        }
        fs::write(&path, b"a,b\n\xff,1\n").unwrap();
        let error = Table::read(&path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("line 2 is not UTF-8"), "{error}");
    }

    #[test]
    fn all_columns_that_are_wrong_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        fs::write(&path, "a,c,d\n").unwrap();
        let error = Table::read(&path).unwrap().check(&path, &["a", "b", "x"], &["d"]).unwrap_err();
        let TableError::Columns { missing, unknown, .. } = error else { panic!("{error}") };
        assert_eq!((missing, unknown), (vec!["b".into(), "x".into()], vec!["c".into()]));
    }
}
