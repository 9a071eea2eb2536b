//! What is written is read back, and what is damaged is an error.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use ndarray::{Array2, Array3, Array4, Axis, array};
use proptest::prelude::*;

use super::*;
use crate::{
    ImageKind, NewImage, Pixel, Space, VoxelSize, Window, WriteError, Yx, Zyx,
    io::{Compression, Existing, SaveError, format::Format},
};

/// Voxels that follow from their position.
fn voxels<T: Pixel>(
    channels: usize,
    [z, y, x]: [usize; 3],
    value: impl Fn(usize) -> T,
) -> Array4<T> {
    let mut number = 0;
    Array4::from_shape_simple_fn((channels, z, y, x), || {
        number = (number * 5 + 1) % 65_521;
        value(number)
    })
}

fn write<S: Space, T: Pixel>(
    options: ZarrOptions,
    image: &NewImage<S, T>,
    voxels: &ndarray::Array<T, S::ChannelDim>,
    path: &Path,
) {
    let writer = options.create(image, path).unwrap();
    // Last first, so that the order does not matter.
    let blocks: Vec<_> = Window::<S>::blocks(image.extent(), writer.block()).collect();
    for window in blocks.iter().rev() {
        writer.write(window, &window.view_channels(&voxels.view())).unwrap();
    }
    writer.finish().unwrap();
}

fn a_small_store(folder: &Path, options: ZarrOptions) -> std::path::PathBuf {
    let path = folder.join("cells.zarr");
    write(options, &NewImage::<Zyx, u16>::new([3, 5, 7]), &voxels(1, [3, 5, 7], low), &path);
    path
}

#[allow(clippy::cast_possible_truncation, reason = "numbers are below 2^16")]
fn low(number: usize) -> u16 {
    number as u16
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read_back_with_its_metadata(
        extent in [1_usize..20, 1_usize..150, 1_usize..150],
        channels in 1_usize..3,
        size in proptest::option::of([0.01_f64..10.0, 0.01_f64..10.0, 0.01_f64..10.0]),
        name in proptest::option::of("[a-zA-Zµ \"\\\\]{1,8}"),
        v04 in any::<bool>(),
        shards in any::<bool>(),
        checksums in any::<bool>(),
        pyramid in any::<bool>(),
        packing in 0_usize..3,
        start in [0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.zarr");
        let compression = [Compression::None, Compression::Deflate, Compression::Zstd][packing];
        let options = ZarrOptions::new()
            .with_version(if v04 { ZarrVersion::V04 } else { ZarrVersion::V05 })
            .with_shards(shards && !v04)
            .with_checksums(checksums)
            .with_pyramid(pyramid)
            .with_compression(compression);
        let names: Vec<_> = (0..channels).map(|channel| name.clone().filter(|_| channel == 0)).collect();
        let size = size.map(|size| VoxelSize::new(size).unwrap());
        let image = NewImage::<Zyx, u16>::new(extent).with_channel_names(names.clone()).with_voxel_size(size);
        let expected = voxels(channels, extent, low);
        write(options, &image, &expected, &path);

        let image = ZarrImage::open(&path).unwrap();
        let info = image.info();
        prop_assert_eq!(&info.channel_names, &names);
        prop_assert_eq!(Format::layout(&image).extent, extent);
        prop_assert_eq!(image.voxel_size::<Zyx>(), size);
        let window = Window::<Zyx>::new(
            std::array::from_fn(|axis| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
                let first = (start[axis] * extent[axis] as f64) as usize;
                first
            }),
            [0; 3],
        );
        let window = Window::new(window.start, std::array::from_fn(|axis| extent[axis] - window.start[axis]));
        // A single slice is a plane, whatever it was written as.
        if extent[0] > 1 {
            let found = image.read::<Zyx, u16>(0, &window).unwrap();
            let view = expected.view();
            prop_assert_eq!(found, window.view_channels(&view));
        }
    }
}

#[test]
fn every_pixel_type_and_planes_are_read_back() {
    fn check<T: Pixel>(value: impl Fn(usize) -> T) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plane.zarr");
        let expected = voxels(2, [1, 40, 30], value).remove_axis_of_one();
        let image = NewImage::<Yx, T>::new([40, 30]).with_channels(2);
        write(ZarrOptions::new(), &image, &expected, &path);
        let image = ZarrImage::open(&path).unwrap();
        assert_eq!(image.info().pixel, T::TYPE);
        assert_eq!(image.read::<Yx, T>(0, &Window::whole([40, 30])).unwrap(), expected);
    }
    check(|number| low(number).to_le_bytes()[0]);
    check(|number| low(number).to_le_bytes()[0].cast_signed());
    check(low);
    check(|number| low(number).cast_signed());
    check(|number| u32::from(low(number)) * 65_537);
    check(|number| f32::from(low(number)) / 3.0);
    check(|number| low(number).is_multiple_of(3));
    check(|number| i32::from(low(number)) * -32_749);
    check(|number| u64::from(low(number)) << 45);
    check(|number| -(i64::from(low(number)) << 44));
    check(|number| half::f16::from_f32(f32::from(low(number) % 1000)));
    check(|number| f64::from(low(number)) / 3.0);
}

