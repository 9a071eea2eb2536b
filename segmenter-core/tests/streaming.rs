//! An image that is written box by box is the image that is written at once.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{fs, path::Path};

use ndarray::{Array3, Array4, Axis, Slice, array};
use proptest::prelude::*;
use segmenter_core::{
    Labels3, Mask2, Mask3, NewImage, Pixel, Sink, Space, Stack, Stack2, Stack3, VoxelSize, Window,
    WriteError, Yx, Zyx,
    io::{Blocks, Compression, Existing, OpenOptions, SaveOptions, TiffWriter},
};

fn noise(seed: u32, [c, z, y, x]: [usize; 4]) -> u32 {
    let place = u32::try_from(c * 1_000_000 + z * 250_000 + y * 501 + x).unwrap();
    place.wrapping_add(seed).wrapping_mul(2_654_435_761)
}

/// The blocks of a writer in an order that follows from a seed.
fn shuffled<S: Space, T: Pixel>(writer: &TiffWriter<S, T>, seed: u32) -> Vec<Window<S>> {
    let mut windows: Vec<_> = Window::blocks(writer.extent(), writer.block()).enumerate().collect();
    windows.sort_by_key(|&(index, _)| noise(seed, [0, 0, 0, index]));
    windows.into_iter().map(|(_, window)| window).collect()
}

/// Writes a stack block by block in some order, and reads it.
fn check<S: Space, T: Pixel>(options: &SaveOptions, stack: &Stack<S, T>, seed: u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.ome.tiff");
    let writer = options.create(&NewImage::from(stack), &path).unwrap();
    for window in shuffled(&writer, seed) {
        writer.write(&window, &window.view_channels(&stack.view())).unwrap();
    }
    assert!(!path.exists(), "nothing has the name before the end");
    writer.finish().unwrap();
    assert_eq!(&Stack::<S, T>::open(&path).unwrap(), stack);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn any_options() -> impl Strategy<Value = SaveOptions> {
    let compression = [Compression::None, Compression::Deflate, Compression::Zstd];
    let compression = prop::sample::select(compression.to_vec());
    let blocks = prop::sample::select(vec![Blocks::Tiles, Blocks::Strips]);
    (compression, blocks, any::<bool>(), any::<bool>()).prop_map(|(compression, blocks, a, b)| {
        let options = SaveOptions::new().with_compression(compression).with_blocks(blocks);
        options.with_pyramid(a).with_big_tiff(b)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn blocks_in_any_order_make_the_image(
        (channels, slices) in (1_usize..3, 2_usize..4),
        (rows, columns) in (1_usize..600, 1_usize..600),
        options in any_options(),
        seed in any::<u32>(),
        spacing in proptest::option::of([1e-6..1e6, 1e-6..1e6, 1e-6..1e6_f64]),
    ) {
        let values = Array4::from_shape_fn((channels, slices, rows, columns), |(c, z, y, x)| {
            noise(seed, [c, z, y, x])
        });
        let volume = Stack3::from_channels(values.clone())
            .with_voxel_size(spacing.map(|spacing| VoxelSize::new(spacing).unwrap()))
            .with_channel_names([Some("nuclei".to_owned())]);
        check(&options, &volume, seed);
        check(&options, &Stack3::from_channels(values.mapv(u32::cast_signed)), seed);
        check(&options, &Stack3::from_channels(values.mapv(f64::from)), seed);
        let [byte, wide] = [24, 16].map(|bits| values.mapv(|value| value >> bits));
        let bytes = byte.mapv(|value| u8::try_from(value).unwrap());
        let shorts = wide.mapv(|value| u16::try_from(value).unwrap());
        check(&options, &Stack3::from_channels(shorts.mapv(u16::cast_signed)), seed);
        check(&options, &Stack3::from_channels(shorts.mapv(f32::from)), seed);
        check(&options, &Stack3::from_channels(shorts), seed);
        let plane = bytes.index_axis(Axis(1), 0).mapv(u8::cast_signed);
        check(&options, &Stack2::from_channels(plane), seed);
        check(&options, &Stack3::from_channels(bytes), seed);
    }
}

fn labels() -> Labels3 {
    Labels3::new(Array3::from_shape_fn((3, 700, 530), |(z, y, x)| {
        u32::try_from(z * 100_000 + y / 7 * 100 + x / 9).unwrap()
    }))
}

/// Everything at once, on so many threads.
fn saved_on(threads: usize, options: &SaveOptions, path: &Path) -> Vec<u8> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| options.save_labels(&labels(), path)).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.ome.tiff");
    let options = SaveOptions::new().with_existing(Existing::Replace).with_pyramid(true);
    let one = saved_on(1, &options, &path);
    assert!(one == saved_on(3, &options, &path));
    assert!(one == saved_on(8, &options, &path));
}

#[test]
fn boxes_of_many_threads_make_the_image_that_one_thread_makes() {
    let (labels, folder) = (labels(), tempfile::tempdir().unwrap());
    let path = folder.path().join("labels.ome.tiff");
    let image = NewImage::from(&labels).with_voxel_size(VoxelSize::new([0.3, 0.1, 0.1]).unwrap());
    let writer = SaveOptions::new().with_pyramid(true).create(&image, &path).unwrap();
    let sink: Box<dyn Sink<Zyx, u32>> = Box::new(writer);
    let windows: Vec<_> = Window::blocks(sink.extent(), sink.block()).collect();
    std::thread::scope(|scope| {
        for share in windows.chunks(windows.len().div_ceil(4)) {
            let (sink, labels) = (&sink, &labels);
            scope.spawn(move || {
                for window in share {
                    let ids = window.view(&labels.view()).to_owned();
                    sink.write(window, &ids.insert_axis(Axis(0)).view()).unwrap();
                }
            });
        }
    });
    sink.finish().unwrap();
    let expected = labels.with_voxel_size(image.voxel_size());
    assert_eq!(Labels3::open(&path).unwrap(), expected);
}

#[test]
fn a_smaller_level_of_a_label_image_has_every_second_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.ome.tiff");
    SaveOptions::new().with_pyramid(true).save_labels(&labels(), &path).unwrap();
    let mut expected = labels().into_array();
    for level in 1..=2 {
        expected = expected
            .slice_each_axis(|axis| match axis.axis {
                Axis(0) => Slice::from(..),
                _ => Slice::new(0, None, 2),
            })
            .to_owned();
        let found = OpenOptions::new().with_level(level).open_labels::<Zyx>(&path).unwrap();
        assert_eq!(found.view(), expected, "level {level}");
    }
}

