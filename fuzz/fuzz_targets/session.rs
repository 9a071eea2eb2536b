//! Logs of curation sessions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_curation::session;
use segmenter_fuzz::with_file;

fuzz_target!(|bytes: &[u8]| {
    with_file("session.jsonl", bytes, |path| {
        let _ = session::History::open(path, path.parent().unwrap_or(path));
    });
});
