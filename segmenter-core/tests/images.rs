//! Files of other writers are read as their writers read them, and ours are read back unchanged.
//!
//! `fixtures/images/make_fixtures.py` made the files with tifffile and pillow; there and here, a
//! pixel's value tells its position.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ndarray::{Array3, Array4, Axis, array};
use proptest::prelude::*;
use segmenter_core::{
    Labels, Labels2, Labels3, Mask2, Mask3, Pixel, PixelType, Probability2, Space, Stack, Stack2,
    Stack3, VoxelSize, Window, Yx, Zyx,
    io::{
        AnyStack, Axes, Blocks, Compression, Existing, OpenError, OpenOptions, SaveError,
        SaveOptions, probe,
    },
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name)
}

/// The value that `make_fixtures.py` gives a pixel, before it is fitted into a type.
fn value([c, z, y, x]: [usize; 4]) -> f64 {
    f64::from(u32::try_from(1000 * c + 100 * z + 10 * y + x).unwrap())
}

/// The same as `u8`, and as `i8`.
fn value_u8(position: [usize; 4]) -> f64 {
    value(position) % 251.0
}

fn value_i8(position: [usize; 4]) -> f64 {
    value_u8(position) - 125.0
}

/// Every pixel of a file of these axes and this type is what its position says.
fn check<S: Space, T: Pixel>(name: &str, shape: [usize; 4], value: fn([usize; 4]) -> f64) {
    let stack = Stack::<S, T>::open(fixture(name)).unwrap();
    check_pixels(name, &stack, shape, value);
}

fn check_pixels<S: Space, T: Pixel>(
    name: &str,
    stack: &Stack<S, T>,
    [channels, slices, rows, columns]: [usize; 4],
    value: fn([usize; 4]) -> f64,
) {
    assert_eq!(stack.channels(), channels, "{name}");
    assert_eq!(S::to_zyx(stack.extent()), [slices, rows, columns], "{name}");
    let expected = (0..channels * slices * rows * columns).map(|index| {
        let (line, x) = (index / columns, index % columns);
        let (plane, y) = (line / rows, line % rows);
        value([plane / slices, plane % slices, y, x])
    });
    let found = stack.view();
    let wrong = found.iter().map(|&pixel| pixel.to_f64()).zip(expected).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "{name}: the first pixel that differs, counted from 0");
}

#[test]
fn every_way_of_storing_pixels_reads_the_same() {
    for name in [
        "strips_none.tif",
        "strips_big_endian.tif",
        "strips_lzw.tif",
        "strips_packbits.tif",
        "strips_zstd.tif",
        "tiles_lzw.tif",
        "tiles_lzw_predictor.tif",
        "tiles_deflate_bigtiff.tif",
        "white_is_zero.tif",
    ] {
        check::<Zyx, u16>(name, [1, 3, 40, 37], value);
    }
}

#[test]
fn every_pixel_type_is_read_in_either_byte_order() {
    let shape = [1, 3, 40, 37];
    check::<Zyx, u8>("u8.tif", shape, value_u8);
    check::<Zyx, i8>("i8.tif", shape, value_i8);
    check::<Zyx, i16>("i16.tif", shape, value);
    check::<Zyx, u32>("u32_big_endian.tif", shape, value);
    check::<Zyx, f32>("f32.tif", shape, value);
    check::<Zyx, f32>("f32_big_endian.tif", shape, value);
}

#[test]
fn samples_of_a_pixel_are_channels() {
    for name in
        ["rgb_contiguous.tif", "rgb_contiguous_tiles.tif", "rgb_planar.tif", "rgb_planar_tiles.tif"]
    {
        check::<Yx, u16>(name, [3, 1, 40, 37], value);
    }
    check::<Zyx, u16>("ome_rgb.ome.tif", [3, 2, 5, 6], value);
}

#[test]
fn png_planes_are_read() {
    check::<Yx, u16>("gray16.png", [1, 1, 40, 37], value);
    check::<Yx, u8>("gray8.png", [1, 1, 40, 37], value_u8);
    check::<Yx, u8>("rgb8.png", [3, 1, 40, 37], value_u8);
    let over_100 = |position| f64::from(u8::from(value_u8(position) > 100.0)) * 255.0;
    check::<Yx, u8>("bits.png", [1, 1, 40, 37], over_100);
}

