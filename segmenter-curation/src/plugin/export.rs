//! Writing the plugin's files.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, Write},
    path::{Path, PathBuf},
};

use csv::{Terminator, WriterBuilder};
use segmenter_core::{
    Region,
    io::{Existing, SaveError, npy::write_polygons, write_whole},
};

use super::{Base, COLUMNS, Channels, Row};
use crate::{Merge, MergeRule, Record, Split};

/// Why records were not written for the plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Regions have holes or are limited to slices, which the plugin's masks can't say.
    #[error("the plugin knows no holes and no limits in z, but regions of {names:?} have them")]
    Regions {
        /// The names of all such records.
        names: Vec<String>,
    },
    /// Records have more than two segmentations, or merge them by another rule than to take the
    /// other, which the plugin's tables can't say.
    #[error(
        "the plugin knows two segmentations, and takes the other inside a region, but {names:?} \
         have more of them or another rule; save what they make of each image first"
    )]
    Segmentations {
        /// The names of all such records.
        names: Vec<String>,
    },
    /// Raw images in different folders have the same name, so that their masks would.
    #[error("several raw images are called {stems:?}, and the plugin names masks by them")]
    SameName {
        /// All such names, without ending.
        stems: Vec<String>,
    },
    /// Records differ in the channels that are meant; the plugin has one choice for all.
    #[error(
        "the records {names:?} mean other channels than the first, and the plugin has one choice"
    )]
    Channels {
        /// The names of all such records.
        names: Vec<String>,
    },
    /// A path can't be made absolute.
    #[error("{path}: can't be made absolute")]
    Absolute {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file can't be written.
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// Writes an experiment of the plugin: tables, masks and the choice of channels. What the plugin's
/// files can't say is found before the first is written, and each is written whole or not at all.
///
/// The plugin makes `val.csv` and `test.csv` of the same rows; here they are what the split says. It
/// has no names and no decisions either: a record is read back as one to use, and called by its raw
/// image.
///
/// # Errors
/// If the plugin's files can't say what a record says, or a file exists and may not be replaced or
/// can't be written.
pub fn export(
    experiment: impl AsRef<Path>,
    split: &Split<Record>,
    existing: Existing,
) -> Result<(), ExportError> {
    let experiment = absolute(experiment.as_ref())?;
    let parts = [&split.train, &split.validation, &split.test];
    let records: Vec<&Record> = parts.into_iter().flatten().collect();
    check_segmentations(&records)?;
    check_regions(&records)?;
    check_names(&records)?;
    let channels = shared_channels(&records)?;
    for record in &records {
        if let Some(path) = merge_mask(&experiment, record) {
            write_polygons(path, &polygons(merge_regions(record)), existing)?;
        }
        if let Some(path) = exclude_mask(&experiment, record) {
            write_polygons(path, &polygons(&record.exclude), existing)?;
        }
    }
    let data = experiment.join("data");
    for (part, name) in parts.into_iter().zip(["train.csv", "val.csv", "test.csv"]) {
        let rows = part.iter().map(|record| row(&experiment, record));
        write_rows(data.join(name), &rows.collect::<Result<Vec<_>, _>>()?, existing)?;
    }
    write_whole(&data.join("selected_channels.json"), existing, |file| {
        Ok(serde_json::to_writer(file, &channels)?)
    })?;
    Ok(())
}

/// Writes a table with these paths as they are, byte for byte as the plugin writes it.
///
/// # Errors
/// If a path is not Unicode, or the file exists and may not be replaced or can't be written.
pub fn write_rows(
    path: impl AsRef<Path>,
    rows: &[Row],
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let foreign: Vec<&Path> = rows
        .iter()
        .flat_map(Row::files)
        .map(|(_, file)| file)
        .filter(|f| f.to_str().is_none())
        .collect();
    if !foreign.is_empty() {
        let reason =
            format!("the table is UTF-8, and the names {foreign:?} are not; rename the files");
        return Err(SaveError::Unsupported { path: path.to_owned(), reason });
    }
    write_whole(path, existing, |file| write(file, rows))
}

fn write(file: impl Write, rows: &[Row]) -> io::Result<()> {
    let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(file);
    table.write_record([""].iter().chain(&COLUMNS))?;
    for (index, row) in rows.iter().enumerate() {
        let named: BTreeMap<_, _> = row.files().into_iter().collect();
        let base = match row.base {
            Base::Seg1 => "seg1",
            Base::Seg2 => "seg2",
        };
        table.write_field(index.to_string())?;
        for column in &COLUMNS[..5] {
            let file = named.get(column).map_or(OsStr::new(""), |file| file.as_os_str());
            table.write_field(file.as_encoded_bytes())?;
        }
        table.write_field(base)?;
        table.write_record(None::<&[u8]>)?;
    }
    table.flush()
}

fn check_segmentations(records: &[&Record]) -> Result<(), ExportError> {
    let other = |merge: &Merge| merge.rule != MergeRule::Replace;
    let foreign =
        |record: &Record| record.segmentations.len() > 2 || record.merges.iter().any(other);
    let names: Vec<String> =
        records.iter().filter(|record| foreign(record)).map(|record| record.name.clone()).collect();
    if names.is_empty() { Ok(()) } else { Err(ExportError::Segmentations { names }) }
}

fn check_regions(records: &[&Record]) -> Result<(), ExportError> {
    let simple = |region: &Region| {
        let polygon = region.as_polygon();
        region.slices().is_none() && polygon.is_some_and(|polygon| polygon.interiors().is_empty())
    };
    let all_simple = |record: &Record| merge_regions(record).chain(&record.exclude).all(simple);
    let names: Vec<String> =
        records.iter().filter(|r| !all_simple(r)).map(|record| record.name.clone()).collect();
    if names.is_empty() { Ok(()) } else { Err(ExportError::Regions { names }) }
}

fn check_names(records: &[&Record]) -> Result<(), ExportError> {
    let mut counts = BTreeMap::<String, usize>::new();
    for record in records {
        *counts.entry(stem(record.raw.path())).or_default() += 1;
    }
    let stems: Vec<String> =
        counts.into_iter().filter(|&(_, count)| count > 1).map(|(stem, _)| stem).collect();
    if stems.is_empty() { Ok(()) } else { Err(ExportError::SameName { stems }) }
}

fn shared_channels(records: &[&Record]) -> Result<Channels, ExportError> {
    let channels = records.first().map(|record| Channels::of(record)).unwrap_or_default();
    let others = records.iter().filter(|record| Channels::of(record) != channels);
    let names: Vec<String> = others.map(|record| record.name.clone()).collect();
    if names.is_empty() { Ok(channels) } else { Err(ExportError::Channels { names }) }
}

fn row(experiment: &Path, record: &Record) -> Result<Row, ExportError> {
    Ok(Row {
        raw: absolute(record.raw.path())?,
        seg1: absolute(record.segmentations[0].path())?,
        seg2: record.segmentations.get(1).map(|seg| absolute(seg.path())).transpose()?,
        merge_mask: merge_mask(experiment, record),
        exclude_mask: exclude_mask(experiment, record),
        base: if record.base == 0 { Base::Seg1 } else { Base::Seg2 },
    })
}

fn merge_regions(record: &Record) -> impl Iterator<Item = &Region> {
    record.merges.iter().map(|merge| &merge.region)
}

fn merge_mask(experiment: &Path, record: &Record) -> Option<PathBuf> {
    let name = format!("merging_mask_{}.npy", stem(record.raw.path()));
    (!record.merges.is_empty()).then(|| experiment.join("merging_masks").join(name))
}

fn exclude_mask(experiment: &Path, record: &Record) -> Option<PathBuf> {
    let name = format!("excluding_mask_{}.npy", stem(record.raw.path()));
    (!record.exclude.is_empty()).then(|| experiment.join("excluding_masks").join(name))
}

/// The name without its last ending, as Python's `Path.stem`: `im_0.ome` of `im_0.ome.tiff`.
fn stem(raw: &Path) -> String {
    raw.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn absolute(path: &Path) -> Result<PathBuf, ExportError> {
    let fail = |source| ExportError::Absolute { path: path.to_owned(), source };
    std::path::absolute(path).map_err(fail)
}

/// The points of regions as (y, x). napari doesn't repeat the first point at the end; geo does.
fn polygons<'a>(regions: impl IntoIterator<Item = &'a Region>) -> Vec<Vec<[f64; 2]>> {
    let points = |region: &Region| {
        let ring = &region.as_polygon()?.exterior().0;
        let open = ring.len().saturating_sub(1).max(1);
        Some(ring.iter().take(open).map(|point| [point.y, point.x]).collect())
    };
    regions.into_iter().filter_map(points).collect()
}
