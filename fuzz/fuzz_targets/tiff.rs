//! TIFF files of every dialect, opened, described and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_fuzz::image;

fuzz_target!(|bytes: &[u8]| {
    image("file.tif", bytes);
});
