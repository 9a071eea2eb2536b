//! Tells what an experiment of the Allen Cell Segmenter ML plugin holds.
//!
//! ```text
//! cargo run --release --example experiment -- mitochondria --root archive
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{path::Path, process::ExitCode};

use segmenter::{core::torch::Checkpoint, curation::plugin::Experiment};

mod support;
use support::{AnyError, Args, Asked};

const HELP: &str = "\
Tells what an experiment of the Allen Cell Segmenter ML plugin holds, or everything
that is wrong with it.

Usage: experiment FOLDER [--root DIR]

  --root DIR   where the files are that the tables name with the paths of another
               machine";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&["root"], &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    let experiment = Experiment::open(args.word("FOLDER")?, args.get("root").map(Path::new))?;
    let split = experiment.split();
    println!(
        "images: {} to train on, {} to validate on, {} to test on",
        split.train.len(),
        split.validation.len(),
        split.test.len()
    );
    if experiment.validation_is_test() {
        println!("the images to test on were those to validate on; a score on them says little");
    }
    for run in experiment.metrics() {
        let best = run.best().and_then(|epoch| Some((epoch.epoch, epoch.validation_loss?)));
        if let Some((epoch, loss)) = best {
            println!("run {}: best loss {loss:.4}, in epoch {epoch}", run.version);
        }
    }
    tell_checkpoints(&experiment);
    Ok(())
}

fn tell_checkpoints(experiment: &Experiment) {
    let checkpoints = experiment.checkpoints();
    checkpoints.iter().for_each(|checkpoint| println!("{}", describe(checkpoint)));
    let (Some(best), newest) = (checkpoints.best(), checkpoints.newest()) else { return };
    println!("best checkpoint: {}", best.path.display());
    if let Some(newest) = newest.filter(|newest| newest.path != best.path) {
        println!("the plugin would take {}, which is newer", newest.path.display());
    }
}

fn describe(checkpoint: &Checkpoint) -> String {
    let recorded = &checkpoint.recorded;
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let score = recorded.score.as_ref().map_or_else(
        || "no score of its own".to_owned(),
        |score| format!("{} {:.4}", score.monitor, score.value),
    );
    let (epoch, step) = (number(recorded.epoch), number(recorded.step));
    format!("{}: epoch {epoch}, step {step}, {score}", checkpoint.path.display())
}
