//! A small 3D data set: blurred, noisy blobs and tubes, each image with two imperfect segmentations.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are clamped or small"
)]

use ndarray::{Array3, Axis};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segmenter::{Labels3, Stack3, VoxelSize};

/// Voxels of each image, `[z, y, x]`.
pub(crate) const EXTENT: [usize; 3] = [16, 64, 64];

/// Where something lies in the image that is no structure but looks like one: first corner and
/// last, `(x, y)`.
pub(crate) const DEBRIS: [(f64, f64); 2] = [(2.0, 44.0), (17.0, 61.0)];

/// One image with what is known about it.
pub(crate) struct Phantom {
    pub(crate) raw: Stack3<u16>,
    /// What there is.
    pub(crate) truth: Labels3,
    /// A segmentation that misses most of the right half and takes the debris for a structure.
    pub seg1: Labels3,
    /// A segmentation that misses most of the left half.
    pub seg2: Labels3,
}

/// Makes an image to learn from; the same seed makes the same one.
pub(crate) fn phantom(seed: u64) -> Phantom {
    let mut debris = Array3::zeros(EXTENT);
    ball(&mut debris, 1, [8.0, 53.0, 10.0], [5.0, 7.0, 6.0]);
    with_debris(seed, &debris)
}

/// The same without debris, as every image should be.
pub(crate) fn clean(seed: u64) -> Phantom {
    with_debris(seed, &Array3::zeros(EXTENT))
}

/// An image that shows nothing but noise, with segmentations that belong to another.
pub(crate) fn out_of_focus(seed: u64) -> Phantom {
    let nothing = Array3::zeros(EXTENT);
    let raw = image(&nothing, &nothing, &mut ChaCha8Rng::seed_from_u64(seed ^ 1));
    Phantom { raw, ..phantom(seed) }
}

fn with_debris(seed: u64, debris: &Array3<u32>) -> Phantom {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut truth = Array3::zeros(EXTENT);
    let mut columns = Vec::new();
    for id in 1..=9 {
        columns.push(if id % 3 == 0 {
            tube(&mut truth, id, &mut rng)
        } else {
            blob(&mut truth, id, &mut rng)
        });
    }
    let middle = EXTENT[2] as f64 / 2.0;
    let only = |keep: &dyn Fn(f64) -> bool| {
        truth.mapv(|id: u32| if id > 0 && keep(columns[id as usize - 1]) { id } else { 0 })
    };
    let mut seg1 = only(&|x| x < middle + 4.0);
    seg1.zip_mut_with(debris, |id, &debris| *id = if debris > 0 { 99 } else { *id });
    Phantom {
        raw: image(&truth, debris, &mut rng),
        seg1: sized(seg1),
        seg2: sized(only(&|x| x > middle - 4.0)),
        truth: sized(truth),
    }
}

fn sized(ids: Array3<u32>) -> Labels3 {
    Labels3::new(ids).with_voxel_size(voxel_size())
}

fn voxel_size() -> Option<VoxelSize<segmenter::Zyx>> {
    VoxelSize::new([0.29, 0.108, 0.108]).ok()
}

/// An ellipsoid; tells the column of its centre.
fn blob(ids: &mut Array3<u32>, id: u32, rng: &mut impl Rng) -> f64 {
    let centre = place(rng);
    let radii =
        [rng.random_range(2.5..4.5), rng.random_range(4.0..8.0), rng.random_range(4.0..8.0)];
    ball(ids, id, centre, radii);
    centre[2]
}

/// A thick line; tells the column of its middle.
fn tube(ids: &mut Array3<u32>, id: u32, rng: &mut impl Rng) -> f64 {
    let from = place(rng);
    let angle = rng.random_range(0.0..std::f64::consts::TAU);
    for step in 0..24 {
        let along = f64::from(step) - 12.0;
        let centre = [from[0], from[1] + along * angle.sin(), from[2] + along * angle.cos()];
        ball(ids, id, centre, [2.0, 2.5, 2.5]);
    }
    from[2]
}

fn place(rng: &mut impl Rng) -> [f64; 3] {
    EXTENT.map(|size| rng.random_range(0.1..0.9) * size as f64)
}

fn ball(ids: &mut Array3<u32>, id: u32, centre: [f64; 3], radii: [f64; 3]) {
    for ((z, y, x), voxel) in ids.indexed_iter_mut() {
        let offset = [z as f64 - centre[0], y as f64 - centre[1], x as f64 - centre[2]];
        let distance: f64 =
            offset.iter().zip(radii).map(|(offset, radius)| (offset / radius).powi(2)).sum();
        if distance <= 1.0 {
            *voxel = id;
        }
    }
}

/// What a microscope would see: blurred, uneven, noisy.
fn image(truth: &Array3<u32>, debris: &Array3<u32>, rng: &mut impl Rng) -> Stack3<u16> {
    let mut light = truth.mapv(|id| if id > 0 { 600.0 } else { 0.0 });
    light.zip_mut_with(debris, |light, &debris| {
        if debris > 0 {
            *light = 900.0;
        }
    });
    for axis in 0..3 {
        blur(&mut light, axis);
        blur(&mut light, axis);
    }
    let pixels = Array3::from_shape_fn(EXTENT, |(z, y, x)| {
        let uneven = 0.6 + 0.4 * x as f64 / EXTENT[2] as f64;
        let noise: f64 = (0..4).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>() * 110.0;
        (400.0 + light[[z, y, x]] * uneven + noise).clamp(0.0, 65535.0) as u16
    });
    Stack3::new(pixels)
        .with_voxel_size(voxel_size())
        .with_channel_names([Some("structure".to_owned())])
}

/// A mean over three voxels along an axis.
fn blur(light: &mut Array3<f64>, axis: usize) {
    for mut lane in light.lanes_mut(Axis(axis)) {
        let before = lane.to_owned();
        for at in 0..lane.len() {
            let (first, last) = (at.saturating_sub(1), (at + 1).min(lane.len() - 1));
            lane[at] = (before[first] + before[at] + before[last]) / 3.0;
        }
    }
}
