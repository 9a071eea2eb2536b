//! Records in files, whose paths are below a root.

use std::path::{Path, PathBuf};

use segmenter_core::Region;
use serde::{Deserialize, Serialize};

use crate::{Decision, ImagePath, Merge, Record, path};

/// A record as it stands in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    name: String,
    raw: Image,
    segmentations: Vec<Image>,
    #[serde(default)]
    base: usize,
    #[serde(default)]
    merge: Vec<Merge>,
    #[serde(default)]
    exclude: Vec<Region>,
    #[serde(default)]
    decision: Decision,
}

/// An image in the file: its path below the root, and the channel that is meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<usize>,
}

impl Image {
    fn new(image: &ImagePath, relative: &mut impl FnMut(&Path) -> String) -> Self {
        Self { file: relative(image.path()), channel: image.channel() }
    }

    fn below(self, root: &Path) -> ImagePath {
        ImagePath::new(root.join(self.file)).with_channel(self.channel)
    }
}

impl Entry {
    /// The entries of records whose files are below a root, or all files that are not.
    pub(crate) fn all<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        root: &Path,
    ) -> Result<Vec<Self>, Vec<PathBuf>> {
        let mut outside = Vec::new();
        let mut relative = |path: &Path| {
            path::below(root, path).unwrap_or_else(|| {
                outside.push(path.to_owned());
                String::new()
            })
        };
        let entries = records.into_iter().map(|record| Self::new(record, &mut relative)).collect();
        if outside.is_empty() { Ok(entries) } else { Err(outside) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn new(record: &Record, relative: &mut impl FnMut(&Path) -> String) -> Self {
        Self {
            name: record.name.clone(),
            raw: Image::new(&record.raw, relative),
            segmentations: record
                .segmentations
                .iter()
                .map(|image| Image::new(image, relative))
                .collect(),
            base: record.base,
            merge: record.merges.clone(),
            exclude: record.exclude.clone(),
            decision: record.decision.clone(),
        }
    }

    /// Whether the record has the segmentations that it speaks of.
    pub(crate) fn is_whole(&self) -> bool {
        let there = |segmentation: usize| segmentation < self.segmentations.len();
        there(self.base) && self.merge.iter().all(|merge| there(merge.from))
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        [&self.raw].into_iter().chain(&self.segmentations).map(|image| image.file.as_str())
    }

    pub(crate) fn into_record(self, root: &Path) -> Record {
        Record {
            name: self.name,
            raw: self.raw.below(root),
            segmentations: self.segmentations.into_iter().map(|image| image.below(root)).collect(),
            base: self.base,
            merges: self.merge,
            exclude: self.exclude,
            decision: self.decision,
        }
    }
}
