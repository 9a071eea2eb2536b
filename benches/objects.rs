//! What it takes to make objects of a mask, for `scripts/against_scipy.py`, which does the same in Python.
//!
//! `objects MASK MARKERS REPEATS` takes a mask and a label image, volumes in `.npy`, and prints the median of
//! the seconds that the processor was busy, one line an operation. `/proc` tells, so it runs on Linux.

#![allow(clippy::print_stdout, reason = "it is a program")]
#![allow(clippy::unwrap_used, reason = "only the script calls it")]
#![allow(missing_docs, reason = "it is a program")]

use std::{fs, hint::black_box};

use segmenter::{
    Labels3, Mask3, VoxelSize,
    core::Connectivity,
    objects::{Length, Split, Unit, Watershed},
};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [mask, markers, repeats] = &words[..] else {
        // `cargo test --benches` and `cargo bench` call it without words.
        return;
    };
    let size = VoxelSize::new([0.29, 0.108, 0.108]).unwrap();
    let mask = Mask3::open(mask).unwrap().with_voxel_size(size);
    let markers = Labels3::open(markers).unwrap();
    let repeats = repeats.parse().unwrap();

    let distances = || mask.distances(Unit::Micrometres).unwrap();
    time("distances", repeats, distances);
    time("components, faces", repeats, || mask.components(Connectivity::Face).unwrap());
    time("components, corners", repeats, || mask.components(Connectivity::Corner).unwrap());
    time("holes", repeats, || mask.fill_holes().unwrap());
    let depths = distances().into_array().mapv_into(|distance| -distance);
    let flood = || Watershed::new().flood(&depths.view(), &markers, Some(&mask)).unwrap();
    time("watershed", repeats, flood);
    let basins = flood().with_voxel_size(size);
    time("table", repeats, || basins.measure_shape());
    time("split", repeats, || mask.split(&Split::new(Length::Micrometres(0.5))).unwrap());
    time("opening", repeats, || mask.opened(Length::Micrometres(0.5)).unwrap());
}

fn time<T>(what: &str, repeats: usize, work: impl Fn() -> T) {
    let seconds = (0..repeats).map(|_| {
        let start = busy();
        black_box(work());
        busy() - start
    });
    let mut seconds: Vec<f64> = seconds.collect();
    seconds.sort_by(f64::total_cmp);
    println!("{what}\t{:.2}", seconds[repeats / 2]);
}

/// The seconds that this process was busy in, outside of the kernel, which counts them in hundredths.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    fields.split_whitespace().nth(11).unwrap().parse::<f64>().unwrap() / 100.0
}
