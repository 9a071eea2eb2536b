//! What was curated for each image: its files, and the polygons in its masks.

use std::path::{Path, PathBuf};

use segmenter_core::{
    Region,
    io::{image_stem, npy::read_polygons},
};

use super::{Base, MaskFault, Places, PluginError, Row, first_fault, gather_rows};
use crate::{Decision, ImagePath, Merge, MergeRule, Record};

/// Reads a table and the masks that it names. The records are decided to be used: the plugin writes
/// only those.
///
/// With a root, each file is looked for below it, by the longest end of its path that is there: the
/// table of another machine is read where the data is now. Without, paths are taken as they are.
/// [`Experiment::open`](super::Experiment::open) reads all tables of an experiment.
///
/// # Errors
/// If the table or a mask can't be read; or with every row that is wrong, every file that is missing
/// or every mask that is damaged.
pub fn read_records(
    path: impl AsRef<Path>,
    root: Option<&Path>,
) -> Result<Vec<Record>, PluginError> {
    let (rows, mut faults) = gather_rows(path.as_ref(), Places { root, experiment: None });
    let (records, masks) = gather_records(rows);
    faults.extend(masks);
    first_fault((records, faults))
}

/// The records of rows, and everything that is wrong with their masks.
pub(super) fn gather_records(rows: Vec<Row>) -> (Vec<Record>, Option<PluginError>) {
    let mut faults = Vec::new();
    let records = rows.into_iter().map(|row| record(row, &mut faults)).collect();
    (records, (!faults.is_empty()).then_some(PluginError::Masks { faults }))
}

fn record(row: Row, faults: &mut Vec<MaskFault>) -> Record {
    // A mask that is not there has been told of.
    let there = |mask: Option<PathBuf>| mask.filter(|mask| mask.is_file());
    let mut regions = |mask| there(mask).map(|mask| read_mask(&mask, faults)).unwrap_or_default();
    let (merge_regions, exclude) = (regions(row.merge_mask), regions(row.exclude_mask));
    let mut record = Record::new(name(&row.raw), row.raw, row.seg1);
    record.segmentations.extend(row.seg2.map(ImagePath::new));
    let (base, from) = match row.base {
        Base::Seg1 => (0, 1),
        Base::Seg2 => (1, 0),
    };
    let merge = |region| Merge { from, rule: MergeRule::Replace, region };
    let merges = merge_regions.into_iter().map(merge).collect();
    Record { base, merges, exclude, decision: Decision::Use, ..record }
}

fn name(raw: &Path) -> String {
    let file = raw.file_name().unwrap_or_default().to_string_lossy();
    image_stem(&file).unwrap_or(&file).to_owned()
}

/// The regions in a mask of the plugin, in the order in which they were drawn.
fn read_mask(path: &Path, faults: &mut Vec<MaskFault>) -> Vec<Region> {
    let polygons = read_polygons(path).unwrap_or_else(|fault| {
        faults.push(fault.into());
        Vec::new()
    });
    let mut regions = Vec::new();
    for (polygon, points) in polygons.into_iter().enumerate() {
        match Region::polygon(points.into_iter().map(|[y, x]| (x, y))) {
            Ok(region) => regions.push(region),
            Err(source) => {
                faults.push(MaskFault::Region { path: path.to_owned(), polygon, source });
            }
        }
    }
    regions
}
