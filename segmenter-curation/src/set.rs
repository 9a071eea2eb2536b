//! A data set under curation, and the file that keeps it.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use segmenter_core::io::{Existing, SaveError, write_whole};
use serde::{Deserialize, Serialize};

use crate::{Decision, Record, entry::Entry, path};

/// The version of the file that this code writes, and the only one that it reads.
const VERSION: u32 = 2;

/// The images of a data set and what was decided for each, in order.
///
/// The file is JSON. Paths in it are relative to a root folder, so that the data set can move as a
/// whole, and points of regions are `[x, y]` in pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurationSet {
    records: Vec<Record>,
}

/// Why a data set's file was not written or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The file can't be read.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not a curation file, or a damaged one.
    #[error("{path}: not a curation file, or a damaged one")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The file was written by a later version of this crate.
    #[error("{path}: is of version {found}, but this program reads version {VERSION}; update it")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
    },
    /// Records contradict themselves.
    #[error(
        "{path}: records {names:?} start from or merge with segmentations that they don't have"
    )]
    NoSegmentation {
        /// The file.
        path: PathBuf,
        /// The names of the records.
        names: Vec<String>,
    },
    /// Images are outside of the root, or their names are not Unicode.
    #[error("{files:?}: not below the root {root}; choose a root that holds all images")]
    OutsideRoot {
        /// The root.
        root: PathBuf,
        /// All such files.
        files: Vec<PathBuf>,
    },
    /// Images are not there.
    #[error("{path}: the images {files:?} are missing; name the root folder they are in now")]
    Missing {
        /// The curation file.
        path: PathBuf,
        /// All files that are not there.
        files: Vec<PathBuf>,
    },
    /// The file can't be written.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl CurationSet {
    /// A set of records, or of [`Pair`](crate::Pair)s, of which nothing is decided yet.
    #[must_use]
    pub fn new<R: Into<Record>>(records: impl IntoIterator<Item = R>) -> Self {
        Self { records: records.into_iter().map(Into::into).collect() }
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, for deciding and drawing.
    #[must_use]
    pub fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }

    /// The first record of this name, for deciding and drawing.
    #[must_use]
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.name() == name)
    }

    /// The records that were decided to be used.
    pub fn used(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| *record.decision() == Decision::Use)
    }

    /// Writes the set, whole or not at all. An existing file is replaced: saving is how work on a
    /// set goes on.
    ///
    /// # Errors
    /// If an image is not below the root, or the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>, root: impl AsRef<Path>) -> Result<(), SetError> {
        let root = root.as_ref();
        let records = Entry::all(&self.records, root)
            .map_err(|files| SetError::OutsideRoot { root: root.to_owned(), files })?;
        let document = Document { version: VERSION, records };
        write_whole(path.as_ref(), Existing::Replace, |file| {
            serde_json::to_writer_pretty(&mut *file, &document)?;
            writeln!(file)
        })?;
        Ok(())
    }

    /// Reads a set whose images are below this root.
    ///
    /// # Errors
    /// If the file can't be read, is damaged or of another version, or images are missing.
    pub fn open(path: impl AsRef<Path>, root: impl AsRef<Path>) -> Result<Self, SetError> {
        let (path, root) = (path.as_ref(), root.as_ref());
        let io = |source| SetError::Io { path: path.to_owned(), source };
        let malformed = |source| SetError::Malformed { path: path.to_owned(), source };
        let text = fs::read(path).map_err(io)?;
        let Versioned { version } = serde_json::from_slice(&text).map_err(malformed)?;
        if version != VERSION {
            return Err(SetError::Version { path: path.to_owned(), found: version });
        }
        let document: Document = serde_json::from_slice(&text).map_err(malformed)?;
        document.check(path, root)?;
        let records = document.records.into_iter().map(|entry| entry.into_record(root));
        Ok(Self { records: records.collect() })
    }
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    records: Vec<Entry>,
}

impl Document {
    fn check(&self, path: &Path, root: &Path) -> Result<(), SetError> {
        let path = || path.to_owned();
        let names: Vec<String> = self
            .records
            .iter()
            .filter(|entry| !entry.is_whole())
            .map(|entry| entry.name().to_owned())
            .collect();
        if !names.is_empty() {
            return Err(SetError::NoSegmentation { path: path(), names });
        }
        let files = || self.records.iter().flat_map(Entry::files);
        let outside: Vec<PathBuf> =
            files().filter(|f| path::join(root, f).is_none()).map(PathBuf::from).collect();
        if !outside.is_empty() {
            return Err(SetError::OutsideRoot { root: root.to_owned(), files: outside });
        }
        let files = files().map(|file| root.join(file)).filter(|file| !file.is_file());
        let files = Vec::from_iter(BTreeSet::from_iter(files));
        if files.is_empty() { Ok(()) } else { Err(SetError::Missing { path: path(), files }) }
    }
}