#[test]
fn every_dialect_says_which_page_is_which_plane() {
    let shape = [2, 3, 5, 6];
    for name in [
        "ome_czyx.ome.tif",
        "ome_zcyx.ome.tif",
        "ome_blocks.ome.tif",
        "imagej_hyperstack.tif",
        "imagej_one_page.tif",
        "shaped_czyx.tif",
    ] {
        check::<Zyx, u16>(name, shape, value);
    }
    for name in ["imagej_micron.tif", "shaped_zyx.tif", "shaped_one_page.tif"] {
        check::<Zyx, u16>(name, [1, 3, 5, 6], value);
    }
    check::<Zyx, u16>("pages_with_thumbnail.tif", [1, 2, 5, 6], |[_, z, y, x]| {
        value([0, 0, y, x]) + value([0, z, 0, 0])
    });
}

#[test]
fn ome_lengths_and_names_are_read() {
    let info = probe(fixture("ome_czyx.ome.tif")).unwrap();
    assert_eq!(info.channel_names, [Some("nuclei".to_owned()), Some("µ & <walls>".to_owned())]);
    let size = info.voxel_size.unwrap();
    for (found, expected) in size.iter().zip([0.29, 0.108, 0.108]) {
        approx::assert_relative_eq!(*found, expected, max_relative = 1e-14);
    }
    assert_eq!((info.time_points, info.channels, info.pixel), (1, 2, PixelType::U16));
}

#[test]
fn imagej_calibration_is_read_whatever_its_unit_is_called() {
    for name in ["imagej_hyperstack.tif", "imagej_micron.tif"] {
        let info = probe(fixture(name)).unwrap();
        assert_eq!(info.voxel_size, Some(vec![0.5, 0.5, 0.25]), "{name}: 4 pixels in x, 2 in y");
    }
    assert_eq!(probe(fixture("imagej_one_page.tif")).unwrap().voxel_size, None);
}

#[test]
fn a_file_with_a_single_slice_is_a_plane() {
    let path = fixture("ome_single_slice.ome.tif");
    assert_eq!(probe(&path).unwrap().axes, Axes::Yx);
    check::<Yx, u16>("ome_single_slice.ome.tif", [1, 1, 5, 6], value);
    let error = Stack3::<u16>::open(&path).unwrap_err();
    assert!(error.to_string().ends_with("the axes are YX, but ZYX were asked for"), "{error}");
}

#[test]
fn a_scene_has_to_be_chosen_where_there_are_several() {
    let path = fixture("ome_scenes.ome.tif");
    assert!(matches!(probe(&path), Err(OpenError::ManyScenes { scenes: 2, .. })));
    let second = OpenOptions::new().with_scene(1).open::<Zyx, u16>(&path).unwrap();
    check_pixels("second scene", &second, [1, 3, 6, 7], value);
    let third = OpenOptions::new().with_scene(2).probe(&path);
    assert!(matches!(third, Err(OpenError::Scene { asked: 2, scenes: 2, .. })));
}

#[test]
fn a_time_series_is_told_but_not_opened() {
    for (name, time_points) in [("ome_time.ome.tif", 4), ("imagej_time.tif", 3)] {
        assert_eq!(probe(fixture(name)).unwrap().time_points, time_points);
        let found = match AnyStack::open(fixture(name)) {
            Err(OpenError::TimeSeries { time_points, .. }) => time_points,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, time_points);
    }
}

#[test]
fn a_chosen_channel_is_read_alone_and_keeps_its_name() {
    let options = OpenOptions::new().with_channel(1);
    let walls = options.open_f32::<Zyx>(fixture("ome_czyx.ome.tif")).unwrap();
    check_pixels("walls", &walls, [1, 3, 5, 6], |[_, z, y, x]| value([1, z, y, x]));
    assert_eq!(walls.channel_names(), [Some("µ & <walls>".to_owned())]);

    let green = options.open::<Yx, u16>(fixture("rgb_planar_tiles.tif")).unwrap();
    check_pixels("green", &green, [1, 1, 40, 37], |[_, z, y, x]| value([1, z, y, x]));

    let error = OpenOptions::new().with_channel(2).open_f32::<Zyx>(fixture("ome_czyx.ome.tif"));
    assert!(matches!(error, Err(OpenError::Channel { asked: 2, channels: 2, .. })));
}

