//! ImageJ's selections, alone and in archives.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_curation::imagej;
use segmenter_fuzz::with_file;

fuzz_target!(|bytes: &[u8]| {
    with_file("file.roi", bytes, |path| {
        let _ = imagej::read_roi(path);
        let _ = imagej::read_roi_set(path);
    });
});
