//! Tells what an image file holds, as one JSON object.
//!
//! ```text
//! cargo run --release --example inspect -- cell_07.ome.tiff
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::process::ExitCode;

use segmenter::io::AnyStack;
use serde_json::json;
use sha2::{Digest, Sha256};

mod support;
use support::{AnyError, Args, Asked};

const HELP: &str = "\
Tells what an image file holds, as one JSON object.

Usage: inspect FILE

  axes           spatial axes, slowest first: \"YX\" or \"ZYX\"
  extent         voxels along each of them
  channels       number of channels
  channel_names  one name or null a channel
  pixel_type     u8, i8, u16, i16, u32 or f32
  voxel_size_um  micrometres along each axis, or null where the file doesn't tell
  min, max       smallest and largest intensity
  sha256         of the pixels as little-endian bytes in c, z, y, x order";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&[], &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    let image = AnyStack::open(args.word("FILE")?)?;
    let mut hash = Sha256::new();
    image.visit_le_bytes(|bytes| hash.update(bytes));
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let (min, max) = image.range().unzip();
    let report = json!({
        "axes": image.axes().to_string(),
        "extent": image.extent(),
        "channels": image.channels(),
        "channel_names": image.channel_names(),
        "pixel_type": image.pixel_type(),
        "voxel_size_um": image.voxel_size(),
        "min": min,
        "max": max,
        "sha256": sha256,
    });
    println!("{report:#}");
    Ok(())
}