#[test]
fn labels_are_whole_numbers_from_zero_up() {
    let labels = Labels2::open(fixture("labels_f32.tif")).unwrap();
    assert_eq!(labels.view(), array![[0, 1], [70000, 2]]);
    let refused = |name| match Labels2::open(fixture(name)) {
        Err(OpenError::LabelValue { index, value, .. }) => (index, value),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(refused("labels_half.tif"), (vec![1, 0], 0.5));
    assert_eq!(refused("labels_negative.tif"), (vec![1, 1], -3.0));
}

#[test]
fn labels_and_masks_of_several_channels_need_a_choice() {
    let path = fixture("ome_czyx.ome.tif");
    assert!(matches!(Labels3::open(&path), Err(OpenError::ManyChannels { channels: 2, .. })));
    assert!(matches!(Mask3::open(&path), Err(OpenError::ManyChannels { channels: 2, .. })));
    let mask = OpenOptions::new().with_channel(0).open_mask::<Zyx>(&path).unwrap();
    assert_eq!(mask.count(), 3 * 5 * 6 - 1, "all but the first pixel are above 0");
}

/// One row for each file that is refused: its name, and what the message says beyond it.
#[test]
fn what_is_not_read_is_refused_by_name_and_reason() {
    let rows = [
        ("pages_differ.tif", "page 1 has pixels 4 x 5 of 1 x u8, the first one 4 x 4 of 1 x u8"),
        ("circle.tif", "the list of pages runs in a circle"),
        ("shaped_unknown.tif", "which of the axes of sizes [2, 3] are time, channels or slices"),
        ("ome_elsewhere.ome.tif", "needs \"second_channel.ome.tif\""),
        ("palette.png", "the pixels are indices into a palette"),
        ("absent.tif", "can't be read"),
        (".", "is a folder"),
    ];
    for (name, reason) in rows {
        let path = fixture(name);
        for error in [probe(&path).unwrap_err(), AnyStack::open(&path).unwrap_err()] {
            let message = error.to_string();
            assert!(message.starts_with(path.to_str().unwrap()), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }
}

#[test]
fn files_that_are_no_images_are_told_by_their_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let rows: [(&str, &[u8], &str); 3] = [
        ("empty.tif", b"", "is empty"),
        ("page.tif", b"<html></html>", "is of an unknown format"),
        ("short.tif", b"II", "is of an unknown format"),
    ];
    for (name, bytes, reason) in rows {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = probe(&path).unwrap_err();
        assert!(matches!(error, OpenError::NotAnImage { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error_and_never_a_panic_or_a_wrong_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tif");
    for name in ["rgb_planar_tiles.tif", "ome_czyx.ome.tif", "gray8.png", "labels_f32.tif"] {
        let whole = fs::read(fixture(name)).unwrap();
        let image = AnyStack::open(fixture(name)).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            // The last bytes may be padding that no pixel needs.
            if let Ok(found) = AnyStack::open(&path) {
                assert_eq!(found, image, "{name} cut to {length} bytes");
                assert!(whole.len() - length < 16, "{name} cut to {length} bytes");
            }
        }
    }
}

#[test]
fn a_byte_changed_anywhere_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.tif");
    let whole = fs::read(fixture("tiles_lzw_predictor.tif")).unwrap();
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 0xFF;
        fs::write(&path, &changed).unwrap();
        // Other pixels or an error are both fine, but not an error that only wraps a panic.
        if let Err(error) = AnyStack::open(&path) {
            assert!(!error.to_string().contains("gave up"), "byte {position}: {error}");
        }
    }
}

#[test]
fn a_claimed_size_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.tif");
    let mut bytes = fs::read(fixture("labels_f32.tif")).unwrap();
    for tag in [256, 257, 278] {
        set_tag(&mut bytes, tag, 60_000);
    }
    fs::write(&path, &bytes).unwrap();
    let error = AnyStack::open(&path).unwrap_err();
    assert!(error.to_string().contains("16 bytes can't hold 60000 x 60000 pixels"), "{error}");

    let path = folder.path().join("bomb.png");
    let mut bytes = fs::read(fixture("gray8.png")).unwrap();
    bytes[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let checksum = png_checksum(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = AnyStack::open(&path).unwrap_err();
    assert!(error.to_string().contains("can't hold 60000 x 60000 pixels"), "{error}");

    let small = OpenOptions::new().with_limit(15).open_labels::<Yx>(fixture("labels_f32.tif"));
    assert!(matches!(small, Err(OpenError::Limit { needed: 16, limit: 15, .. })));
}

/// The memory of a plane's only strip is as large as the plane, and four threads would want one each.
#[test]
fn a_limit_that_one_strip_fills_slows_reading_down_and_forbids_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strips.ome.tif");
    let value = |(z, y, x)| u16::try_from(z * y + x).unwrap();
    let stack = Stack3::new(Array3::from_shape_fn((6, 64, 64), value));
    let strips = SaveOptions::new().with_blocks(Blocks::Strips);
    strips.save_stack(&stack, &path).unwrap();
    let plane = Window::<Zyx>::new([4, 0, 0], [1, 64, 64]);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    threads.install(|| {
        let image = OpenOptions::new().with_limit(64 * 64 * 2).open_dataset(&path).unwrap();
        let pixels = image.read::<Zyx, u16>(&plane).unwrap();
        let slice = stack.channel(0).slice_axis_move(Axis(0), (4..5).into());
        assert_eq!(pixels.index_axis(Axis(0), 0), slice);
        let image = OpenOptions::new().with_limit(64 * 64 * 2 - 1).open_dataset(&path).unwrap();
        assert!(matches!(image.read::<Zyx, u16>(&plane), Err(OpenError::Limit { .. })));
        let whole = OpenOptions::new().with_limit(6 * 64 * 64 * 2);
        assert_eq!(whole.open::<Zyx, u16>(&path).unwrap(), stack);
    });
}

/// File systems of Linux take any bytes for a name.
#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf_8_is_as_good_as_any() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let folder = tempfile::tempdir().unwrap();
    let [path, missing] = [b"zellen-\xE4.ome.tif".as_slice(), b"fehlt-\xFC.tif"]
        .map(|name| folder.path().join(OsStr::from_bytes(name)));
    let stack = Stack2::new(array![[1_u8, 2], [3, 4]]);
    stack.save(&path).unwrap();
    assert_eq!(Stack2::<u8>::open(&path).unwrap(), stack);
    assert!(matches!(stack.save(&path), Err(SaveError::Exists { .. })));
    match Stack2::<u8>::open(&missing).unwrap_err() {
        OpenError::Io { path, .. } => assert_eq!(path, missing),
        other => panic!("{other}"),
    }
}

/// CRC-32 as in annex D of the PNG specification.
fn png_checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

#[test]
fn an_image_without_pixels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flat.tif");
    let mut bytes = fs::read(fixture("labels_f32.tif")).unwrap();
    set_tag(&mut bytes, 257, 0);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(probe(&path), Err(OpenError::Malformed { .. })));
}

