//! A volume that is larger than memory is read, transformed and written within 512 MiB.
//!
//! `VOLUME_GIB=20 cargo test --package segmenter-core --features zarr --test zarr_volume -- --nocapture` does it with 20 GiB; without the
//! variable it is one. The test is alone in its process, whose peak of memory is that of the work.

#![cfg(feature = "zarr")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]
#![allow(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::{fs, path::Path, time::Instant};

use ndarray::{Array4, Axis};
use segmenter_core::{
    NewImage, VoxelSize, Window, Zyx,
    io::{ZarrImage, ZarrOptions},
};

/// MiB of memory that the process may ever have had.
const CEILING: u64 = 512;

/// What is done to each voxel.
fn transformed(value: u16) -> u16 {
    (value ^ 0x5555).rotate_left(3)
}

/// The value of a voxel of the chunk of which the volume is full.
fn value(z: usize, y: usize, x: usize) -> u16 {
    u16::try_from((z * 4096 + y * 64 + x * 7) % 65_536).unwrap()
}

/// A store of chunks that are all the same file but every third, which is missing and has the fill value.
fn virtual_volume(folder: &Path, extent: [usize; 3]) -> std::path::PathBuf {
    let path = folder.join("volume.zarr");
    let image = NewImage::<Zyx, u16>::new([64; 3])
        .with_voxel_size(VoxelSize::new([0.2, 0.2, 0.2]).unwrap());
    let chunk = Array4::from_shape_fn((1, 64, 64, 64), |(_, z, y, x)| value(z, y, x));
    let writer = ZarrOptions::new().create(&image, &path).unwrap();
    writer.write(&Window::whole([64; 3]), &chunk.view()).unwrap();
    writer.finish().unwrap();
    let metadata = path.join("0/zarr.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    json["shape"] = extent.to_vec().into();
    fs::write(&metadata, json.to_string()).unwrap();
    let original = folder.join("chunk");
    fs::rename(path.join("0/c/0/0/0"), &original).unwrap();
    for block in Window::<Zyx>::blocks(extent, [64; 3]) {
        let [z, y, x] = block.start.map(|start| start / 64);
        if !(z + y + x).is_multiple_of(3) {
            let folder = path.join(format!("0/c/{z}/{y}"));
            fs::create_dir_all(&folder).unwrap();
            fs::hard_link(&original, folder.join(x.to_string())).unwrap();
        }
    }
    path
}

/// The most memory that this process has had, in MiB, where the system tells.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_volume_larger_than_the_ceiling_is_processed_below_it() {
    let gib: usize = std::env::var("VOLUME_GIB").map_or(1, |text| text.parse().unwrap());
    // 512 slices of 1 MiB voxels of two bytes are a GiB.
    let extent = [512 * gib, 1024, 1024];
    let folder = tempfile::tempdir().unwrap();
    let input = ZarrImage::open(virtual_volume(folder.path(), extent)).unwrap();
    let path = folder.path().join("result.zarr");
    let new = NewImage::<Zyx, u16>::new(extent).with_voxel_size(input.voxel_size());
    let writer = ZarrOptions::new().with_shards(true).create(&new, &path).unwrap();
    let start = Instant::now();
    for window in Window::<Zyx>::blocks(extent, writer.block()) {
        let voxels = input.read::<Zyx, u16>(0, &window).unwrap().mapv_into(transformed);
        writer.write(&window, &voxels.view()).unwrap();
    }
    writer.finish().unwrap();
    let seconds = start.elapsed().as_secs_f64();

    let result = ZarrImage::open(&path).unwrap();
    assert_eq!(result.info(), input.info());
    for first in [[64, 0, 0], [0, 0, 64], [extent[0] - 64, 960, 960], [0, 0, 0]] {
        let window = Window::<Zyx>::new(first, [64; 3]);
        let there = !(first.iter().sum::<usize>() / 64).is_multiple_of(3);
        let found = result.read::<Zyx, u16>(0, &window).unwrap();
        for ((z, y, x), &found) in found.index_axis(Axis(0), 0).indexed_iter() {
            assert_eq!(found, transformed(if there { value(z, y, x) } else { 0 }));
        }
    }
    if let Some(peak) = peak() {
        println!("{gib} GiB in {seconds:.0} s, peak {peak} MiB");
        assert!(peak < CEILING, "{peak} MiB");
    }
}
