//! Selections of ImageJ: one in a `.roi` file, several in `RoiSet.zip`.
//!
//! The format is that of `ij.io.RoiDecoder` and `RoiEncoder` of ImageJ 1.54: a header of 64 bytes,
//! big-endian, coordinates, and a second header with position and name.
//!
//! # Coordinates
//! In areas (polygons, rectangles, ovals), (0, 0) is the outer corner of the first pixel, and the
//! region's points are half a pixel less. In lines and points, whole numbers are the centres of pixels,
//! as in a region (`ij.gui.Roi.useLineSubpixelConvention`).
//!
//! # Which pixels
//! Those whose centres are inside, as everywhere here. ImageJ has a rule for each kind of selection,
//! which can differ where a centre lies on an outline.

mod decode;
mod encode;
mod header;
mod outline;

use std::{fs::File, path::Path};

use segmenter_core::io::{
    Existing, SaveError, write_whole,
    zip::{Archive, ArchiveWriter},
};

use crate::regions::{Ignored, LIMIT, NamedRegion, Regions, RegionsError, bytes};

/// From the corner of a pixel to its centre.
const HALF: f64 = 0.5;

/// Reads the selection in a `.roi` file, if it is one that has pixels, and lists what is not kept.
///
/// Polygons, free-hand and traced outlines, rectangles with round corners or without, ovals, fitted
/// ellipses and composites are what they enclose. Lines are as wide as they are drawn, at least a
/// pixel. A point is the pixel that it lies in. A selection is in the slice that it names, or in all.
/// The class is the number of the group, if it has one. Texts and pictures have no pixels: they are
/// listed, and so is what ties a selection to a channel or a time.
///
/// # Errors
/// If the file can't be read, is cut off or damaged, or has an outline that is not known here, such
/// as one through which a spline is fitted.
pub fn read_roi(
    path: impl AsRef<Path>,
) -> Result<(Option<NamedRegion>, Vec<Ignored>), RegionsError> {
    let path = path.as_ref();
    let mut found = Regions::default();
    decode::decode(&bytes(path)?, "selection", &mut found)
        .map_err(|fault| fault.in_file(path, "selection"))?;
    Ok((found.regions.pop(), found.ignored))
}

/// Reads the selections in a `RoiSet.zip`, sorted by the names of its entries. Entries that do not end
/// in `.roi` are listed and not read.
///
/// # Errors
/// If the file can't be read or is no archive, or as [`read_roi`].
pub fn read_roi_set(path: impl AsRef<Path>) -> Result<Regions, RegionsError> {
    let path = path.as_ref();
    let archive = |source| RegionsError::Archive { path: path.to_owned(), source };
    let file =
        File::open(path).map_err(|source| RegionsError::Io { path: path.to_owned(), source })?;
    let mut entries = Archive::new(file, LIMIT).map_err(archive)?;
    let names: Vec<String> = entries.names().map(str::to_owned).collect();
    let mut found = Regions::default();
    for name in names {
        if !name.to_ascii_lowercase().ends_with(".roi") {
            let what = "it is no selection".to_owned();
            found.ignored.push(Ignored { at: name, what });
            continue;
        }
        let content = entries.read(&name).map_err(archive)?;
        decode::decode(&content, &name, &mut found).map_err(|fault| fault.in_file(path, &name))?;
    }
    Ok(found)
}

/// Writes one selection into a `.roi` file.
///
/// Rectangles, polygons, ellipses and paths become ImageJ's own; a union of polygons, or one with
/// holes, becomes a composite. Coordinates are in single precision.
///
/// # Errors
/// If ImageJ has nothing for the region: a painted mask, whole slices, a difference, or some of
/// several slices; if it lies beyond what ImageJ's numbers reach; if the file exists and may not be
/// replaced, or can't be written.
pub fn write_roi(
    path: impl AsRef<Path>,
    region: &NamedRegion,
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let content = encode::encode(region).map_err(|reason| unsupported(path, reason))?;
    write_whole(path, existing, |file| std::io::Write::write_all(file, &content))
}

/// Writes selections into a `RoiSet.zip`. Its entries are numbered, so that they keep their order.
///
/// # Errors
/// As [`write_roi`].
pub fn write_roi_set(
    path: impl AsRef<Path>,
    regions: &[NamedRegion],
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let encode = |(index, region)| {
        let fail = |reason| unsupported(path, format!("region {index}: {reason}"));
        encode::encode(region).map_err(fail)
    };
    let contents = regions.iter().enumerate().map(encode).collect::<Result<Vec<_>, _>>()?;
    write_whole(path, existing, |file| {
        let mut archive = ArchiveWriter::new(file);
        for (index, content) in contents.iter().enumerate() {
            archive.add(&format!("{:06}.roi", index + 1), content)?;
        }
        archive.finish()
    })
}

fn unsupported(path: &Path, reason: String) -> SaveError {
    SaveError::Unsupported { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests;
