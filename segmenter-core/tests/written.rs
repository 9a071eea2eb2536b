//! What is written here is what `fixtures/written/check_written.py` showed to tifffile.
//!
//! The files are kept, so that a change of the writer shows as a change of its files. After one,
//! run these tests with `WRITE_FIXTURES=1` and then the script.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ndarray::{Array3, Array4};
use segmenter_core::{
    Labels3, Mask3, Pixel, Space, Stack, Stack2, Stack3, VoxelSize,
    io::{Blocks, Compression, Existing, SaveOptions},
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

/// Two planes with smaller levels: 300 x 530, 150 x 265, 75 x 133.
fn pyramid<T: Pixel>(convert: fn(u16) -> T) -> Stack3<T> {
    let pixels = Array4::from_shape_fn((1, 2, 300, 530), |(_, z, y, x)| {
        convert(u16::try_from(100 * z + 10 * y + x).unwrap())
    });
    Stack3::from_channels(pixels)
        .with_voxel_size(VoxelSize::new([0.29, 0.108, 0.107]).unwrap())
        .with_channel_names([Some("nuclei".to_owned())])
}

/// The same, with ids instead of intensities: `1000 (y // 8) + x // 8`, and 70000 more in the
/// second slice.
fn objects() -> Labels3 {
    let ids = Array3::from_shape_fn((2, 300, 530), |(z, y, x)| {
        u32::try_from(70_000 * z + 1000 * (y / 8) + x / 8).unwrap()
    });
    Labels3::new(ids).with_voxel_size(VoxelSize::new([0.29, 0.108, 0.107]).unwrap())
}

fn options() -> SaveOptions {
    SaveOptions::new().with_existing(Existing::Replace)
}

/// Files are the same byte by byte. What deflate makes depends on the instructions that a processor
/// has, so there it is the pixels that are the same.
fn check_bytes(name: &str, deflate: bool, save: impl Fn(&Path)) {
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        save(&kept(name));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    save(&path);
    if !deflate {
        assert!(fs::read(&path).unwrap() == fs::read(kept(name)).unwrap(), "{name} has changed");
    }
}

fn check_with<S: Space, T: Pixel>(name: &str, stack: &Stack<S, T>, options: &SaveOptions) {
    let deflate = name.contains("deflate");
    check_bytes(name, deflate, |path| options.save_stack(stack, path).unwrap());
    assert_eq!(&Stack::<S, T>::open(kept(name)).unwrap(), stack, "{name}");
}

fn check<S: Space, T: Pixel>(name: &str, stack: &Stack<S, T>, compression: Compression) {
    check_with(name, stack, &options().with_compression(compression));
}

#[test]
fn volumes_are_written_as_tifffile_was_shown() {
    check("volume_uint16_none.ome.tiff", &volume(|value| value), Compression::None);
    check("volume_uint16_deflate.ome.tiff", &volume(|value| value), Compression::Deflate);
    check("volume_uint16_zstd.ome.tiff", &volume(|value| value), Compression::Zstd);
    check("volume_int16_deflate.ome.tiff", &volume(u16::cast_signed), Compression::Deflate);
    check("volume_uint32_deflate.ome.tiff", &volume(u32::from), Compression::Deflate);
    check("volume_int32_zstd.ome.tiff", &volume(i32::from), Compression::Zstd);
    check("volume_float64_zstd.ome.tiff", &volume(f64::from), Compression::Zstd);
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

#[test]
fn strips_and_bigtiff_are_written_as_tifffile_was_shown() {
    let strips = options().with_blocks(Blocks::Strips);
    let plain = strips.with_compression(Compression::None);
    check_with("volume_uint16_strips_none.ome.tiff", &volume(|value| value), &plain);
    let deflate = strips.with_compression(Compression::Deflate);
    check_with("volume_uint16_strips_deflate.ome.tiff", &volume(|value| value), &deflate);
    let big = options().with_big_tiff(true);
    check_with("volume_uint16_big_zstd.ome.tiff", &volume(|value| value), &big);
    check_with(
        "pyramid_uint16_big_zstd.ome.tiff",
        &pyramid(|value| value),
        &big.with_pyramid(true),
    );
}

#[test]
fn pyramids_are_written_as_tifffile_was_shown() {
    let tiles = options().with_pyramid(true);
    check_with("pyramid_uint16_zstd.ome.tiff", &pyramid(|value| value), &tiles);
    check_with("pyramid_int16_zstd.ome.tiff", &pyramid(|value| value.cast_signed() - 2000), &tiles);
    check_with("pyramid_float32_zstd.ome.tiff", &pyramid(f32::from), &tiles);
    let strips = tiles.with_blocks(Blocks::Strips).with_compression(Compression::Deflate);
    check_with("pyramid_uint16_strips_deflate.ome.tiff", &pyramid(|value| value), &strips);
    check_bytes("labels_uint32_zstd.ome.tiff", false, |path| {
        tiles.save_labels(&objects(), path).unwrap();
    });
    assert_eq!(Labels3::open(kept("labels_uint32_zstd.ome.tiff")).unwrap(), objects());
    check_bytes("mask_uint8_zstd.ome.tiff", false, |path| {
        tiles.save_mask(&objects().foreground(), path).unwrap();
    });
    assert_eq!(Mask3::open(kept("mask_uint8_zstd.ome.tiff")).unwrap(), objects().foreground());
}
