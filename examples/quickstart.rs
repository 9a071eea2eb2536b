//! The main job from end to end: curate, train, predict unseen images, fine-tune on more, predict again.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --data my_images
//! ```

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use segmenter::{
    Mask, Region, Sample, Space, Stack, TrainConfig, Window, Yx, Zyx,
    curation::{CurationSet, Decision, Pair, Pairing, Record, Shares, Split, plugin, split},
    io::{self, Axes, Existing, OpenOptions},
};

mod support;
use support::{
    AnyError, Args, Asked,
    phantom::{self, Phantom},
    rounds::{Rounds, Unseen},
};

const HELP: &str = "\
The main job from end to end: curate, train, predict unseen images, fine-tune on
more, predict again.

Usage: quickstart [--data DIR] [--output DIR]

  --data DIR    images to learn from: train/{raw,seg} and test/{raw,seg}, or just
                {raw,seg}, which is split; fewer than four volumes are cut into
                slabs [default: a small 3D data set, made for the purpose]
  --output DIR  receives curation files, models, masks and pictures
                                             [default: quickstart-1, -2, …]

The last line tells the Dice on images that no round of training has seen.";

fn main() -> ExitCode {
    support::exit(run())
}

fn run() -> Result<(), AnyError> {
    let Asked::Run(args) = Args::read(&["data", "output"], &[])? else {
        println!("{HELP}");
        return Ok(());
    };
    args.no_words()?;
    let output = output(&args)?;
    match args.get("data") {
        None => on_phantoms(&output),
        Some(folder) => on_images(Path::new(folder), &output),
    }
}

/// A folder that holds nothing yet.
fn output(args: &Args) -> Result<PathBuf, AnyError> {
    let Some(folder) = args.get("output").map(PathBuf::from) else {
        let mut names = (1..).map(|number| PathBuf::from(format!("quickstart-{number}")));
        return Ok(names.find(|name| !name.exists()).unwrap_or_default());
    };
    if folder.is_dir() && fs::read_dir(&folder)?.next().is_some() {
        return Err(
            format!("{}: already holds files; choose another folder", folder.display()).into()
        );
    }
    Ok(folder)
}

/// Makes images with two imperfect segmentations each, and curates them as a person would: sorts one
/// out, excludes a region, merges the two segmentations.
fn on_phantoms(output: &Path) -> Result<(), AnyError> {
    let images = output.join("images");
    println!("making 13 images of blobs and tubes in {}", images.display());
    for seed in 0..13 {
        let blurred = seed == 5;
        let image = if blurred { phantom::out_of_focus(seed) } else { phantom::phantom(seed) };
        write(&image, &images, seed)?;
    }

    let pairs = Pairing::new(images.join("raw"), images.join("seg1"))
        .with_segmentations(images.join("seg2"))
        .pairs()?
        .complete()?;
    let mut set = CurationSet::new(pairs);
    for record in set.records_mut() {
        record.decide(Decision::Use);
        // The first segmentation is right on the left, the second on the right.
        record.merge(right_half()?)?;
        // Something bright lies there that is no structure.
        record.exclude(debris()?);
    }
    if let Some(record) = set.find_mut("cell_05") {
        record.decide(Decision::DontUse { reason: "out of focus".to_owned() });
    }
    set.save(output.join("curation.json"), output)?;
    let used: Vec<Record> = set.used().cloned().collect();
    println!("sorted out {} of {} images", set.records().len() - used.len(), set.records().len());

    let parts = split(used, &Shares::new(0.8, 0.2, 0.0)?, 7, |record| record.name().to_owned())?;
    plugin::export(output.join("experiment"), &parts, Existing::Refuse)?;
    let unseen = (100..104).map(|seed| {
        let Phantom { raw, truth, .. } = phantom::clean(seed);
        Unseen { name: format!("unseen_{seed}"), raw: raw.to_f32(), truth: truth.foreground() }
    });
    let (first, more) = two_thirds(load::<Zyx>(&parts.train)?);
    let config = TrainConfig::new([16, 32, 32]).with_batch(4);
    let validation = load(&parts.validation)?;
    Rounds { first, more, validation, unseen: unseen.collect(), config, steps: [120, 60] }
        .run(output)
}

fn write(image: &Phantom, folder: &Path, number: u64) -> Result<(), AnyError> {
    let name = format!("cell_{number:02}.ome.tif");
    image.raw.save(folder.join("raw").join(&name))?;
    image.seg1.save(folder.join("seg1").join(&name))?;
    image.seg2.save(folder.join("seg2").join(&name))?;
    Ok(())
}

fn right_half() -> Result<Region, AnyError> {
    let [_, height, width] = phantom::EXTENT.map(|size| size as f64);
    let middle = width / 2.0;
    Ok(Region::polygon([(middle, -1.0), (width, -1.0), (width, height), (middle, height)])?)
}

fn debris() -> Result<Region, AnyError> {
    let [(left, top), (right, bottom)] = phantom::DEBRIS;
    Ok(Region::polygon([(left, top), (right, top), (right, bottom), (left, bottom)])?)
}

/// Learns from a user's images.
fn on_images(folder: &Path, output: &Path) -> Result<(), AnyError> {
    let (train, test) = if folder.join("train").is_dir() {
        (pairs(&folder.join("train"))?, pairs(&folder.join("test"))?)
    } else {
        (pairs(folder)?, Vec::new())
    };
    let first = train.first().ok_or_else(|| format!("{}: holds no images", folder.display()))?;
    match io::probe(first.raw().path())?.axes {
        Axes::Yx => {
            let config = TrainConfig::new([128, 128]);
            learn::<Yx>(train, &test, config, [600, 400], output)
        }
        Axes::Zyx => {
            let config = TrainConfig::new([16, 64, 64]).with_batch(4);
            learn::<Zyx>(train, &test, config, [300, 200], output)
        }
    }
}