trait RemoveAxis {
    type Smaller;
    fn remove_axis_of_one(self) -> Self::Smaller;
}

impl<T> RemoveAxis for Array4<T> {
    type Smaller = Array3<T>;
    fn remove_axis_of_one(self) -> Array3<T> {
        self.index_axis_move(Axis(1), 0)
    }
}

#[test]
fn the_same_image_is_the_same_bytes_in_any_order_of_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let expected = voxels(1, [70, 70, 70], low);
    let image = NewImage::<Zyx, u16>::new([70; 3]);
    let options = ZarrOptions::new().with_pyramid(true);
    let names = ["a", "b"].map(|name| folder.path().join(name).join("cells.zarr"));
    write(options, &image, &expected, &names[0]);
    let writer = options.create(&image, &names[1]).unwrap();
    writer.write(&Window::whole([70; 3]), &expected.view()).unwrap();
    writer.finish().unwrap();
    for file in ["zarr.json", "0/zarr.json", "0/c/0/0/0", "0/c/1/1/1", "1/c/0/0/0"] {
        let [a, b] = names.each_ref().map(|name| fs::read(name.join(file)).unwrap());
        assert_eq!(a, b, "{file}");
    }
}

#[test]
fn a_smaller_level_is_the_mean_of_intensities_and_the_first_of_labels() {
    let folder = tempfile::tempdir().unwrap();
    // A chunk has 512 x 512 pixels, so there is a second level. The last column has no pair.
    let mut plane = Array2::<u8>::zeros((600, 601));
    let corner = array![[1, 2, 7, 8], [3, 4, 7, 8], [9, 9, 9, 9], [9, 8, 9, 9]];
    plane.slice_each_axis_mut(|axis| ndarray::Slice::from(0..axis.len.min(4))).assign(&corner);
    (plane[[0, 600]], plane[[1, 600]]) = (5, 8);
    for (kind, expected, last) in [
        // 10 / 4 = 2.5, 30 / 4 = 7.5 and 13 / 2 = 6.5 are rounded up; 35 / 4 is 8.75.
        (ImageKind::Intensities, array![[[3, 8], [9, 9]]], 7),
        (ImageKind::Labels, array![[[1, 7], [9, 9]]], 5),
    ] {
        let path = folder.path().join(format!("{kind:?}.zarr"));
        let image = NewImage::<Yx, u8>::new([600, 601])
            .with_kind(kind)
            .with_voxel_size(VoxelSize::new([1.0, 1.0]).unwrap());
        write(
            ZarrOptions::new().with_pyramid(true),
            &image,
            &plane.clone().insert_axis(Axis(0)),
            &path,
        );
        let half = ZarrImage::open_at(&path, None, 1).unwrap();
        assert_eq!(Format::layout(&half).levels, [[1, 600, 601], [1, 300, 301]]);
        assert_eq!(half.info().voxel_size, Some(vec![2.0, 2.0]));
        assert_eq!(half.origin()[1..], [Some(0.5); 2]);
        let corner = half.read::<Yx, u8>(0, &Window::new([0, 0], [2, 2])).unwrap();
        assert_eq!(corner, expected, "{kind:?}");
        let end = half.read::<Yx, u8>(0, &Window::new([0, 300], [1, 1])).unwrap();
        assert_eq!(end, array![[[last]]], "{kind:?}");
    }
}

