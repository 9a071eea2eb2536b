//! What is written here is what `fixtures/written/check_written.py` showed to tifffile.
//!
//! The files are kept, so that a change of the writer shows as a change of its files. After one, run
//! these tests with `WRITE_FIXTURES=1` and then the script.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ndarray::{Array3, Array4};
use segmenter_core::{
    Pixel, Space, Stack, Stack2, Stack3, VoxelSize,
    io::{Compression, Existing, SaveOptions},
};

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/written").join(name)
}

/// `value(c, z, y, x)` of the script.
fn volume<T: Pixel>(convert: fn(u16) -> T) -> Stack3<T> {
    let pixels = Array4::from_shape_fn((2, 3, 40, 37), |(c, z, y, x)| {
        convert(u16::try_from(1000 * c + 100 * z + 10 * y + x).unwrap())
    });
    Stack3::from_channels(pixels)
        .with_voxel_size(VoxelSize::new([0.29, 0.108, 0.107]).unwrap())
        .with_channel_names([Some(r#"nuclei "µ" & <walls>"#.to_owned())])
}

fn plane<T: Pixel>(convert: fn(u16) -> T) -> Stack2<T> {
    let pixels =
        Array3::from_shape_fn((1, 40, 37), |(_, y, x)| convert(u16::try_from(10 * y + x).unwrap()));
    Stack2::from_channels(pixels).with_voxel_size(VoxelSize::new([0.108, 0.107]).unwrap())
}

/// Uncompressed files are the same byte by byte. Compressed ones depend on the version of the
/// compressor, so it is their pixels that are the same.
fn check<S: Space, T: Pixel>(name: &str, stack: &Stack<S, T>, compression: Compression) {
    let folder = tempfile::tempdir().unwrap();
    let options = SaveOptions::new().with_existing(Existing::Replace).with_compression(compression);
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        options.save_stack(stack, kept(name)).unwrap();
    }
    let path = folder.path().join(name);
    options.save_stack(stack, &path).unwrap();
    if compression == Compression::None {
        assert!(fs::read(&path).unwrap() == fs::read(kept(name)).unwrap(), "{name} has changed");
    }
    assert_eq!(&Stack::<S, T>::open(kept(name)).unwrap(), stack, "{name}");
}

#[test]
fn volumes_are_written_as_tifffile_was_shown() {
    check("volume_uint16_none.ome.tiff", &volume(|value| value), Compression::None);
    check("volume_uint16_deflate.ome.tiff", &volume(|value| value), Compression::Deflate);
    check("volume_uint16_zstd.ome.tiff", &volume(|value| value), Compression::Zstd);
    check("volume_int16_deflate.ome.tiff", &volume(u16::cast_signed), Compression::Deflate);
    check("volume_uint32_deflate.ome.tiff", &volume(u32::from), Compression::Deflate);
    check("volume_float32_zstd.ome.tiff", &volume(f32::from), Compression::Zstd);
}

#[test]
fn planes_are_written_as_tifffile_was_shown() {
    let low = |value: u16| value.to_le_bytes()[0];
    check("plane_uint8_none.ome.tiff", &plane(low), Compression::None);
    check("plane_uint8_deflate.ome.tiff", &plane(low), Compression::Deflate);
    check(
        "plane_int8_deflate.ome.tiff",
        &plane(|value| value.to_le_bytes()[0].cast_signed()),
        Compression::Deflate,
    );
    check("plane_float32_deflate.ome.tiff", &plane(f32::from), Compression::Deflate);
}
