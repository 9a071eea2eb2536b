//! Curates a data set by a script of decisions; run again, it goes on where it was.
//!
//! ```text
//! cargo run --release --example curate -- --root set --raw set/raw --segmentations set/seg --script decisions.txt --log set/session.jsonl --who ana
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use segmenter::{
    Region,
    core::io::{Existing, SaveOptions},
    curation::{
        Pairing, Part, Record, Session, Split, plugin,
        preview::ContactSheet,
        session::{Filter, State},
    },
};

mod support;
use support::{
    AnyError, Args, Asked, UsageError, look,
    script::{self, Line, Step},
};

const HELP: &str = "\
Curates a data set by a script of decisions. What each line does is on disk before
the next is read; run again, the lines that were done are passed over.

Usage: curate --root DIR --raw DIR --segmentations DIR --script FILE --log FILE
              --who NAME [--sheet FILE.png] [--plugin DIR] [--overwrite]

  --root DIR           the folder that holds all images; the log names them below it
  --raw DIR            the raw images
  --segmentations DIR  their segmentations, of the same names; given again, further ones
  --script FILE        what is decided, one step a line
  --log FILE           the log of the session, made if it is not there
  --who NAME           whose decisions these are
  --plugin DIR         writes the images that are used as an experiment of the Allen
                       Cell Segmenter; those given to no part are trained on
  --sheet FILE.png     draws all images with their segmentations and regions
  --overwrite          the experiment and the sheet are written anew

In the end it prints which images to look at first, and why.

Steps, where words with blanks are put in \"quotes\", and files are named from the
folder of the script:

  use IMAGE                       dont-use IMAGE REASON      undecided IMAGE
  exclude IMAGE SHAPES            merge IMAGE NUMBER SHAPES [RULE]
  accept IMAGE                    erase IMAGE REGION
  base IMAGE NUMBER
  note IMAGE TEXT                 assign IMAGE train|validation|test
  undo                            redo

NUMBER is that of a segmentation, from 0. RULE is replace, union, intersect or
subtract. SHAPES is a file of any kind that exclude takes. accept excludes what the
review list suggests for an image. A line that is changed is a new step.";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let options = ["root", "raw", "segmentations", "script", "log", "who", "plugin", "sheet"];
    let Asked::Run(args) = Args::read(&options, &["overwrite"])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    let script_path = args.path("script")?;
    let lines = script::read(&script_path)?;
    let mut session = open(&args)?;
    if let Some(torn) = session.torn() {
        println!("a crash had left half an event at byte {} of the log: {torn:?}", torn.byte);
    }
    let folder = script_path.parent().unwrap_or(Path::new("."));
    let mut done = 0;
    for line in &lines {
        done += follow(&mut session, line, folder)
            .map_err(|error| format!("line {}: {}", line.number, support::with_causes(&*error)))?;
    }
    tell(&session, done);
    review(session.state())?;
    let existing = if args.has("overwrite") { Existing::Replace } else { Existing::Refuse };
    if let Some(sheet) = args.get("sheet") {
        draw(session.state(), Path::new(sheet), existing)?;
    }
    if let Some(experiment) = args.get("plugin") {
        plugin::export(experiment, &split(session.state()), existing)?;
    }
    Ok(())
}

/// Prints the images that differ from the others for the worse, the most suspect first.
fn review(state: &State) -> Result<(), AnyError> {
    println!("to look at first:");
    for suspect in look::ranked(state)?.iter().filter(|suspect| !suspect.reasons.is_empty()) {
        let reasons: Vec<String> = suspect.reasons.iter().map(ToString::to_string).collect();
        let (name, score) = (state.images()[suspect.index].name(), suspect.score);
        println!("  {name} ({score:.1}): {}", reasons.join("; "));
        if !suspect.exclude.is_empty() {
            println!("    `accept {name}` excludes {} regions", suspect.exclude.len());
        }
    }
    Ok(())
}

/// Draws all images with what was decided and drawn.
fn draw(state: &State, path: &Path, existing: Existing) -> Result<(), AnyError> {
    let mut sheet = ContactSheet::new();
    for image in state.images() {
        let record = image.record();
        sheet.push(image.name(), record.decision(), look::thumbnail(record)?);
    }
    SaveOptions::new().with_existing(existing).save_stack(&sheet.draw(), path)?;
    Ok(())
}

