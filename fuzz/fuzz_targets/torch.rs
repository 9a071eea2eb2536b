//! Files of PyTorch.

#![no_main]

use libfuzzer_sys::fuzz_target;
use segmenter_core::{pickle::Unknown, torch::TorchFile};

fuzz_target!(|bytes: &[u8]| {
    for unknown in [Unknown::Refuse, Unknown::Keep] {
        if let Ok(mut file) = TorchFile::from_bytes("file.pt", bytes.to_vec(), unknown) {
            let _ = (file.hyper_parameters(), file.recorded());
            let _ = file.tensors();
        }
    }
});
