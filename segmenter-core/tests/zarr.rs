//! Stores of zarr-python are read as it wrote them, and ours are written for it.
//!
//! `scripts/zarr_fixtures.py` made the first; there and here, the voxel at [z, y, x] of channel c is
//! 1000 c + 100 z + 10 y + x, wrapped to its type. `ZARR_WRITTEN=FOLDER cargo test --package segmenter-core --features zarr
//! --test zarr` keeps the others for `scripts/zarr_round_trip.py FOLDER`.

#![cfg(feature = "zarr")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::path::{Path, PathBuf};

use ndarray::{Array4, array};
use segmenter_core::{
    ImageKind, NewImage, Pixel, PixelType, Stack, VoxelSize, Window, Yx, Zyx,
    io::{Compression, OpenError, ZarrImage, ZarrOptions, ZarrVersion},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr").join(name)
}

/// The voxels of the script as they are in a type.
fn voxels<T: Pixel>(channels: usize, wrap: impl Fn(usize) -> T) -> Array4<T> {
    Array4::from_shape_fn((channels, 3, 5, 7), |(c, z, y, x)| wrap(1000 * c + 100 * z + 10 * y + x))
}

fn check<T: Pixel>(name: &str, pixel: PixelType, expected: &Array4<T>) {
    let image = ZarrImage::open(fixture(name)).unwrap();
    let info = image.info();
    assert_eq!(info.extent, [3, 5, 7], "{name}");
    assert_eq!(info.pixel, pixel, "{name}");
    assert_eq!(info.voxel_size, Some(vec![0.5, 0.25, 0.125]), "{name}");
    let whole = image.read::<Zyx, T>(0, &Window::whole([3, 5, 7])).unwrap();
    assert_eq!(whole, expected, "{name}");
    // A box that cuts through chunks of 2 x 3 x 4.
    let window = Window::<Zyx>::new([1, 2, 3], [2, 2, 3]);
    let part = image.read::<Zyx, T>(0, &window).unwrap();
    assert_eq!(part, window.view_channels(&expected.view()), "{name}");
}

fn wrap_u16(value: usize) -> u16 {
    u16::try_from(value).unwrap()
}

#[test]
fn every_codec_and_order_gives_the_voxels_that_were_written() {
    let expected = voxels(1, wrap_u16);
    for name in [
        "v3_zstd_crc32c.zarr",
        "v3_sharded.zarr",
        "v2_blosc_f_order.zarr",
        "v2_zlib_big_endian_dots.zarr",
    ] {
        check(name, PixelType::U16, &expected);
    }
    check("v3_blosc_big_endian.zarr", PixelType::F32, &expected.mapv(f32::from));
    check("v3_gzip_transpose.zarr", PixelType::U32, &expected.mapv(u32::from));
    let wrapped = expected.mapv(|value| value.to_le_bytes()[0].cast_signed());
    check("v2_bz2_i1.zarr", PixelType::I8, &wrapped);
}

#[test]
fn channels_have_their_names_and_lengths_are_in_micrometres() {
    let image = ZarrImage::open(fixture("v3_channels_nanometer.zarr")).unwrap();
    let info = image.info();
    assert_eq!(info.channels, 2);
    assert_eq!(info.channel_names, [Some("membrane".to_owned()), None]);
    assert_eq!(info.voxel_size, Some(vec![0.5, 0.25, 0.125]));
    let whole = image.read::<Zyx, i16>(0, &Window::whole([3, 5, 7])).unwrap();
    assert_eq!(whole, voxels(2, |value| i16::try_from(value).unwrap()));
}

#[test]
fn a_time_point_is_chosen() {
    let image = ZarrImage::open(fixture("v2_time.zarr")).unwrap();
    assert_eq!(image.info().time_points, 2);
    let expected = voxels(1, |value| value.to_le_bytes()[0]);
    let whole = Window::<Zyx>::whole([3, 5, 7]);
    assert_eq!(image.read::<Zyx, u8>(0, &whole).unwrap(), expected);
    let second = image.read::<Zyx, u8>(1, &whole).unwrap();
    assert_eq!(second, expected.mapv(|value| value.wrapping_add(1)));
    assert!(image.read::<Zyx, u8>(2, &whole).is_err());
}

#[test]
fn a_missing_chunk_has_the_fill_value_and_both_levels_of_transformation_count() {
    let image = ZarrImage::open(fixture("v3_missing_chunk.zarr")).unwrap();
    // 0.001 of 2 mm, and of 1 and 0.5 mm.
    assert_eq!(image.info().voxel_size, Some(vec![2.0, 2.0]));
    assert_eq!(image.origin(), [None, Some(1.0), Some(0.5)]);
    let levels: Vec<_> = image.info().levels.into_iter().map(|level| level.extent).collect();
    assert_eq!(levels, [[4, 4], [2, 2]]);
    let whole = image.read::<Yx, u8>(0, &Window::whole([4, 4])).unwrap();
    assert_eq!(whole, array![[[1, 1, 9, 9], [1, 1, 9, 9], [9, 9, 9, 9], [9, 9, 9, 9]]]);

    let half = ZarrImage::open_at(fixture("v3_missing_chunk.zarr"), None, 1).unwrap();
    assert_eq!(half.info().voxel_size, Some(vec![4.0, 4.0]));
    let whole = half.read::<Yx, u8>(0, &Window::whole([2, 2])).unwrap();
    assert_eq!(whole, array![[[1, 3], [3, 3]]]);
    assert!(ZarrImage::open_at(fixture("v3_missing_chunk.zarr"), None, 2).is_err());
}