fn pairs(folder: &Path) -> Result<Vec<Record>, AnyError> {
    let pairs: Vec<Pair> =
        Pairing::new(folder.join("raw"), folder.join("seg")).pairs()?.complete()?;
    Ok(pairs.into_iter().map(Record::from).collect())
}

fn learn<S: Space>(
    train: Vec<Record>,
    test: &[Record],
    config: TrainConfig<S>,
    steps: [usize; 2],
    output: &Path,
) -> Result<(), AnyError> {
    let Parts { first, more, validation, unseen } = parts(train, test)?;
    let config = shrunk(config, first.iter().chain(&more));
    // As many patches an epoch whether there are many images or one.
    let patches = (8 * config.batch).div_ceil(first.len());
    let config = config.with_patches_per_image(patches);
    Rounds { first, more, validation, unseen, config, steps }.run(output)
}

struct Parts<S: Space> {
    first: Vec<Sample<S>>,
    more: Vec<Sample<S>>,
    validation: Vec<Sample<S>>,
    unseen: Vec<Unseen<S>>,
}

fn parts<S: Space>(train: Vec<Record>, test: &[Record]) -> Result<Parts<S>, AnyError> {
    if train.len() < 4 {
        return slabs(&train, test);
    }
    let shares =
        if test.is_empty() { Shares::new(0.7, 0.1, 0.2)? } else { Shares::new(0.88, 0.12, 0.0)? };
    let Split { train, validation, test: held_back } =
        split(train, &shares, 7, |record| record.name().to_owned())?;
    let unseen = test.iter().chain(&held_back).map(open).collect::<Result<_, _>>()?;
    let (first, more) = two_thirds(load(&train)?);
    Ok(Parts { first, more, validation: load(&validation)?, unseen })
}

/// Cuts each image along its first axis: a slab for the first round, one for the second, one for
/// validation, and one that stays unseen unless there are test images.
fn slabs<S: Space>(train: &[Record], test: &[Record]) -> Result<Parts<S>, AnyError> {
    let tenths = if test.is_empty() { [4, 5, 6, 10] } else { [7, 8, 10, 10] };
    let unseen: Vec<Unseen<S>> = test.iter().map(open).collect::<Result<_, _>>()?;
    let mut parts = Parts { first: vec![], more: vec![], validation: vec![], unseen };
    for record in train {
        let image = open::<S>(record)?;
        let cuts = tenths.map(|tenths| tenths * image.raw.extent().as_ref()[0] / 10);
        parts.first.extend(image.slab("a", 0, cuts[0])?.map(sample).transpose()?);
        parts.more.extend(image.slab("b", cuts[0], cuts[1])?.map(sample).transpose()?);
        parts.validation.extend(image.slab("c", cuts[1], cuts[2])?.map(sample).transpose()?);
        parts.unseen.extend(image.slab("d", cuts[2], cuts[3])?);
    }
    Ok(parts)
}

trait Slab: Sized {
    /// The slices, or rows, from one to another, if there are any.
    fn slab(&self, name: &str, from: usize, to: usize) -> Result<Option<Self>, AnyError>;
}

impl<S: Space> Slab for Unseen<S> {
    fn slab(&self, name: &str, from: usize, to: usize) -> Result<Option<Self>, AnyError> {
        if from == to {
            return Ok(None);
        }
        let mut window = Window::<S>::whole(self.raw.extent());
        window.start.as_mut()[0] = from;
        window.extent.as_mut()[0] = to - from;
        let (raw, truth) = (self.raw.crop(&window)?, self.truth.crop(&window)?);
        Ok(Some(Self { name: format!("{}_{name}", self.name), raw, truth }))
    }
}

fn sample<S: Space>(image: Unseen<S>) -> Result<Sample<S>, AnyError> {
    Ok(Sample::new(image.name, image.raw, image.truth)?)
}

fn open<S: Space>(record: &Record) -> Result<Unseen<S>, AnyError> {
    let raw: Stack<S, f32> = OpenOptions::new().open_f32(record.raw().path())?;
    let truth = Mask::open(record.segmentations()[0].path())?;
    Ok(Unseen { name: record.name().to_owned(), raw, truth })
}

fn load<S: Space>(records: &[Record]) -> Result<Vec<Sample<S>>, AnyError> {
    records.iter().map(|record| Ok(record.load()?)).collect()
}

/// The first two thirds, and the rest.
fn two_thirds<T>(mut items: Vec<T>) -> (Vec<T>, Vec<T>) {
    let rest = items.split_off((2 * items.len()).div_ceil(3));
    (items, rest)
}

/// The same settings with a patch no larger than the largest image makes sense of.
fn shrunk<'a, S: Space>(
    config: TrainConfig<S>,
    samples: impl Iterator<Item = &'a Sample<S>>,
) -> TrainConfig<S> {
    let network = segmenter::DynUNetConfig::<S>::small();
    let largest = samples.fold(S::extent_from_fn(|_| 1), |largest, sample| {
        S::extent_from_fn(|axis| largest.as_ref()[axis].max(sample.extent().as_ref()[axis]))
    });
    let fit = |extent: S::Extent| {
        let smaller = |axis: usize| extent.as_ref()[axis].min(largest.as_ref()[axis]);
        network.next_patch(S::extent_from_fn(smaller))
    };
    TrainConfig { patch: fit(config.patch), tile: fit(config.tile), ..config }
}
