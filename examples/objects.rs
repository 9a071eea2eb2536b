//! Makes objects of a mask: a label image, and a table of what each object is like.
//!
//! ```text
//! cargo run --release --example objects -- --mask nuclei_mask.ome.tif --output labels.ome.tif --table objects.csv
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{ops::ControlFlow, path::Path, process::ExitCode};

use segmenter::{
    Labels, Mask, Source, Space, Yx, Zyx,
    core::{Connectivity, NewImage},
    io::{self, Axes, Dataset, ImageFile, SaveOptions},
    objects::{self, Labelling, Length, Progress, Sides, Split, Volume},
};

mod support;
use support::{AnyError, Args, Asked, UsageError};

const HELP: &str = "\
Makes objects of a mask: a label image, and a table of what each object is like.

Usage: objects --mask MASK --output LABELS [--table TABLE] [options]

  --mask MASK       an image; what is above 0 is in the mask
  --output LABELS   an OME-TIFF of ids, 1, 2, 3 and so on; 0 is background
  --table TABLE     a CSV of one line an object
  --image IMAGE     whose intensities to measure

  --connectivity C  voxels are connected that share a face (the default), an
                    edge or a corner
  --min-size N      leaves out objects of less than N µm³, in a plane µm²
  --min-voxels N    leaves out objects of less than N voxels
  --no-border       leaves out objects that touch a side of the image
  --no-lateral      the same, where the first and last slice are no sides

These need the mask in memory:

  --open N          takes away what a ball of a radius of N µm does not fit into
  --close N         closes gaps that a ball of a radius of N µm does not fit into
  --fill-holes      fills what is shut off from the outside
  --split N         takes objects apart at necks that are N µm thinner, measured
                    from their middle outwards, than the thinner of both sides
  --largest         the largest object alone

Without them, the mask may be larger than memory.";

/// Options that take the mask as a whole.
const WHOLE: [&str; 5] = ["open", "close", "fill-holes", "split", "largest"];

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let options = [
        "mask",
        "output",
        "table",
        "image",
        "connectivity",
        "min-size",
        "min-voxels",
        "open",
        "close",
        "split",
    ];
    let switches = ["fill-holes", "largest", "no-border", "no-lateral"];
    let Asked::Run(args) = Args::read(&options, &switches)? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    match io::probe(args.path("mask")?)?.axes {
        Axes::Yx => objects::<Yx>(&args),
        Axes::Zyx => objects::<Zyx>(&args),
    }
}

fn objects<S: Space>(args: &Args) -> Result<(), AnyError> {
    let output = args.path("output")?;
    let table_path = args.get("table").map(Path::new);
    if let Some(path) = table_path.filter(|path| path.exists()) {
        return Err(format!("{}: already exists", path.display()).into());
    }
    if WHOLE.iter().any(|option| args.has(option)) {
        in_memory::<S>(args)?.save(&output)?;
    } else {
        streamed::<S>(args, &output)?;
    }
    let labels = Dataset::open(&output)?.image::<S>()?;
    let image = args.get("image").map(Dataset::open).transpose()?;
    let names = image.as_ref().map(Dataset::channel_names).unwrap_or_default();
    let image: Option<ImageFile<S>> = image.map(|image| image.image()).transpose()?;
    let image = image.as_ref().map(|image| image as &dyn Source<S, f32>);
    let mut table = with_bar("measuring", |go| objects::measure(&labels, image, go))?;
    for (channel, name) in table.channels.iter_mut().zip(names) {
        *channel = name.unwrap_or_else(|| channel.clone());
    }
    println!("{} objects", table.objects.len());
    if let Some(path) = table_path {
        table.save(path)?;
    }
    Ok(())
}

/// Labels a mask that may be larger than memory.
fn streamed<S: Space>(args: &Args, output: &Path) -> Result<(), AnyError> {
    let mask = Dataset::open(args.path("mask")?)?.image::<S>()?;
    let mut labelling = Labelling::new().with_connectivity(connectivity(args)?);
    if let Some(least) = least(args)? {
        labelling = labelling.without_small(least);
    }
    if let Some(sides) = sides(args) {
        labelling = labelling.without_touching(sides);
    }
    let image = NewImage::<S, u32>::labels(mask.extent()).with_voxel_size(mask.voxel_size());
    let sink = Box::new(SaveOptions::new().create(&image, output)?);
    let left = with_bar("labelling", |go| objects::label(&mask, sink, &labelling, go))?;
    println!("{} left out as small, {} at a side", left.small, left.touching);
    Ok(())
}

/// Labels a mask in memory, where it can be cleaned up and split.
fn in_memory<S: Space>(args: &Args) -> Result<Labels<S>, AnyError> {
    let mut mask = Mask::<S>::open(args.path("mask")?)?;
    if let Some(radius) = args.parse("close")? {
        mask = mask.closed(Length::Micrometres(radius))?;
    }
    if args.has("fill-holes") {
        mask = mask.fill_holes()?;
    }
    if let Some(radius) = args.parse("open")? {
        mask = mask.opened(Length::Micrometres(radius))?;
    }
    let connectivity = connectivity(args)?;
    let mut labels = match args.parse("split")? {
        None => mask.components(connectivity)?.labels,
        Some(neck) => {
            mask.split(&Split::new(Length::Micrometres(neck)).with_connectivity(connectivity))?
        }
    };
    if let Some(least) = least(args)? {
        labels = labels.without_small(least)?;
    }
    if let Some(sides) = sides(args) {
        labels = labels.without_touching(sides);
    }
    if args.has("largest") {
        labels = labels.largest();
    }
    Ok(labels.sequential())
}

fn connectivity(args: &Args) -> Result<Connectivity, UsageError> {
    match args.parse::<String>("connectivity")?.as_deref() {
        None | Some("face") => Ok(Connectivity::Face),
        Some("edge") => Ok(Connectivity::Edge),
        Some("corner") => Ok(Connectivity::Corner),
        Some(other) => {
            Err(UsageError(format!("--connectivity is face, edge or corner, found {other}")))
        }
    }
}

fn least(args: &Args) -> Result<Option<Volume>, UsageError> {
    match (args.parse("min-size")?, args.parse("min-voxels")?) {
        (Some(_), Some(_)) => {
            Err(UsageError("--min-size and --min-voxels exclude each other".into()))
        }
        (volume, voxels) => Ok(volume.map(Volume::Micrometres).or(voxels.map(Volume::Voxels))),
    }
}

fn sides(args: &Args) -> Option<Sides> {
    let lateral = args.has("no-lateral").then_some(Sides::LATERAL);
    args.has("no-border").then_some(Sides::ALL).or(lateral)
}

/// Does something under a progress bar.
fn with_bar<T, E>(
    what: &str,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<T, E>,
) -> Result<T, E> {
    let bar = support::bar(0, what);
    let done = work(&mut |now| {
        bar.set_length(now.total as u64);
        bar.set_position(now.done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    done
}
