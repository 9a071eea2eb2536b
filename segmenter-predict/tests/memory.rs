//! A prediction takes no more memory than its plan says. A process of its own, whose peak is its peak.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]
#![allow(clippy::print_stdout, reason = "what was taken is to be seen")]
#![cfg(target_os = "linux")]

use std::{fs, ops::ControlFlow};

use burn::tensor::Device;
use ndarray::{Array, Ix4};
use segmenter_core::{NewImage, ReadError, Source, VoxelSize, Window, Zyx, io::SaveOptions};
use segmenter_model::{DynUNetConfig, Model3};
use segmenter_predict::{Plan, Tiling, mask, predict_into};

/// An image that is computed as it is read.
struct Virtual([usize; 3]);

impl Source<Zyx, f32> for Virtual {
    fn extent(&self) -> [usize; 3] {
        self.0
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<Zyx>> {
        None
    }

    fn read(&self, window: &Window<Zyx>) -> Result<Array<f32, Ix4>, ReadError> {
        ReadError::check(window, self.0)?;
        let [z, y, x] = window.extent;
        let [z0, y0, x0] = window.start;
        Ok(Array::from_shape_fn((1, z, y, x), |(_, z, y, x)| {
            f32::from(u16::try_from(((z0 + z) * 31 + (y0 + y) * 7 + (x0 + x) * 3) % 251).unwrap())
        }))
    }
}

/// Bytes of this process: `VmRSS` now, `VmHWM` at most.
fn memory(kind: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

fn check(model: &Model3, tiling: &Tiling<Zyx>, extent: [usize; 3], budget: Option<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.ome.tif");
    let sink = SaveOptions::new().create(&NewImage::mask(extent), path).unwrap();
    let mut plan = Plan::new(model, extent, tiling).unwrap().with_block(sink.block());
    if let Some(budget) = budget {
        assert!(plan.peak_bytes() > budget);
        plan = plan.within(budget).unwrap();
    }
    // What was touched before does not count.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    let go = |_| ControlFlow::Continue(());
    predict_into(model, &Virtual(extent), &plan, mask(0.5), Box::new(sink), go).unwrap();
    let taken = memory("VmHWM:") - before;
    println!("{plan}: {} MiB taken", taken >> 20);
    assert!(taken <= plan.peak_bytes(), "{plan}, but {} MiB were taken", taken >> 20);
}

#[test]
fn a_prediction_takes_no_more_than_its_plan_says() {
    let device = Device::flex();
    let model = |config, patch| Model3::init(config, patch, 7, &device).unwrap();
    let small = model(DynUNetConfig::small(), [16, 32, 32]);
    check(&small, &Tiling::new([32, 128, 128]), [36, 200, 200], None);
    let medium = model(DynUNetConfig::medium(), [16, 32, 32]);
    check(&medium, &Tiling::new([16, 64, 64]), [20, 150, 150], None);
    // Little to compute, and large slices.
    let tiny = DynUNetConfig::new(&[1, 1], &[[1, 1, 1], [1, 2, 2]]);
    let tiny = model(tiny, [8, 64, 64]);
    let tiling = Tiling::new([8, 128, 128]);
    check(&tiny, &tiling, [12, 1800, 1800], None);
    check(&tiny, &tiling, [12, 1800, 1800], Some(200 << 20));
}
