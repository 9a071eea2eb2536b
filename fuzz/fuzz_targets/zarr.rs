//! A Zarr store: the group's metadata, the array's and a chunk, apart by two zero bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_fuzz::store;

fuzz_target!(|bytes: &[u8]| {
    store(bytes);
});
