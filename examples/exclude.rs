//! Draws regions into a mask of the voxels that count: 1 counts, 0 is excluded.
//!
//! ```text
//! cargo run --release --example exclude -- --image cell_07.ome.tiff --regions shapes.csv --output counts.ome.tif
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::process::ExitCode;

use segmenter::{
    Mask, Region, Space, VoxelSize, Yx, Zyx,
    io::{self, Axes, ImageInfo},
};

mod support;
use support::{AnyError, Args, Asked};

const HELP: &str = "\
Draws regions into a mask of the voxels that count: 1 counts, 0 is excluded.

Usage: exclude --image IMAGE --regions FILE --output MASK

  --image IMAGE   the image that the regions were drawn on
  --regions FILE  shapes of napari (.csv), polygons of the Allen Cell Segmenter
                  (.npy), objects of QuPath (.geojson), selections of ImageJ
                  (.roi, RoiSet.zip), or a painted mask or label image
                  (TIFF, PNG)
  --output MASK   an OME-TIFF of bytes, with the image's voxel size

A region covers the voxels whose centres it holds, its edge included, in all
slices, or in those that the file names.";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&["image", "regions", "output"], &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    let info = io::probe(args.path("image")?)?;
    let regions = support::regions(&args.path("regions")?)?;
    match info.axes {
        Axes::Yx => exclude::<Yx>(&info, &regions, &args),
        Axes::Zyx => exclude::<Zyx>(&info, &regions, &args),
    }
}

fn exclude<S: Space>(info: &ImageInfo, regions: &[Region], args: &Args) -> Result<(), AnyError> {
    let extent = S::extent_from_fn(|axis| info.extent[axis]);
    let voxel_size = info.voxel_size.clone().map(VoxelSize::try_from).transpose()?;
    let counted = Mask::<S>::of_regions(extent, regions).inverted().with_voxel_size(voxel_size);
    counted.save(args.path("output")?)?;
    let voxels = counted.view().len();
    println!("{} regions exclude {} of {voxels} voxels", regions.len(), voxels - counted.count());
    Ok(())
}
