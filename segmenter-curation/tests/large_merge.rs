//! Volumes that no memory holds are merged box by box within a bound.
//!
//! `MERGE_SLICES=1280 cargo test -p segmenter-curation --test large_merge -- --nocapture` merges two
//! label images of 1280×2048×2048, 20 GiB each; without the variable 64 slices of them, 1 GiB each. The
//! memory is that of the whole process, which is why this test has a file of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    env, fs,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use ndarray::{Array, ArrayView, Ix4};
use segmenter_core::{ReadError, Region, Sink, Source, VoxelSize, Window, WriteError, Zyx, copy};
use segmenter_curation::{MergeRule, Merged};

const SIDE: usize = 2048;

/// A label image in which each slice has one id: its number, from a first one on.
struct Slices {
    slices: usize,
    first: u32,
}

impl Source<Zyx, u32> for Slices {
    fn extent(&self) -> [usize; 3] {
        [self.slices, SIDE, SIDE]
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
        None
    }

    fn read(&self, window: &Window<Zyx>) -> Result<Array<u32, Ix4>, ReadError> {
        ReadError::check(window, self.extent())?;
        let [slices, rows, columns] = window.extent;
        let mut ids = Array::zeros((1, slices, rows, columns));
        for (z, mut slice) in
            window.range(0).zip(ids.index_axis_mut(ndarray::Axis(0), 0).outer_iter_mut())
        {
            slice.fill(self.first + u32::try_from(z).unwrap());
        }
        Ok(ids)
    }
}

/// Adds up what is written and keeps none of it.
struct Sum<'a> {
    extent: [usize; 3],
    sum: &'a AtomicU64,
    voxels: &'a AtomicU64,
}

impl Sink<Zyx, u32> for Sum<'_> {
    fn extent(&self) -> [usize; 3] {
        self.extent
    }

    fn channels(&self) -> usize {
        1
    }

    fn block(&self) -> [usize; 3] {
        [1, 256, 256]
    }

    fn write(&self, window: &Window<Zyx>, ids: &ArrayView<'_, u32, Ix4>) -> Result<(), WriteError> {
        WriteError::check(self, window, ids)?;
        self.sum.fetch_add(ids.iter().map(|&id| u64::from(id)).sum(), Ordering::Relaxed);
        self.voxels.fetch_add(ids.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), WriteError> {
        Ok(())
    }
}

/// The most memory that this process has held, in MiB, where the system tells.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_merge_of_two_volumes_holds_little_of_them_at_once() {
    let slices = env::var("MERGE_SLICES").map_or(64, |slices| slices.parse().unwrap());
    let (base, other) = (Slices { slices, first: 1 }, Slices { slices, first: 1_000_001 });
    let square = Region::rectangle((100.0, 200.0), (1123.0, 1223.0)).unwrap();
    let merged = Merged::of(base).with(other, MergeRule::Replace, [square]).unwrap();

    let (sum, voxels) = (AtomicU64::new(0), AtomicU64::new(0));
    let sink = Sum { extent: merged.extent(), sum: &sum, voxels: &voxels };
    let start = Instant::now();
    copy(&merged, Box::new(sink), |_| ControlFlow::Continue(())).unwrap();

    let (side, slices) = (SIDE as u64, slices as u64);
    let (inside, whole) = (1024 * 1024, side * side);
    assert_eq!(voxels.into_inner(), whole * slices);
    assert_eq!(sum.into_inner(), whole * slices * (slices + 1) / 2 + inside * slices * 1_000_000);
    let Some(peak) = peak() else { return };
    println!("{slices} slices in {:.1} s, at most {peak} MiB", start.elapsed().as_secs_f64());
    assert!(peak < 512, "{peak} MiB");
}
