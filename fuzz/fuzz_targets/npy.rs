//! `.npy` and `.npz` files: images, arrays and polygons.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_core::io::npy;
use segmenter_fuzz::{image, with_file};

fuzz_target!(|bytes: &[u8]| {
    image("file.npy", bytes);
    with_file("file.npy", bytes, |path| {
        let _ = npy::read_array_f32(path);
        let _ = npy::read_polygons(path);
        let _ = npy::read_npz_f32(path, "grid.npy");
    });
});
