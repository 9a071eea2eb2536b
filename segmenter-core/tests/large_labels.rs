//! Masks that no memory holds are labelled, and their objects measured, within a bound.
//!
//! `LABEL_SLICES=5120 cargo test -p segmenter-core --test large_labels -- --nocapture` does it with 5120×2048×2048
//! voxels, 20 GiB of a mask and 80 GiB of labels; without the variable with 64 slices of them. The memory
//! is that of the whole process, which is why this test has a file of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]
#![allow(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::{
    env, fs,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use ndarray::{Array, ArrayView, Axis, Ix4};
use segmenter_core::{
    ReadError, Sink, Source, VoxelSize, Window, WriteError, Zyx,
    objects::{Labelling, Volume, label, measure},
};

const SIDE: usize = 2048;

/// Cubes of edge 32, one in each cell of a lattice of cells of edge 64, and one voxel beside each.
struct Cubes {
    slices: usize,
}

impl Cubes {
    /// The cell of a voxel of a cube, or of the voxel beside it.
    fn fill<T: Clone>(
        &self,
        window: &Window<Zyx>,
        none: T,
        value: impl Fn(usize) -> T,
    ) -> Array<T, Ix4> {
        let [slices, rows, columns] = window.extent;
        let mut voxels = Array::from_elem((1, slices, rows, columns), none);
        let side = SIDE / 64;
        for (z, mut slice) in
            window.range(0).zip(voxels.index_axis_mut(Axis(0), 0).outer_iter_mut())
        {
            for (y, mut row) in window.range(1).zip(slice.outer_iter_mut()) {
                let row = row.as_slice_mut().unwrap();
                for (x, run) in row.chunks_mut(64).enumerate() {
                    let cell = value((z / 64 * side + y / 64) * side + x);
                    if z % 64 < 32 && y % 64 < 32 {
                        run[..32].fill(cell);
                    } else if (z % 64, y % 64) == (40, 40) {
                        run[40] = cell;
                    }
                }
            }
        }
        voxels
    }
}

impl Source<Zyx, bool> for Cubes {
    fn extent(&self) -> [usize; 3] {
        [self.slices, SIDE, SIDE]
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
        VoxelSize::new([0.5, 0.25, 0.25]).ok()
    }

    fn read(&self, window: &Window<Zyx>) -> Result<Array<bool, Ix4>, ReadError> {
        Ok(self.fill(window, false, |_| true))
    }
}

impl Source<Zyx, u32> for Cubes {
    fn extent(&self) -> [usize; 3] {
        [self.slices, SIDE, SIDE]
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
        VoxelSize::new([0.5, 0.25, 0.25]).ok()
    }

    fn read(&self, window: &Window<Zyx>) -> Result<Array<u32, Ix4>, ReadError> {
        Ok(self.fill(window, 0, |cell| u32::try_from(cell).unwrap() + 1))
    }
}

/// Adds up what is written and keeps none of it.
struct Sum<'a> {
    slices: usize,
    sum: &'a AtomicU64,
}

impl Sink<Zyx, u32> for Sum<'_> {
    fn extent(&self) -> [usize; 3] {
        [self.slices, SIDE, SIDE]
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
fn a_large_mask_is_labelled_and_measured_with_little_of_it_in_memory() {
    let slices = env::var("LABEL_SLICES").map_or(64, |slices| slices.parse().unwrap());
    let (mask, sum) = (Cubes { slices }, AtomicU64::new(0));
    let cells = slices.div_ceil(64) * (SIDE / 64) * (SIDE / 64);
    let go = |_| ControlFlow::Continue(());

    let start = Instant::now();
    let labelling = Labelling::new().without_small(Volume::Micrometres(1.0));
    let sink = Box::new(Sum { slices, sum: &sum });
    let found = label::<Zyx>(&mask, sink, &labelling, go).unwrap();
    assert_eq!((found.objects.len(), found.small, found.touching), (cells, cells, 0));
    assert!(found.objects.iter().all(|object| object.voxels == 32 * 32 * 32));
    let cells = cells as u64;
    assert_eq!(sum.into_inner(), cells * (cells + 1) / 2 * 32 * 32 * 32);
    let labelled = start.elapsed().as_secs_f64();

    let table = measure::<Zyx>(&mask, None, go).unwrap();
    assert_eq!(table.objects.len() as u64, cells);
    assert!(table.objects.iter().all(|object| object.voxels == 32 * 32 * 32 + 1));
    let Some(peak) = peak() else { return };
    let measured = start.elapsed().as_secs_f64() - labelled;
    println!(
        "{slices} slices labelled in {labelled:.1} s, measured in {measured:.1} s, at most {peak} MiB"
    );
    assert!(peak < 512, "{peak} MiB");
}
