//! Trains a model on images that the Allen Cell Segmenter ML plugin, or this library, curated.
//!
//! ```text
//! cargo run --release --example train -- --data experiment/data --output run
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
};

use segmenter::{
    Device, DynUNetConfig, Event, Model, Sample, Size, Space, TrainConfig, TrainingData, Yx, Zyx,
    curation::{Record, plugin},
    io::{self, Axes},
    train,
};

mod support;
use support::{AnyError, Args, Asked, UsageError, bar, with_causes};

const HELP: &str = "\
Trains a model on curated images.

Usage: train --data DIR --output RUN [options]

  --data DIR        holds train.csv and val.csv, with the columns
                    ,raw,seg1,seg2,merge_mask,exclude_mask,base_image
                    and, if channels were chosen, selected_channels.json
  --output RUN      receives best.safetensors, last.safetensors, config.json and
                    metrics.csv
  --root DIR        where the files are that the tables name with the paths of
                    another machine
  --size SIZE       small, medium or large                      [default: small]
  --from MODEL      go on from this model, or CytoDL checkpoint (.ckpt), instead
                    of a new one
  --patch Z,Y,X     extent of the patches (Y,X for planes)
                                     [default: 16,64,64, or 128,128 for planes]
  --epochs N        times that patches of every image are seen [default: enough
                    for 1000 steps]
  --seed S          every random choice follows from it             [default: 0]";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let options = ["data", "output", "root", "size", "from", "patch", "epochs", "seed"];
    let Asked::Run(args) = Args::read(&options, &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    let tables = Tables::read(&args)?;
    match io::probe(tables.first()?.raw().path())?.axes {
        Axes::Yx => train_on::<Yx>(&tables, &args),
        Axes::Zyx => train_on::<Zyx>(&tables, &args),
    }
}

/// The rows of both tables.
struct Tables {
    folder: PathBuf,
    train: Vec<Record>,
    validation: Vec<Record>,
}

impl Tables {
    fn read(args: &Args) -> Result<Self, AnyError> {
        let (folder, root) = (args.path("data")?, args.get("root").map(Path::new));
        let chosen = folder.join("selected_channels.json");
        let channels = match chosen.is_file() {
            true => plugin::read_channels(chosen)?,
            false => plugin::Channels::default(),
        };
        let read = |name: &str| -> Result<Vec<Record>, AnyError> {
            let records = plugin::read_records(folder.join(name), root)?;
            Ok(records.into_iter().map(|record| channels.choose(record)).collect())
        };
        Ok(Self { train: read("train.csv")?, validation: read("val.csv")?, folder })
    }

    fn first(&self) -> Result<&Record, AnyError> {
        let empty = || format!("{}: train.csv has no rows", self.folder.display());
        self.train.first().ok_or_else(|| empty().into())
    }
}

fn train_on<S: Space>(tables: &Tables, args: &Args) -> Result<(), AnyError> {
    let data = TrainingData::new(load::<S>(&tables.train)?, load(&tables.validation)?)?;
    let images = data.train().len();
    let (start, patch) = start::<S>(&data, args)?;
    let config = TrainConfig::new(patch).with_seed(args.parse("seed")?.unwrap_or(0));
    let config = match args.parse("epochs")? {
        Some(epochs) => config.with_epochs(epochs),
        None => config.with_steps(1000, images),
    };
    let progress = bar(0, "training");
    let output = args.path("output")?;
    let run = train(start, &data, &config, Some(&output), |event| {
        match event {
            Event::Started { steps, .. } => progress.set_length(*steps as u64),
            Event::Step { step, loss, .. } => {
                progress.set_position(*step as u64);
                progress.set_message(format!("loss {loss:.3}"));
            }
            Event::Epoch(report) => progress.suspend(|| {
                let dice =
                    report.validation_dice.map(|dice| format!(", validation Dice {dice:.4}"));
                let (epoch, epochs, loss) = (report.epoch, report.epochs, report.loss);
                println!("epoch {epoch} of {epochs}: loss {loss:.4}{}", dice.unwrap_or_default());
            }),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    progress.finish_and_clear();
    let dice = run.model.card().provenance.validation_dice;
    let dice = dice.map(|dice| format!(", validation Dice {dice:.4}")).unwrap_or_default();
    println!("{}{dice}", output.join("best.safetensors").display());
    Ok(())
}

/// Loads every image, or tells of all that can't be.
fn load<S: Space>(records: &[Record]) -> Result<Vec<Sample<S>>, AnyError> {
    let (samples, faults): (Vec<_>, Vec<_>) =
        records.iter().map(Record::load::<S>).partition(Result::is_ok);
    if faults.is_empty() {
        return Ok(samples.into_iter().flatten().collect());
    }
    let faults = faults.into_iter().filter_map(Result::err).map(|error| with_causes(&error));
    let faults: Vec<String> = faults.collect();
    Err(format!("{} images can't be loaded:\n  {}", faults.len(), faults.join("\n  ")).into())
}

/// What training starts from, and the patch.
fn start<S: Space>(data: &TrainingData<S>, args: &Args) -> Result<(Model<S>, S::Extent), AnyError> {
    let (device, patch) = (Device::flex(), args.extent::<S>("patch")?);
    if let Some(path) = args.get("from") {
        if args.has("size") {
            return Err(UsageError("--from has a size already; leave --size".to_owned()).into());
        }
        let model = Model::load(path, &device)?;
        let patch = patch.unwrap_or(model.card().patch);
        return Ok((model, patch));
    }
    let size = match args.parse::<String>("size")?.as_deref() {
        None | Some("small") => Size::Small,
        Some("medium") => Size::Medium,
        Some("large") => Size::Large,
        Some(other) => {
            let message = format!("--size is small, medium or large, found {other}");
            return Err(UsageError(message).into());
        }
    };
    let network = DynUNetConfig::of_size(size)
        .with_in_channels(data.channels())
        .with_out_channels(data.structures());
    let patch = patch.unwrap_or_else(|| default_patch(data, &network));
    let seed = args.parse("seed")?.unwrap_or(0);
    Ok((Model::init(network, patch, seed, &device)?, patch))
}

/// No larger than the largest image makes sense of.
fn default_patch<S: Space>(data: &TrainingData<S>, network: &DynUNetConfig<S>) -> S::Extent {
    let usual: &[usize] = if S::RANK == 2 { &[128, 128] } else { &[16, 64, 64] };
    let largest = |axis: usize| {
        data.train().iter().map(|sample| sample.extent().as_ref()[axis]).max().unwrap_or(1)
    };
    network.next_patch(S::extent_from_fn(|axis| usual[axis].min(largest(axis))))
}
