//! PNG and JPEG files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_fuzz::image;

fuzz_target!(|bytes: &[u8]| {
    image("file.png", bytes);
});