#[test]
fn labels_have_the_levels_of_their_image_and_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    for version in [ZarrVersion::V04, ZarrVersion::V05] {
        let path = folder.path().join(format!("{version:?}.zarr"));
        let size = VoxelSize::new([1.0, 0.5, 0.5]).unwrap();
        let options = ZarrOptions::new().with_version(version).with_pyramid(true);
        let image =
            NewImage::<Zyx, u16>::new([20, 300, 300]).with_channels(2).with_voxel_size(size);
        write(options, &image, &voxels(2, [20, 300, 300], low), &path);
        let ids = voxels(1, [20, 300, 300], |number| u32::from(low(number)) * 65_537);
        for name in ["nuclei", "cells"] {
            let labels = NewImage::<Zyx, u32>::labels([20, 300, 300]);
            let writer = ZarrOptions::new().create_labels(&labels, &path, name).unwrap();
            writer.write(&Window::whole([20, 300, 300]), &ids.view()).unwrap();
            writer.finish().unwrap();
        }
        let image = ZarrImage::open(&path).unwrap();
        assert_eq!(image.labels(), ["nuclei", "cells"]);
        let labels = ZarrImage::open(image.label_path("nuclei")).unwrap();
        assert_eq!(Format::layout(&labels).levels, Format::layout(&image).levels);
        assert!(image.info().levels.len() > 1);
        assert_eq!(labels.voxel_size::<Zyx>(), Some(size));
        assert_eq!(labels.read::<Zyx, u32>(0, &Window::whole([20, 300, 300])).unwrap(), ids);
        for level in 0..image.info().levels.len() {
            let [image, labels] = [path.clone(), image.label_path("nuclei")]
                .map(|path| ZarrImage::open_at(path, None, level).unwrap());
            assert_eq!(image.origin(), labels.origin());
            assert_eq!(image.voxel_size::<Zyx>(), labels.voxel_size::<Zyx>());
        }
        let error = ZarrImage::open(path.join("labels")).unwrap_err().to_string();
        assert!(error.contains("label images") && error.contains("nuclei"), "{error}");

        let again = ZarrOptions::new().create_labels(
            &NewImage::<Zyx, u32>::labels([20, 300, 300]),
            &path,
            "cells",
        );
        assert!(matches!(again, Err(SaveError::Exists { .. })));
        for (labels, name) in [
            (NewImage::<Zyx, u32>::labels([20, 300, 299]), "other"),
            (NewImage::<Zyx, u32>::labels([20, 300, 300]).with_channels(2), "other"),
            (NewImage::<Zyx, u32>::labels([20, 300, 300]), "../other"),
            (NewImage::<Zyx, u32>::labels([20, 300, 300]), ""),
        ] {
            let refused = ZarrOptions::new().create_labels(&labels, &path, name);
            assert!(matches!(refused, Err(SaveError::Unsupported { .. })), "{name}");
        }
    }
}

#[test]
fn a_box_that_cuts_a_chunk_and_a_chunk_that_is_written_twice_or_not_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.zarr");
    let image = NewImage::<Zyx, u16>::new([100, 100, 100]);
    let writer = ZarrOptions::new().create(&image, &path).unwrap();
    assert_eq!(writer.block(), [64, 64, 64]);
    let zeros = |extent: [usize; 3]| Array3::<u16>::zeros(extent).insert_axis(Axis(0));
    let write = |start, extent| writer.write(&Window::new(start, extent), &zeros(extent).view());
    let error = write([0, 0, 0], [64, 64, 60]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a window from [0, 0, 0] of extent [64, 64, 60] cuts through blocks of [64, 64, 64]: each axis has to \
         begin at a multiple of the block and end at one or at the end of the image, whose extent is [100, 100, 100]"
    );
    write([64, 64, 64], [36, 36, 36]).unwrap();
    assert!(matches!(write([64, 64, 64], [36, 36, 36]), Err(WriteError::Twice { .. })));
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, WriteError::Missing { missing: 7, blocks: 8, .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_store_is_replaced_only_if_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = a_small_store(folder.path(), ZarrOptions::new());
    let image = NewImage::<Zyx, u8>::new([3, 5, 7]);
    let refused = ZarrOptions::new().create(&image, &path);
    assert!(matches!(refused, Err(SaveError::Exists { .. })));
    let options = ZarrOptions::new().with_existing(Existing::Replace);
    write(options, &image, &Array4::ones((1, 3, 5, 7)), &path);
    assert_eq!(ZarrImage::open(&path).unwrap().info().pixel, crate::PixelType::U8);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_chunk_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = a_small_store(folder.path(), ZarrOptions::new().with_checksums(false));
    // A frame of one segment whose content size, 8 bytes of them, is 2^62 (RFC 8878, section 3.1.1.1).
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0b1110_0000];
    frame.extend((1_u64 << 62).to_le_bytes());
    frame.extend([1, 0, 0]);
    fs::write(path.join("0/c/0/0/0"), frame).unwrap();
    let image = ZarrImage::open(&path).unwrap();
    let error = image.read::<Zyx, u16>(0, &Window::whole([3, 5, 7])).unwrap_err().to_string();
    assert!(
        error.contains("0/c/0/0/0") && error.contains("unpack to 4611686018427387904"),
        "{error}"
    );
    fs::write(path.join("0/c/0/0/0"), vec![0; 200_000]).unwrap();
    let error = image.read::<Zyx, u16>(0, &Window::whole([3, 5, 7])).unwrap_err().to_string();
    assert!(error.contains("200000 bytes"), "{error}");
}

