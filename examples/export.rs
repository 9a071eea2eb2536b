//! Exports a model for PyTorch, MONAI and CytoDL.
//!
//! ```text
//! cargo run --release --example export -- --model run/best.safetensors --checkpoint best.ckpt
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{path::Path, process::ExitCode};

use segmenter::{AnyModel, Device, Model, Space, io::Existing};

mod support;
use support::{AnyError, Args, Asked, UsageError};

const HELP: &str = "\
Exports a model for PyTorch, MONAI and CytoDL.

Usage: export --model MODEL [--checkpoint FILE] [--weights FILE] [--overwrite]

  --model MODEL       a model file, a checkpoint (.ckpt), or a folder or zip
                      archive of the Allen Cell Segmenter ML plugin
  --checkpoint FILE   a .ckpt as CytoDL writes them
  --weights FILE      a .safetensors of the weights under MONAI's names
  --overwrite         replace files that are already there";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&["model", "checkpoint", "weights"], &["overwrite"])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    match AnyModel::load(args.path("model")?, &Device::flex())? {
        AnyModel::Yx(model) => export(&model, &args),
        AnyModel::Zyx(model) => export(&model, &args),
    }
}

fn export<S: Space>(model: &Model<S>, args: &Args) -> Result<(), AnyError> {
    let existing = if args.has("overwrite") { Existing::Replace } else { Existing::Refuse };
    let path = |option| args.get(option).map(Path::new);
    let (checkpoint, weights) = (path("checkpoint"), path("weights"));
    if checkpoint.or(weights).is_none() {
        return Err(UsageError("name a --checkpoint or --weights to write".to_owned()).into());
    }
    if let Some(path) = checkpoint {
        model.export_checkpoint(path, existing)?;
        println!("{}", path.display());
    }
    if let Some(path) = weights {
        model.export_weights(path, existing)?;
        println!("{}", path.display());
    }
    Ok(())
}