/// Overwrites a single LONG or SHORT of the first page of a little-endian classic TIFF.
fn set_tag(bytes: &mut [u8], tag: u16, value: u32) {
    let first = usize::try_from(u32::from_le_bytes(bytes[4..8].try_into().unwrap())).unwrap();
    let entries = bytes[first + 2..].chunks_exact_mut(12);
    let entry = entries.into_iter().find(|entry| entry[..2] == tag.to_le_bytes()).unwrap();
    entry[2..4].copy_from_slice(&4_u16.to_le_bytes());
    entry[8..].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn any_stack_hands_over_its_bytes_in_order() {
    let image = AnyStack::open(fixture("ome_czyx.ome.tif")).unwrap();
    let mut bytes = Vec::new();
    image.visit_le_bytes(|piece| bytes.extend_from_slice(piece));
    let expected = Stack3::<u16>::open(fixture("ome_czyx.ome.tif")).unwrap();
    let expected: Vec<u8> = expected.view().iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    assert_eq!(bytes, expected);
    assert_eq!(image.range(), Some((0.0, value([1, 2, 4, 5]))));
    assert_eq!(image.extent(), [3, 5, 6]);
}

#[test]
fn labels_take_the_smallest_of_u16_and_u32() {
    let folder = tempfile::tempdir().unwrap();
    for (id, pixel) in [(65535, PixelType::U16), (65536, PixelType::U32)] {
        let path = folder.path().join(format!("{id}.tif"));
        let labels = Labels2::new(array![[0, id]]);
        labels.save(&path).unwrap();
        assert_eq!(probe(&path).unwrap().pixel, pixel);
        assert_eq!(Labels2::open(&path).unwrap(), labels);
    }
}

#[test]
fn masks_and_probabilities_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let size = VoxelSize::new([0.5, 0.25]).unwrap();
    let mask = Mask2::new(array![[true, false, true]]).with_voxel_size(size);
    mask.save(folder.path().join("mask.tif")).unwrap();
    assert_eq!(Mask2::open(folder.path().join("mask.tif")).unwrap(), mask);
    mask.save(folder.path().join("mask.png")).unwrap();
    let stored = Stack2::<u8>::open(folder.path().join("mask.png")).unwrap();
    assert_eq!(stored.view(), array![[[1, 0, 1]]]);

    let path = folder.path().join("probability.ome.tiff");
    let probability = Probability2::new(array![[0.0, 0.1, 1.0]]).with_voxel_size(size);
    probability.save(&path).unwrap();
    let stored = Stack2::<f32>::open(&path).unwrap();
    assert_eq!(stored.channel(0), probability.view());
    assert_eq!(stored.voxel_size(), Some(size));
}