#[test]
fn a_series_is_chosen_by_its_number_or_its_path() {
    let path = fixture("v2_series.zarr");
    let error = ZarrImage::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::ManyScenes { scenes: 2, .. }), "{error}");
    for image in [ZarrImage::open_at(&path, 1, 0), ZarrImage::open(path.join("1"))] {
        let first = Window::<Zyx>::new([0, 0, 0], [1, 1, 1]);
        assert_eq!(image.unwrap().read::<Zyx, u8>(0, &first).unwrap()[[0, 0, 0, 0]], 1);
    }
}

#[test]
fn a_plate_tells_which_fields_to_open() {
    let error = ZarrImage::open(fixture("v3_plate.zarr")).unwrap_err().to_string();
    let field = fixture("v3_plate.zarr").join("A/1/0").display().to_string();
    assert!(error.contains("plate of 1 wells") && error.contains(&field), "{error}");
    let error = ZarrImage::open(fixture("v3_plate.zarr/A/1")).unwrap_err().to_string();
    assert!(error.contains("fields of a well") && error.contains(&field), "{error}");
}

#[test]
fn an_array_without_metadata_is_told_by_its_names_or_their_number() {
    let expected = voxels(1, wrap_u16);
    for name in ["v2_array.zarr", "v3_array_xyz.zarr", "v3_sharded.zarr/s0"] {
        let image = ZarrImage::open(fixture(name)).unwrap();
        assert_eq!(image.info().voxel_size, None);
        assert_eq!(
            image.read::<Zyx, u16>(0, &Window::whole([3, 5, 7])).unwrap(),
            expected,
            "{name}"
        );
    }
    let error = ZarrImage::open(fixture("v2_time.zarr/0")).unwrap_err();
    assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
}

#[test]
fn a_store_opens_like_a_file() {
    let stack = Stack::<Zyx, u16>::open(fixture("v3_sharded.zarr")).unwrap();
    assert_eq!(stack.view(), voxels(1, wrap_u16));
    assert_eq!(stack.voxel_size().unwrap().micrometres(), [0.5, 0.25, 0.125]);
}

/// The extent, channels and voxel size of what is written for `zarr_round_trip.py`.
const WRITTEN: ([usize; 3], usize) = ([40, 150, 300], 2);

fn new<T>() -> NewImage<Zyx, T> {
    let size = VoxelSize::new([0.4, 0.1, 0.1]).unwrap();
    NewImage::new(WRITTEN.0).with_voxel_size(size)
}

/// The value of a voxel, by `zarr_round_trip.py` as well.
fn written_value([c, z, y, x]: [usize; 4]) -> u32 {
    let place = ((c * 40 + z) * 150 + y) * 300 + x;
    u32::try_from(place).unwrap().wrapping_mul(2_654_435_761) >> 7
}

fn write_image(options: ZarrOptions, path: &Path) {
    let [z, y, x] = WRITTEN.0;
    let voxels = Array4::from_shape_fn((WRITTEN.1, z, y, x), |(c, z, y, x)| {
        u16::try_from(written_value([c, z, y, x]) & 0xFFFF).unwrap()
    });
    let image = new::<u16>().with_channel_names([Some("nuclei \"µ\"".to_owned()), None]);
    let writer = options.create(&image, path).unwrap();
    writer.write(&Window::whole(WRITTEN.0), &voxels.view()).unwrap();
    writer.finish().unwrap();
    assert_eq!(Stack::<Zyx, u16>::open(path).unwrap().view(), voxels);
}

fn write_labels(options: ZarrOptions, path: &Path) {
    let [z, y, x] = WRITTEN.0;
    let ids = Array4::from_shape_fn((1, z, y, x), |(c, z, y, x)| written_value([c, z, y, x]));
    let labels = new::<u32>().with_kind(ImageKind::Labels);
    let writer = options.create_labels(&labels, path, "nuclei").unwrap();
    writer.write(&Window::whole(WRITTEN.0), &ids.view()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn what_is_written_for_other_programs_is_what_was_meant() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("ZARR_WRITTEN").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let plain = ZarrOptions::new();
    for (name, options) in [
        ("v04.zarr", plain.with_version(ZarrVersion::V04)),
        (
            "v04_pyramid_gzip.zarr",
            plain
                .with_version(ZarrVersion::V04)
                .with_pyramid(true)
                .with_compression(Compression::Deflate),
        ),
        ("v05.zarr", plain),
        ("v05_bare.zarr", plain.with_compression(Compression::None).with_checksums(false)),
        ("v05_pyramid.zarr", plain.with_pyramid(true)),
        ("v05_sharded.zarr", plain.with_shards(true)),
        (
            "v05_sharded_pyramid_gzip.zarr",
            plain.with_shards(true).with_pyramid(true).with_compression(Compression::Deflate),
        ),
    ] {
        write_image(options, &folder.join(name));
        write_labels(options, &folder.join(name));
    }
}
