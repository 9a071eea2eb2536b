//! What the targets have in common: how bytes become a file, and what a reader must never do with it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use segmenter_core::io::OpenOptions;
use tempfile::TempDir;

/// How much a reader may decode, in bytes.
pub const LIMIT: usize = 1 << 22;

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

/// Writes bytes to a file of this name and hands it over.
pub fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let path = folder().join(name);
    fs::write(&path, bytes).expect("a temporary file");
    read(&path);
}

/// Opens an image, and every scene, time point and level of it that is easily asked for. A panic inside of a
/// decoder ends the run, although the library makes an error of it.
pub fn image(name: &str, bytes: &[u8]) {
    with_file(name, bytes, open);
}

fn open(path: &Path) {
    let options = OpenOptions::new().with_limit(LIMIT as u64);
    for options in [options, options.with_scene(1), options.with_time(1), options.with_level(1)] {
        if let Ok(image) = options.open_any(path) {
            image.visit_le_bytes(|_| {});
        }
    }
}

/// A TIFF of two pages of two by two pixels whose first page is described so.
pub fn tiff_with_description(text: &[u8]) -> Vec<u8> {
    const PIXELS: u32 = 8;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let description = PIXELS + 4;
    let first = description + length + length % 2;
    let page = |tags: &[[u32; 4]], next: u32| {
        let mut bytes = u16::try_from(tags.len()).unwrap_or_default().to_le_bytes().to_vec();
        for &[tag, kind, count, value] in tags {
            bytes.extend([tag, kind].iter().flat_map(|&number| (number as u16).to_le_bytes()));
            bytes.extend([count, value].iter().flat_map(|number| number.to_le_bytes()));
        }
        bytes.extend(next.to_le_bytes());
        bytes
    };
    let base = [
        [256, 4, 1, 2],
        [257, 4, 1, 2],
        [258, 4, 1, 8],
        [259, 4, 1, 1],
        [262, 4, 1, 1],
        [273, 4, 1, PIXELS],
        [277, 4, 1, 1],
        [278, 4, 1, 2],
        [279, 4, 1, 4],
    ];
    let mut described = base.to_vec();
    described.insert(5, [270, 2, length, description]);
    let size = 2 + 12 * 10 + 4;
    let mut file = b"II*\0".to_vec();
    file.extend(first.to_le_bytes());
    file.extend([1, 2, 3, 4]);
    file.extend(text);
    file.extend(&[0][..text.len() % 2]);
    file.extend(page(&described, first + size));
    file.extend(page(&base, 0));
    file
}

/// The parts of a store in one input: the group's metadata, the array's, a chunk. Zarr 3 if the first says so.
pub fn store(bytes: &[u8]) {
    let mut parts = split(bytes);
    let [group, array, chunk] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let root = folder().join("store.zarr");
    let _ = fs::remove_dir_all(&root);
    let three = group.windows(13).any(|window| window == b"\"zarr_format\"");
    let places: [(&str, &[u8]); 3] = if three {
        [("zarr.json", group), ("0/zarr.json", array), ("0/c/0/0/0", chunk)]
    } else {
        [(".zattrs", group), ("0/.zarray", array), ("0/0/0/0", chunk)]
    };
    for (place, bytes) in places {
        let path: PathBuf = root.join(place);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
        fs::write(path, bytes).expect("a temporary file");
    }
    open(&root);
}

/// The parts of an input, which two zero bytes keep apart; the last may have any.
fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    let mut parts = 0;
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        parts += 1;
        let end = bytes.windows(2).position(|pair| pair == [0, 0]).filter(|_| parts < 3);
        rest = end.map(|end| &bytes[end + 2..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}