/// The session as it was left, or a new one.
fn open(args: &Args) -> Result<Session, AnyError> {
    let (log, root) = (args.path("log")?, args.path("root")?);
    let who: String =
        args.parse("who")?.ok_or_else(|| UsageError("--who is missing".to_owned()))?;
    if log.exists() {
        return Ok(Session::open(log, root, who)?);
    }
    let mut folders = args.all("segmentations").map(PathBuf::from);
    let first =
        folders.next().ok_or_else(|| UsageError("--segmentations is missing".to_owned()))?;
    let pairing = Pairing::new(args.path("raw")?, first);
    let pairs = folders.fold(pairing, |pairing, folder| pairing.with_segmentations(folder));
    Ok(Session::create(log, root, who, pairs.pairs()?.complete()?)?)
}

/// Does what a line says and was not done before, and tells how many events that made. The log says
/// of each event which line it comes of: a line with many regions may have been done in part.
fn follow(session: &mut Session, line: &Line, folder: &Path) -> Result<usize, AnyError> {
    let why = format!("line {}: {}", line.number, line.text);
    let events = session.events().iter();
    let before = events.filter(|logged| logged.why.as_ref() == Some(&why)).count();
    let regions = match &line.step {
        Step::Exclude(file) | Step::Merge { regions: file, .. } => {
            support::regions(&folder.join(file))?
        }
        Step::Accept => suggested(session.state(), &line.image)?,
        _ => Vec::new(),
    };
    let steps = if regions.is_empty() { 1 } else { regions.len() };
    for at in before..steps {
        session.because(&why);
        happen(session, &line.image, &line.step, regions.get(at))?;
    }
    Ok(steps.saturating_sub(before))
}

fn happen(
    session: &mut Session,
    image: &str,
    step: &Step,
    region: Option<&Region>,
) -> Result<(), AnyError> {
    match step {
        Step::Decide(decision) => session.decide(image, decision.clone())?,
        Step::Exclude(file) => {
            session.exclude(image, some(region, file)?)?;
        }
        Step::Merge { from, regions, rule } => {
            session.merge(image, *from, *rule, some(region, regions)?)?;
        }
        Step::Accept => {
            let region = region.cloned().ok_or("the review list suggests no region")?;
            session.accept(image, region, "bright structures outside of the segmentation")?;
        }
        Step::Erase(region) => session.erase(image, region)?,
        Step::Base(base) => session.set_base(image, *base)?,
        Step::Note(text) => session.note(image, text)?,
        Step::Assign(part) => session.assign(image, *part)?,
        Step::Undo => {
            session.undo()?.ok_or("there is nothing to take back")?;
        }
        Step::Redo => {
            session.redo()?.ok_or("there is nothing to bring back")?;
        }
    }
    Ok(())
}

/// What the review list suggests to exclude in an image.
fn suggested(state: &State, image: &str) -> Result<Vec<Region>, AnyError> {
    let place = state.images().iter().position(|other| other.name() == image);
    let suspects = look::ranked(state)?.into_iter();
    let suspect = suspects.filter(|suspect| Some(suspect.index) == place);
    Ok(suspect.flat_map(|suspect| suspect.exclude).collect())
}

fn some(region: Option<&Region>, file: &Path) -> Result<Region, AnyError> {
    region.cloned().ok_or_else(|| format!("{}: holds no region", file.display()).into())
}

/// How far the session is, and what is left to look at.
fn tell(session: &Session, done: usize) {
    let progress = session.progress();
    println!("{done} events added, {} in the log", session.events().len());
    println!(
        "{} images: {} used, {} not used, {} undecided",
        progress.images, progress.used, progress.not_used, progress.undecided
    );
    session.images(&Filter::Undecided).for_each(|image| println!("undecided: {}", image.name()));
    for image in session.images(&Filter::WithNotes) {
        for note in image.notes() {
            println!("{}: {} ({}, {})", image.name(), note.text, note.who, note.time);
        }
    }
}

/// The images that are used, by the parts that they were given to.
fn split(state: &State) -> Split<Record> {
    let mut split = Split { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
    let set = state.set();
    for record in set.used() {
        let part = state.image(record.name()).and_then(|image| image.part());
        match part.unwrap_or(Part::Train) {
            Part::Train => split.train.push(record.clone()),
            Part::Validation => split.validation.push(record.clone()),
            Part::Test => split.test.push(record.clone()),
        }
    }
    split
}
