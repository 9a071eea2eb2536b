//! Damaged and hostile files by the thousand: every one is read or refused, and none of them makes a
//! reader panic, hang or take more memory than it says.
//!
//! Each file is one that Python wrote, changed in one to four ways. Checkpoints are also taken apart,
//! changed inside, and packed again with the right checksums, so that the changes reach the pickle
//! and the tensors. `MUTATIONS=1000000 cargo test -p segmenter-core --lib mutations -- --nocapture`
//! makes that many; without, twenty thousand are made, always the same.

use std::{
    env, fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    io::{
        npy,
        zip::{Archive, ArchiveWriter},
    },
    pickle::Unknown,
    torch::TorchFile,
};

/// How long one file may take.
const TIME: Duration = Duration::from_secs(2);

/// How much the process may grow over all files: the readers' limits for small files are 64 MiB for
/// a pickle and 64 MiB for tensors.
const MEMORY: u64 = 256 << 20;

/// Instructions of pickles, of all protocols.
const OPCODES: &[u8] = b"(.012FGIJKLMNPQRSTUVXabcdeghijlopqrstu)]}\x80\x81\x82\x83\x84\x85\x86\
\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98BC";

/// A file that is good.
struct Seed {
    name: String,
    bytes: Vec<u8>,
}

fn seeds() -> Vec<Seed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = root.join("../../shared/reference/cytodl/experiments");
    let mut folders: Vec<PathBuf> =
        ["torch", "python", "python/numpy1"].map(|f| root.join("tests/fixtures").join(f)).into();
    if reference.is_dir() {
        folders.push(reference.join("exp_2d_small/checkpoints"));
        folders.push(reference.join("exp_3d_small_mask/merging_masks"));
    } else {
        println!("skipped: CytoDL's own files are not beside this checkout");
    }
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| ["ckpt", "pt", "npy", "npz"].iter().any(|end| has_ending(path, end)))
        .collect();
    paths.sort();
    let seed = |path: &PathBuf| Seed {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        bytes: fs::read(path).unwrap(),
    };
    paths.iter().map(seed).collect()
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// Reads a file in every way that suits its ending; whether any of them took it.
fn read(path: &Path, bytes: &[u8]) -> bool {
    if has_ending(path, "ckpt") || has_ending(path, "pt") {
        return [Unknown::Refuse, Unknown::Keep].into_iter().any(|unknown| {
            TorchFile::from_bytes(path, bytes.to_vec(), unknown).is_ok_and(|mut file| {
                let described = (file.hyper_parameters(), file.recorded());
                drop(described);
                file.tensors().is_ok()
            })
        });
    }
    fs::write(path, bytes).unwrap();
    if has_ending(path, "npz") {
        return npy::read_npz_f32(path, "grid.npy").is_ok();
    }
    let polygons = npy::read_polygons(path).is_ok();
    npy::read_array_f32(path).is_ok() || polygons
}

fn range(length: usize, rng: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=length);
    start..rng.random_range(start..=length.min(start + 64))
}

/// One change of what is not empty.
fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut ChaCha8Rng) {
    let place = rng.random_range(0..bytes.len());
    match rng.random_range(0..9) {
        0 => bytes[place] ^= 1 << rng.random_range(0..8),
        1 => bytes[place] = rng.random(),
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(range(bytes.len(), rng))),
        4 => {
            let copy = bytes[range(bytes.len(), rng)].to_vec();
            bytes.splice(place..place, copy);
        }
        5 => {
            let part = other[range(other.len(), rng)].to_vec();
            bytes.splice(range(bytes.len(), rng), part);
        }
        6 => bytes[place] = OPCODES[rng.random_range(0..OPCODES.len())],
        7 => {
            let count = rng.random_range(1..8);
            let opcodes: Vec<u8> =
                (0..count).map(|_| OPCODES[rng.random_range(0..OPCODES.len())]).collect();
            bytes.splice(place..place, opcodes);
        }
        _ => {
            const LENGTHS: [u64; 8] =
                [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
            let length = LENGTHS[rng.random_range(0..LENGTHS.len())].to_le_bytes();
            let width = [2, 4, 8][rng.random_range(0..3)].min(bytes.len() - place);
            bytes[place..place + width].copy_from_slice(&length[..width]);
        }
    }
}

fn changed(bytes: &[u8], other: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        if !bytes.is_empty() {
            change(&mut bytes, other, rng);
        }
    }
    bytes
}

/// An archive of which one entry was changed, most often the pickle; `None` if it is none.
fn changed_inside(seed: &[u8], other: &[u8], rng: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let mut archive = Archive::new(Cursor::new(seed), 1 << 30).ok()?;
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    let pickle = names.iter().position(|name| name.ends_with("data.pkl"));
    let chosen = match pickle {
        Some(pickle) if rng.random_bool(0.9) => pickle,
        _ => rng.random_range(0..names.len()),
    };
    let mut packed = Vec::new();
    let mut writer = ArchiveWriter::new(&mut packed);
    for (index, name) in names.iter().enumerate() {
        let content = archive.read(name).ok()?;
        let content = if index == chosen { changed(&content, other, rng) } else { content };
        writer.add(name, &content).ok()?;
    }
    writer.finish().ok()?;
    Some(packed)
}

/// The most memory that the process ever had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// In a process of its own, because what other tests take would count as well.
#[test]
fn no_damaged_file_makes_a_reader_panic_hang_or_take_more_memory_than_it_says() {
    const ALONE: &str = "SEGMENTER_MUTATIONS_ALONE";
    if env::var_os(ALONE).is_some() {
        return damage_and_read();
    }
    let name =
        "mutations::no_damaged_file_makes_a_reader_panic_hang_or_take_more_memory_than_it_says";
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let [told, errors] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    println!("{told}");
    assert!(told.contains("1 passed"), "{told}{errors}");
}

fn damage_and_read() {
    let count: usize = env::var("MUTATIONS").map_or(20_000, |count| count.parse().unwrap());
    let seeds = seeds();
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let before = peak_memory();
    let (mut accepted, mut slowest, began) = (0, Duration::ZERO, Instant::now());
    for number in 0..count {
        // The large ones now and then: they are slow, and small ones have the same parts.
        let large = number % 64 == 0;
        let of_size: Vec<&Seed> =
            seeds.iter().filter(|seed| (seed.bytes.len() > 100_000) == large).collect();
        let of_size = if of_size.is_empty() { seeds.iter().collect() } else { of_size };
        let seed = of_size[rng.random_range(0..of_size.len())];
        let other = &seeds[rng.random_range(0..seeds.len())].bytes;
        let inside = rng.random_bool(0.7).then(|| changed_inside(&seed.bytes, other, &mut rng));
        let bytes = inside.flatten().unwrap_or_else(|| changed(&seed.bytes, other, &mut rng));
        let start = Instant::now();
        accepted += usize::from(read(&folder.path().join(&seed.name), &bytes));
        let took = start.elapsed();
        assert!(took < TIME, "number {number}, of {}: {took:?}", seed.name);
        slowest = slowest.max(took);
    }
    let grown = peak_memory().zip(before).map(|(after, before)| after - before);
    println!(
        "{count} files in {:.0} s: {accepted} read, {} refused; slowest {slowest:?}, grown by {} MiB",
        began.elapsed().as_secs_f64(),
        count - accepted,
        grown.map_or_else(|| "?".to_owned(), |bytes| (bytes >> 20).to_string()),
    );
    assert!(grown.is_none_or(|grown| grown < MEMORY), "{grown:?}");
}