#[test]
fn a_mask_is_written_box_by_box_as_yes_and_no() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.ome.tiff");
    let mask = labels().foreground();
    let writer = SaveOptions::new().create(&NewImage::from(&mask), &path).unwrap();
    for window in shuffled(&writer, 1) {
        let voxels = window.view(&mask.view()).to_owned();
        writer.write(&window, &voxels.insert_axis(Axis(0)).view()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(Mask3::open(&path).unwrap(), mask);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.ome.tiff");
    let image = NewImage::<Yx, u8>::new([300, 300]);
    let writer = SaveOptions::new().create(&image, &path).unwrap();
    let pixels = Array3::zeros((1, 256, 256));
    writer.write(&Window::new([0, 0], [256, 256]), &pixels.view()).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_image_with_gaps_is_not_finished_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.ome.tiff");
    let image = NewImage::<Zyx, u16>::new([2, 300, 513]).with_channels(3);
    let writer = SaveOptions::new().create(&image, &path).unwrap();
    let pixels = Array4::zeros((3, 1, 256, 512));
    writer.write(&Window::new([0, 0, 0], [1, 256, 512]), &pixels.view()).unwrap();
    let error = writer.finish().unwrap_err();
    assert_eq!(
        error.to_string(),
        "10 of 12 blocks are not written; the first begins at voxel [0, 0, 512]"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_box_that_does_not_fit_is_refused_with_its_numbers_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.ome.tiff");
    let image = NewImage::<Yx, u8>::new([300, 300]);
    let writer = SaveOptions::new().create(&image, &path).unwrap();
    let pixels = Array3::from_elem((1, 300, 300), 7);
    let write = |start, extent: [usize; 2], shape: [usize; 3]| {
        let window = Window::new(start, extent);
        writer.write(&window, &Array3::from_elem(shape, 7).view())
    };
    assert_eq!(
        write([256, 0], [45, 256], [1, 45, 256]).unwrap_err().to_string(),
        "a window from [256, 0] of extent [45, 256] leaves an image of extent [300, 300]"
    );
    let error = write([0, 128], [256, 128], [1, 256, 128]).unwrap_err();
    assert!(matches!(error, WriteError::Unaligned { .. }), "{error}");
    let error = write([0, 0], [256, 200], [1, 256, 200]).unwrap_err();
    assert!(matches!(error, WriteError::Unaligned { .. }), "{error}");
    let error = write([0, 0], [256, 256], [2, 256, 256]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an array of shape [2, 256, 256] does not fill a window of shape [1, 256, 256]"
    );
    write([0, 256], [256, 44], [1, 256, 44]).unwrap();
    let error = writer.write(&Window::whole([300, 300]), &pixels.view()).unwrap_err();
    assert_eq!(error.to_string(), "the voxels from [0, 256] on are already written");
    write([0, 0], [256, 256], [1, 256, 256]).unwrap();
    write([256, 0], [44, 300], [1, 44, 300]).unwrap();
    writer.finish().unwrap();
    assert_eq!(Stack2::<u8>::open(&path).unwrap().view(), pixels);
}

/// Saves the 2 x 3 numbers from 0 on, and compares with what `numpy.save` made of them.
fn check_numpy<T: Pixel>(name: &str, convert: fn(u8) -> T) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.npy");
    let pixels = Array3::from_shape_vec((1, 2, 3), (0..6).map(convert).collect()).unwrap();
    Stack2::from_channels(pixels).save(&path).unwrap();
    assert!(fs::read(&path).unwrap() == numpy(name), "{name}");
}

/// A file of `fixtures/python/make_fixtures.py`.
fn numpy(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn arrays_are_saved_byte_for_byte_as_numpy_saves_them() {
    check_numpy("grid_uint8.npy", |value| value);
    check_numpy("grid_int8.npy", u8::cast_signed);
    check_numpy("grid_uint16.npy", u16::from);
    check_numpy("grid_int16.npy", i16::from);
    check_numpy("grid_uint32.npy", u32::from);
    check_numpy("grid_float32.npy", f32::from);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.npy");
    Mask2::new(array![[false, true, true], [true, true, true]]).save(&path).unwrap();
    assert!(fs::read(&path).unwrap() == numpy("grid_bool.npy"));
}
