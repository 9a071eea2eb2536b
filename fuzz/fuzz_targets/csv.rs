//! Tables: napari's shapes and the plugin's rows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_curation::{napari, plugin};
use segmenter_fuzz::with_file;

fuzz_target!(|bytes: &[u8]| {
    with_file("table.csv", bytes, |path| {
        let _ = napari::read_shapes(path);
        let _ = plugin::read_rows(path, None);
    });
});
