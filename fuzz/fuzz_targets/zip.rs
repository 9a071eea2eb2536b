//! Archives, of which every entry is read.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use segmenter_core::io::zip::Archive;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut archive) = Archive::new(Cursor::new(bytes), 1 << 22) {
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        for name in names {
            let _ = archive.read(&name);
        }
    }
});
