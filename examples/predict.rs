//! Segments images with a model, tile by tile.
//!
//! ```text
//! cargo run --release --example predict -- --model run/best.safetensors --input images --output found
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
};

use segmenter::{
    AnyModel, Device, Logits, Model, Space, Stack, Tiling,
    io::{Existing, OpenOptions, SaveOptions},
    predict,
};

mod support;
use support::{AnyError, Args, Asked, UsageError};

const HELP: &str = "\
Segments images with a model, tile by tile.

Usage: predict --model MODEL --input FILE|DIR --output DIR [options]

  --model MODEL       a model file, a checkpoint (.ckpt) of CytoDL, or a folder
                      or zip archive of the Allen Cell Segmenter ML plugin
  --input FILE|DIR    an image, or a folder of images (.tif, .tiff, .png)
  --output DIR        receives <name>_<kind>.ome.tif for each image and kind
  --write KIND[,KIND] logits, probability, mask, or cytodl: what CytoDL makes of
                      a model of its own, value for value      [default: mask]
  --threshold T       probability above which a voxel is foreground
                                                    [default: the model's own]
  --patch Z,Y,X       extent of a tile (Y,X for planes) [default: the model's]
  --overlap O         share of a tile that it has in common with the next
                                                        [default: the model's]
  --channel K         channel of the images to take, counted from 0
  --autocast          compute in bfloat16 as CytoDL does on a CPU, which is slow
                      and less exact
  --overwrite         replace outputs that are already there

An image that fails does not stop the others; what failed is listed at the end.";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let options = ["model", "input", "output", "write", "threshold", "patch", "overlap", "channel"];
    let Asked::Run(args) = Args::read(&options, &["autocast", "overwrite"])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    match AnyModel::load(args.path("model")?, &Device::flex())? {
        AnyModel::Yx(model) => predict_all(model, &args),
        AnyModel::Zyx(model) => predict_all(model, &args),
    }
}

/// What to do with each image.
struct Job<'a, S: Space> {
    model: &'a Model<S>,
    tiling: Tiling<S>,
    threshold: f32,
    kinds: Vec<Kind>,
    open: OpenOptions,
    save: SaveOptions,
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Logits,
    Probability,
    Mask,
    CytoDl,
}

fn predict_all<S: Space>(model: Model<S>, args: &Args) -> Result<(), AnyError> {
    let model = if args.has("autocast") { model.with_autocast()? } else { model };
    let job = Job::new(&model, args)?;
    let images = images(&args.path("input")?)?;
    let mut failures = Vec::new();
    for image in &images {
        match job.run(image) {
            Ok(files) => files.iter().for_each(|file| println!("{}", file.display())),
            Err(error) => {
                failures.push(format!("{}: {}", image.display(), support::with_causes(&*error)));
            }
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    let (failed, all) = (failures.len(), images.len());
    Err(format!("{failed} of {all} images failed:\n  {}", failures.join("\n  ")).into())
}

impl<'a, S: Space> Job<'a, S> {
    fn new(model: &'a Model<S>, args: &Args) -> Result<Self, AnyError> {
        let mut tiling = Tiling::of(model);
        if let Some(tile) = args.extent::<S>("patch")? {
            tiling = tiling.with_tile(tile);
        }
        if let Some(overlap) = args.parse("overlap")? {
            tiling = tiling.with_overlap(overlap)?;
        }
        let mut open = OpenOptions::new();
        if let Some(channel) = args.parse("channel")? {
            open = open.with_channel(channel);
        }
        let existing = if args.has("overwrite") { Existing::Replace } else { Existing::Refuse };
        Ok(Self {
            model,
            tiling,
            threshold: args.parse("threshold")?.unwrap_or(model.card().threshold),
            kinds: kinds(args)?,
            open,
            save: SaveOptions::new().with_existing(existing),
            output: args.path("output")?,
        })
    }

    fn run(&self, path: &Path) -> Result<Vec<PathBuf>, AnyError> {
        let image: Stack<S, f32> = self.open.open_f32(path)?;
        let bar = support::bar(0, &support::stem(path));
        let logits = predict(self.model, &image, &self.tiling, |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            ControlFlow::Continue(())
        })?;
        bar.finish_and_clear();
        self.kinds.iter().map(|&kind| self.write(kind, &logits, path)).collect()
    }

    fn write(&self, kind: Kind, logits: &Logits<S>, image: &Path) -> Result<PathBuf, AnyError> {
        let name = match kind {
            Kind::Logits => "logits",
            Kind::Probability => "probability",
            Kind::Mask => "mask",
            Kind::CytoDl => "cytodl",
        };
        let path = self.output.join(format!("{}_{name}.ome.tif", support::stem(image)));
        match kind {
            Kind::Logits => self.save.save_stack(&logits.clone().into_stack(), &path)?,
            Kind::Probability => self.save.save_probability(&logits.probability(0), &path)?,
            Kind::Mask => self.save.save_mask(&logits.mask(0, self.threshold), &path)?,
            Kind::CytoDl => self.save.save_stack(&self.as_cytodl(logits)?, &path)?,
        }
        Ok(path)
    }

    fn as_cytodl(&self, logits: &Logits<S>) -> Result<Stack<S, u8>, AnyError> {
        let Some(postprocess) = &self.model.card().postprocess else {
            return Err("the model's file does not say what CytoDL makes of its logits".into());
        };
        let unknown = || format!("what CytoDL does here is not known: {postprocess:?}");
        Ok(logits.postprocessed(0, postprocess).ok_or_else(unknown)?)
    }
}

fn kinds(args: &Args) -> Result<Vec<Kind>, UsageError> {
    let words: String = args.parse("write")?.unwrap_or_else(|| "mask".to_owned());
    let kind = |word: &str| match word.trim() {
        "logits" => Ok(Kind::Logits),
        "probability" => Ok(Kind::Probability),
        "mask" => Ok(Kind::Mask),
        "cytodl" => Ok(Kind::CytoDl),
        _ => {
            Err(UsageError(format!("--write is logits, probability, mask or cytodl, found {word}")))
        }
    };
    words.split(',').map(kind).collect()
}

/// The file itself, or the images in the folder by name.
fn images(input: &Path) -> Result<Vec<PathBuf>, AnyError> {
    if !input.is_dir() {
        return Ok(vec![input.to_owned()]);
    }
    let mut images = Vec::new();
    for entry in fs::read_dir(input)? {
        let path = entry?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && ["tif", "tiff", "png"].contains(&ending.as_str()) {
            images.push(path);
        }
    }
    images.sort();
    if images.is_empty() {
        return Err(format!("{}: holds no .tif, .tiff or .png file", input.display()).into());
    }
    Ok(images)
}
