//! Pickles of every protocol.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_core::pickle::{Limits, Reader, Unknown};
use segmenter_fuzz::LIMIT;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { memory: LIMIT, ..Limits::default() };
    for unknown in [Unknown::Refuse, Unknown::Keep] {
        let _ = Reader::new(&[]).with_unknown(unknown).with_limits(limits).read(bytes);
    }
});
