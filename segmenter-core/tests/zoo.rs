//! A zoo of files that Python's libraries wrote, every pixel and every voxel size compared.
//!
//! `fixtures/zoo/make_zoo.py`, `make_rarer.py` and `make_stores.py` wrote them, and `zoo.json`, `rarer.json`
//! and `stores.json` beside them say what each of them holds, or why it is refused. `ZOO=FOLDER cargo test -p segmenter-core --test zoo`
//! compares another such folder, whatever its lists are called.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use segmenter_core::io::{AnyStack, OpenOptions};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What a file holds, or why it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    options: Options,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    axes: String,
    #[serde(default)]
    extent: Vec<usize>,
    #[serde(default)]
    channels: usize,
    #[serde(default)]
    pixel: String,
    #[serde(default)]
    voxel_size: Option<Vec<f64>>,
    #[serde(default)]
    channel_names: Vec<Option<String>>,
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    pixels: Option<Vec<u8>>,
    /// By how much a pixel may differ: decoders of JPEG round differently.
    #[serde(default)]
    within: u8,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    scene: Option<usize>,
    time: Option<usize>,
    level: Option<usize>,
    channel: Option<usize>,
    limit: Option<u64>,
}

fn folder() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zoo");
    env::var_os("ZOO").map_or_else(own, PathBuf::from)
}

fn options(chosen: &Options) -> OpenOptions {
    let mut options = OpenOptions::new();
    if let Some(scene) = chosen.scene {
        options = options.with_scene(scene);
    }
    if let Some(time) = chosen.time {
        options = options.with_time(time);
    }
    if let Some(level) = chosen.level {
        options = options.with_level(level);
    }
    if let Some(channel) = chosen.channel {
        options = options.with_channel(channel);
    }
    if let Some(limit) = chosen.limit {
        options = options.with_limit(limit);
    }
    options
}

/// What differs, if anything does.
fn check(entry: &Entry, path: &Path) -> Result<(), String> {
    let opened = options(&entry.options).open_any(path);
    match (opened, &entry.error) {
        (Ok(image), None) => compare(entry, &image),
        (Ok(image), Some(reason)) => Err(format!(
            "{:?} of {} was read, but is to be refused: {reason}",
            image.extent(),
            image.pixel_type()
        )),
        (Err(error), None) => Err(error.to_string()),
        (Err(error), Some(reason)) => {
            let message = error.to_string();
            let told = message.starts_with(path.to_str().unwrap()) && message.contains(reason);
            if told && !message.contains("gave up") {
                Ok(())
            } else {
                Err(format!("says {message}"))
            }
        }
    }
}

fn compare(entry: &Entry, image: &AnyStack) -> Result<(), String> {
    let same = |what: &str, found: String, expected: String| {
        if found == expected { Ok(()) } else { Err(format!("{what} {found}, but {expected}")) }
    };
    same("axes", image.axes().to_string(), entry.axes.clone())?;
    same("extent", format!("{:?}", image.extent()), format!("{:?}", entry.extent))?;
    same("channels", image.channels().to_string(), entry.channels.to_string())?;
    same("pixels", image.pixel_type().to_string(), entry.pixel.clone())?;
    same("names", format!("{:?}", image.channel_names()), format!("{:?}", entry.channel_names))?;
    compare_sizes(image.voxel_size().as_deref(), entry.voxel_size.as_deref())?;
    let mut bytes = Vec::new();
    image.visit_le_bytes(|piece| bytes.extend_from_slice(piece));
    if let Some(expected) = &entry.pixels {
        let apart = bytes.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
        return match apart {
            Some(apart) if apart <= entry.within => Ok(()),
            apart => Err(format!("differs by up to {apart:?}")),
        };
    }
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    same("hash", hash, entry.sha256.clone().unwrap())
}

/// Units are turned into micrometres by a multiplication, which rounds.
fn compare_sizes(found: Option<&[f64]>, expected: Option<&[f64]>) -> Result<(), String> {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs();
    let same = match (found, expected) {
        (None, None) => true,
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(near),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("voxel size {found:?}, but {expected:?}")) }
}

/// All that a list says.
fn entries(list: &Path) -> Vec<Entry> {
    serde_json::from_str(&fs::read_to_string(list).unwrap()).unwrap()
}

/// Compares all entries, and tells all that differ at once.
fn check_all(folder: &Path, entries: &[Entry]) {
    let wrong: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let wrong = check(entry, &folder.join(&entry.file)).err()?;
            Some(format!("{}: {wrong}", entry.file))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), entries.len(), wrong.join("\n"));
}

#[test]
fn every_file_of_the_zoo_holds_what_its_writer_says() {
    let folder = folder();
    let paths = fs::read_dir(&folder).unwrap().map(|item| item.unwrap().path());
    let mut lists: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter(|path| !path.ends_with("stores.json"))
        .collect();
    lists.sort();
    let entries: Vec<Entry> = lists.iter().flat_map(|list| entries(list)).collect();
    assert!(entries.len() > 180, "{} entries", entries.len());
    check_all(&folder, &entries);
}

/// A store is dozens of files, so all of them are in one archive.
#[cfg(feature = "zarr")]
#[test]
fn every_store_of_the_zoo_holds_what_its_writer_says() {
    use segmenter_core::io::zip::Archive;

    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zoo");
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::open(own.join("stores.zip")).unwrap();
    let mut archive = Archive::new(file, 1 << 26).unwrap();
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    for name in names {
        let path = folder.path().join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, archive.read(&name).unwrap()).unwrap();
    }
    let entries = entries(&own.join("stores.json"));
    assert!(entries.len() > 240, "{} entries", entries.len());
    check_all(folder.path(), &entries);
}
