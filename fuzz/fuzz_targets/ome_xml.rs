//! OME-XML, as the description of a TIFF of two pages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_fuzz::{image, tiff_with_description};

fuzz_target!(|bytes: &[u8]| {
    image("file.ome.tif", &tiff_with_description(bytes));
});