#[test]
fn damage_is_an_error_that_names_the_file_inside() {
    type Damage = fn(&Path);
    fn cut(file: &Path) {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
    }
    fn flip(file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        bytes[5] ^= 0x10;
        fs::write(file, bytes).unwrap();
    }
    fn json(file: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }
    let cases: [(&str, &str, Damage); 11] = [
        ("zarr.json", "is no JSON", |path| cut(&path.join("zarr.json"))),
        ("0/zarr.json", "is no JSON", |path| cut(&path.join("0/zarr.json"))),
        ("0", "a level of the image is missing", |path| {
            fs::remove_file(path.join("0/zarr.json")).unwrap();
        }),
        ("0/c/0/0/0", "the checksum is invalid", |path| cut(&path.join("0/c/0/0/0"))),
        ("0/c/0/0/0", "the checksum is invalid", |path| flip(&path.join("0/c/0/0/0"))),
        ("zarr.json", "does not lead to a place inside", |path| {
            json(&path.join("zarr.json"), "\"path\": \"0\"", "\"path\": \"../cells.zarr/0\"");
        }),
        ("zarr.json", "a scale has 4 numbers", |path| {
            json(&path.join("zarr.json"), "\"scale\": [", "\"scale\": [1, ");
        }),
        ("0/zarr.json", "unheard-of", |path| {
            json(&path.join("0/zarr.json"), "\"zstd\"", "\"unheard-of\"");
        }),
        ("0/zarr.json", "complex64", |path| {
            json(&path.join("0/zarr.json"), "\"uint16\"", "\"complex64\"");
        }),
        ("0/zarr.json", "inconsistent dimensionality", |path| {
            json(&path.join("0/zarr.json"), "\"shape\": [", "\"shape\": [1, ");
        }),
        ("", "chunks of", |path| {
            json(&path.join("0/zarr.json"), " 4,\n", " 4611686018427387904,\n");
        }),
    ];
    for (file, reason, damage) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = a_small_store(folder.path(), ZarrOptions::new());
        damage(&path);
        let whole = Window::<Zyx>::whole([3, 5, 7]);
        let error =
            ZarrImage::open(&path).and_then(|image| image.read::<Zyx, u16>(0, &whole)).unwrap_err();
        let text = error.to_string();
        let named = if file.is_empty() { path.clone() } else { path.join(file) };
        assert!(text.contains(&named.display().to_string()), "{file}: {text}");
        assert!(text.contains(reason), "{reason}: {text}");
    }
}

#[test]
fn a_damaged_chunk_of_a_shard_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = a_small_store(folder.path(), ZarrOptions::new().with_shards(true));
    let shard = path.join("0/c/0/0/0");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[20] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let image = ZarrImage::open(&path).unwrap();
    let error = image.read::<Zyx, u16>(0, &Window::whole([3, 5, 7])).unwrap_err().to_string();
    assert!(error.contains("0/c/0/0/0: the checksum is invalid"), "{error}");
}

/// Writes stores until it is killed, if the variable says where.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var("SEGMENTER_ZARR_CHILD") else { return };
    let image = NewImage::<Zyx, u16>::new([8, 300, 300]);
    let expected = voxels(1, [8, 300, 300], low);
    for number in 0.. {
        let path = Path::new(&folder).join(format!("{number}.zarr"));
        write(ZarrOptions::new().with_pyramid(true), &image, &expected, &path);
    }
}

#[test]
fn a_writer_that_is_killed_leaves_no_store_or_a_whole_one() {
    let expected = voxels(1, [8, 300, 300], low);
    let (mut stores, mut leftovers) = (0, 0);
    // How many stores are waited for, and for how long after.
    for (whole, millis) in [(0, 1), (0, 25), (1, 0), (1, 10), (1, 35), (2, 5)] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "io::zarr::tests::child_that_writes_until_it_is_killed"])
            .env("SEGMENTER_ZARR_CHILD", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = || fs::read_dir(folder.path()).unwrap().count() > whole;
        for _ in 0..6000 {
            if begun() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                leftovers += 1;
                continue;
            }
            let image = ZarrImage::open(&path).unwrap();
            assert_eq!(image.read::<Zyx, u16>(0, &Window::whole([8, 300, 300])).unwrap(), expected);
            assert!(image.info().levels.len() > 1);
            stores += 1;
        }
    }
    assert!(
        stores > 0 && leftovers > 0,
        "{stores} whole, {leftovers} cut short: the times don't fit"
    );
}
