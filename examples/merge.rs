//! Merges two segmentations: the base, but the other inside regions.
//!
//! ```text
//! cargo run --release --example merge -- --base a.ome.tif --other b.ome.tif --regions shapes.csv --output merged.ome.tif
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{path::Path, process::ExitCode};

use segmenter::{
    Labels, Region, Space, Yx, Zyx,
    io::{self, Axes},
};

mod support;
use support::{AnyError, Args, Asked, with_causes};

const HELP: &str = "\
Merges two segmentations: the base, but the other inside regions.

Usage: merge --base A --other B --regions FILE --output MERGED

  --base A         a label image or mask
  --other B        another of the same extent
  --regions FILE   where the other counts: shapes of napari (.csv), polygons of
                   the Allen Cell Segmenter (.npy), objects of QuPath
                   (.geojson), selections of ImageJ (.roi, RoiSet.zip), or a
                   painted mask or label image (TIFF, PNG)
  --output MERGED  an OME-TIFF of 16-bit ids, or 32-bit if one needs it, with
                   the base's voxel size

A region covers the voxels whose centres it holds, its edge included, in all
slices, or in those that the file names. Ids are taken as they are.";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&["base", "other", "regions", "output"], &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    let base = args.path("base")?;
    let regions = support::regions(&args.path("regions")?)?;
    match io::probe(&base)?.axes {
        Axes::Yx => merge::<Yx>(&base, &regions, &args),
        Axes::Zyx => merge::<Zyx>(&base, &regions, &args),
    }
}

fn merge<S: Space>(base: &Path, regions: &[Region], args: &Args) -> Result<(), AnyError> {
    let other_path = args.path("other")?;
    let (base, other) = (Labels::<S>::open(base)?, Labels::<S>::open(&other_path)?);
    let inside = Region::any_of(regions.iter().cloned());
    let merged = base.merged_with(&other, &inside).map_err(|error| {
        format!("{}: does not fit the base: {}", other_path.display(), with_causes(&error))
    })?;
    merged.save(args.path("output")?)?;
    let changed = base.view().iter().zip(merged.view()).filter(|(a, b)| a != b).count();
    println!("{} regions change {changed} of {} voxels", regions.len(), merged.view().len());
    Ok(())
}