#[test]
fn what_does_not_go_into_a_file_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let volume = Stack3::new(Array3::<u8>::zeros((2, 3, 4)));
    let floats = Stack2::new(array![[0.5_f32]]);
    let empty = Stack2::new(ndarray::Array2::<u8>::zeros((0, 4)));
    let named = Stack2::new(array![[1_u8]]).with_channel_names([Some("a\0b".to_owned())]);
    let rows = [
        (volume.save(path("a.png")), "a PNG file holds a plane, not a volume"),
        (
            floats.save(path("b.png")),
            "a PNG file holds u8 or u16 pixels of 1, 3 or 4 channels, not f32",
        ),
        (volume.save(path("c.jpg")), "JPEG changes pixel values"),
        (volume.save(path("d")), "the name must end in .ome.tiff, .tiff, .tif, .png or .npy"),
        (empty.save(path("e.tif")), "an image without pixels can't be saved"),
        (named.save(path("f.tif")), r#"the channel name "a\0b" has a character"#),
    ];
    for (result, reason) in rows {
        match result {
            Err(SaveError::Unsupported { reason: found, .. }) => {
                assert!(found.starts_with(reason), "{found}");
            }
            other => panic!("{reason}: {other:?}"),
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Writes a stack and reads it back, in each compression.
fn check_round_trip<S: Space, T: Pixel>(stack: &Stack<S, T>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.ome.tiff");
    for compression in [Compression::None, Compression::Deflate, Compression::Zstd] {
        let options =
            SaveOptions::new().with_existing(Existing::Replace).with_compression(compression);
        options.save_stack(stack, &path).unwrap();
        assert_eq!(&Stack::<S, T>::open(&path).unwrap(), stack, "{compression:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_written_is_read_unchanged(
        (channels, slices, rows, columns) in (1_usize..4, 2_usize..5, 1_usize..40, 1_usize..40),
        seed in any::<u32>(),
        spacing in proptest::option::of([1e-6..1e6, 1e-6..1e6, 1e-6..1e6_f64]),
        name in proptest::option::of("[^\\x00-\\x1F]{0,12}|\\PC{0,12}|a\\tb\\nc"),
    ) {
        let number = |c, z, y, x| {
            let place = u32::try_from(((c * slices + z) * rows + y) * columns + x).unwrap();
            place.wrapping_mul(2_654_435_761).wrapping_add(seed)
        };
        let values = Array4::from_shape_fn((channels, slices, rows, columns), |(c, z, y, x)| number(c, z, y, x));
        let size = spacing.map(|spacing| VoxelSize::<Zyx>::new(spacing).unwrap());
        let names = [name];
        let volume = Stack3::from_channels(values.clone()).with_voxel_size(size).with_channel_names(names.clone());
        check_round_trip(&volume);
        let plane = values.index_axis(Axis(1), 0).mapv(|value| i16::from_le_bytes([value.to_le_bytes()[0], value.to_le_bytes()[1]]));
        check_round_trip(&Stack2::from_channels(plane).with_channel_names(names));
        check_round_trip(&Stack3::from_channels(values.mapv(|value| value.to_le_bytes()[3])));
        check_round_trip(&Stack3::from_channels(values.mapv(|value| value.to_le_bytes()[3].cast_signed())));
        check_round_trip(&Stack3::from_channels(values.mapv(|value| (value >> 16).to_f32())));
        check_round_trip(&Stack3::from_channels(values.mapv(|value| u16::try_from(value >> 16).unwrap())));
    }

    #[test]
    fn planes_go_through_png_unchanged(
        channels in prop::sample::select(vec![1_usize, 3, 4]),
        (rows, columns) in (1_usize..20, 1_usize..20),
        seed in any::<u16>(),
    ) {
        let values = Array3::from_shape_fn((channels, rows, columns), |(c, y, x)| {
            u16::try_from(c * 7919 + y * 104 + x).unwrap().wrapping_mul(40503).wrapping_add(seed)
        });
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack2::from_channels(values.clone());
        stack.save(folder.path().join("16.png")).unwrap();
        prop_assert_eq!(Stack2::<u16>::open(folder.path().join("16.png")).unwrap(), stack);
        let stack = Stack2::from_channels(values.mapv(|value| value.to_le_bytes()[1]));
        stack.save(folder.path().join("8.png")).unwrap();
        prop_assert_eq!(Stack2::<u8>::open(folder.path().join("8.png")).unwrap(), stack);
    }
}

/// Real images with their own ground truth, where they are at hand.
#[test]
fn real_images_open_with_their_extents_and_voxel_sizes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: {} is absent", data.display());
        return;
    }
    let mut planes = 0;
    for split in ["train", "test"] {
        for entry in fs::read_dir(data.join("nuclei2d").join(split).join("raw")).unwrap() {
            let raw = entry.unwrap().path();
            let seg = data.join("nuclei2d").join(split).join("seg").join(raw.file_name().unwrap());
            let raw = Stack2::<u8>::open(&raw).unwrap();
            assert_eq!(raw.extent(), Labels2::open(&seg).unwrap().extent());
            assert!(raw.extent().iter().all(|size| (256..=360).contains(size)));
            planes += 1;
        }
    }
    assert_eq!(planes, 68);
    let folder = data.join("nuclei3d");
    let open = |name: &str| -> Labels<Zyx> { Labels::open(folder.join("seg").join(name)).unwrap() };
    let raw = Stack3::<u16>::open(folder.join("raw/stardist_img3d.tif")).unwrap();
    assert_eq!((raw.extent(), raw.voxel_size()), ([31, 61, 57], None));
    assert_eq!(count_ids(&open("stardist_img3d.tif")), 51);
    let raw = Stack3::<u8>::open(folder.join("raw/ovule_1135.ome.tif")).unwrap();
    assert_eq!(raw.extent(), [100, 100, 100]);
    let size = raw.voxel_size().unwrap().micrometres();
    assert_eq!(size.map(|length| (length * 1e4).round() / 1e4), [0.2837, 0.1268, 0.1268]);
    assert_eq!(count_ids(&open("ovule_1135.ome.tif")), 54);
}

fn count_ids(labels: &Labels3) -> usize {
    let ids: std::collections::HashSet<u32> = labels.view().iter().copied().collect();
    ids.len() - usize::from(ids.contains(&0))
}