#[cfg(test)]
mod tests {
    use segmenter_core::Region;
    use tempfile::TempDir;

    use super::*;
    use crate::ImagePath;

    /// A root with three empty files, and a set of two records over them.
    fn set() -> (TempDir, CurationSet) {
        let root = tempfile::tempdir().unwrap();
        for name in ["raw.tif", "seg1.tif", "seg2.tif"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        let file = |name| root.path().join(name);
        let dot = Region::polygon([(1.5, 2.0)]).unwrap().through_z(3..=4);
        let mut first = Record::new("first", file("raw.tif"), file("seg1.tif"))
            .with_segmentation(file("seg2.tif"));
        first.merge(dot.clone()).unwrap();
        first.set_base(1).unwrap();
        first.decide(Decision::Use);
        let raw = ImagePath::new(file("raw.tif")).with_channel(1);
        let mut second = Record::new("second", raw, file("seg1.tif"));
        second.exclude(dot);
        second.decide(Decision::DontUse { reason: "out of focus".to_owned() });
        (root, CurationSet::new([first, second]))
    }

    #[test]
    fn a_set_is_read_back_equal_also_after_it_moved() {
        let (root, set) = set();
        let path = root.path().join("curation.json");
        set.save(&path, root.path()).unwrap();
        assert_eq!(CurationSet::open(&path, root.path()).unwrap(), set);

        let moved = tempfile::tempdir().unwrap();
        for name in ["raw.tif", "seg1.tif", "seg2.tif", "curation.json"] {
            fs::copy(root.path().join(name), moved.path().join(name)).unwrap();
        }
        let set = CurationSet::open(moved.path().join("curation.json"), moved.path()).unwrap();
        assert_eq!(set.records()[0].raw().path(), moved.path().join("raw.tif"));
    }

    #[test]
    fn only_what_was_decided_to_be_used_is() {
        let (_root, mut set) = set();
        assert_eq!(set.used().map(Record::name).collect::<Vec<_>>(), ["first"]);
        set.find_mut("first").unwrap().decide(Decision::Undecided);
        assert_eq!(set.used().count(), 0);
        assert!(set.find_mut("third").is_none());
    }

    #[test]
    fn all_images_that_are_missing_are_named() {
        let (root, set) = set();
        let path = root.path().join("curation.json");
        set.save(&path, root.path()).unwrap();
        fs::remove_file(root.path().join("seg1.tif")).unwrap();
        fs::remove_file(root.path().join("seg2.tif")).unwrap();
        let Err(SetError::Missing { files, .. }) = CurationSet::open(&path, root.path()) else {
            panic!("opened without its images")
        };
        let expected = ["seg1.tif", "seg2.tif"].map(|name| root.path().join(name));
        assert_eq!(files, expected);
    }

    #[test]
    fn images_outside_of_the_root_are_refused_both_ways() {
        let (root, set) = set();
        let path = root.path().join("curation.json");
        let error = set.save(&path, root.path().join("inner")).unwrap_err();
        assert!(matches!(error, SetError::OutsideRoot { files, .. } if files.len() == 5));
        assert!(!path.exists());

        set.save(&path, root.path()).unwrap();
        let text = fs::read_to_string(&path).unwrap().replace("\"raw.tif\"", "\"../raw.tif\"");
        fs::write(&path, text).unwrap();
        let error = CurationSet::open(&path, root.path()).unwrap_err();
        assert!(matches!(error, SetError::OutsideRoot { files, .. } if files.len() == 2));
    }

    #[test]
    fn a_file_that_is_no_set_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("curation.json");
        let open = |text: &str| {
            fs::write(&path, text).unwrap();
            CurationSet::open(&path, root.path()).unwrap_err()
        };
        assert!(matches!(open("not JSON"), SetError::Malformed { .. }));
        assert!(matches!(open(r#"{"version":1}"#), SetError::Version { found: 1, .. }));
        let record = r#"{"name":"a","raw":{"file":"r"},"segmentations":[{"file":"s"}],"base":1}"#;
        let text = format!(r#"{{"version":2,"records":[{record}]}}"#);
        assert!(matches!(open(&text), SetError::NoSegmentation { names, .. } if names == ["a"]));
        let missing = CurationSet::open(root.path().join("none.json"), root.path()).unwrap_err();
        assert!(matches!(missing, SetError::Io { .. }));
    }
}
