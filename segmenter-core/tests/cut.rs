//! Files that are cut off or changed: refused, or read as what they were, and never a panic.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segmenter_core::io::{AnyStack, OpenError, OpenOptions};

/// The images of the zoo that open as they are.
fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zoo");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(zoo).unwrap().map(|item| item.unwrap().path()).collect();
    paths.sort();
    let images = paths.into_iter().filter(|path| AnyStack::open(path).is_ok());
    images.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn open(path: &Path) -> Result<AnyStack, OpenError> {
    OpenOptions::new().with_limit(1 << 26).open_any(path)
}

fn pixels(image: &AnyStack) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.visit_le_bytes(|piece| bytes.extend_from_slice(piece));
    bytes
}

/// An error that names the file, and is none that a panic of a decoder was turned into.
fn check_error(error: &OpenError, path: &Path) {
    let message = error.to_string();
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    assert!(!message.contains("gave up"), "{message}");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused_or_has_all_its_pixels() {
    let folder = tempfile::tempdir().unwrap();
    for (seed, bytes) in seeds() {
        let expected = pixels(&open(&seed).unwrap());
        let path = folder.path().join(seed.file_name().unwrap());
        for part in 0..24 {
            fs::write(&path, &bytes[..bytes.len() * part / 24]).unwrap();
            match open(&path) {
                Ok(image) => assert!(pixels(&image) == expected, "{}, {part}", seed.display()),
                Err(error) => check_error(&error, &path),
            }
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_with_changed_bytes_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (seed, bytes) in seeds() {
        let path = folder.path().join(seed.file_name().unwrap());
        for _ in 0..24 {
            let mut changed = bytes.clone();
            for _ in 0..rng.random_range(1..=4) {
                let at = rng.random_range(0..changed.len());
                changed[at] = [0, 1, 0x7F, 0xFF, rng.random()][rng.random_range(0..5)];
            }
            fs::write(&path, &changed).unwrap();
            if let Err(error) = open(&path) {
                check_error(&error, &path);
            }
        }
        fs::remove_file(path).unwrap();
    }
}
