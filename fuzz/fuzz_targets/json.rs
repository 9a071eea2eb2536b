//! Curation sets, GeoJSON and what the plugin chose.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_curation::{CurationSet, geojson, plugin};
use segmenter_fuzz::with_file;

fuzz_target!(|bytes: &[u8]| {
    with_file("file.json", bytes, |path| {
        let _ = CurationSet::open(path, path.parent().unwrap_or(path));
        let _ = geojson::read(path);
        let _ = plugin::read_channels(path);
    });
});
