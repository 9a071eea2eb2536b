//! Chunks that unpack to far more than a chunk has. They are refused before the decoder takes memory for them.

use std::io::{self, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use zarrs::storage::StorageError;

/// Refuses bytes that unpack to more than twice a chunk, which leaves room for checksums and indices.
///
/// Zstandard says how much it is, and its decoder takes no more. Deflate and bzip2 do not say; what could be
/// too much for any machine is unpacked for its length alone. That bytes are packed is told by how
/// they begin, so bytes that only look like it, or are damaged, are left to the decoder.
pub(super) fn check(bytes: &[u8], chunk: u64) -> Result<(), StorageError> {
    let most = chunk.saturating_mul(2).max(1 << 16);
    let unpacked = match bytes {
        [0x28, 0xB5, 0x2F, 0xFD, ..] => match zstd::zstd_safe::get_frame_content_size(bytes) {
            Ok(Some(claimed)) => claimed,
            _ => length(zstd::Decoder::new(bytes)?, bytes, 1 << 15, most),
        },
        [0x1F, 0x8B, ..] => length(MultiGzDecoder::new(bytes), bytes, 1032, most),
        // A block of bzip2 is 45 MB at most, and less than a hundred bytes may hold it: always counted.
        [b'B', b'Z', b'h', ..] => length(MultiBzDecoder::new(bytes), bytes, 1 << 22, most),
        [0x78, ..] => length(ZlibDecoder::new(bytes), bytes, 1032, most),
        _ => 0,
    };
    if unpacked <= most {
        return Ok(());
    }
    Err(StorageError::Other(format!(
        "the bytes unpack to {unpacked} or more, and a chunk has {chunk}"
    )))
}

/// How much bytes unpack to, counted as far as it matters. No more than so many come out of one.
fn length(decoder: impl Read, packed: &[u8], expansion: u64, most: u64) -> u64 {
    /// What any machine has for a chunk.
    const HARMLESS: u64 = 256 << 20;
    if (packed.len() as u64).saturating_mul(expansion) <= most.max(HARMLESS) {
        return 0;
    }
    io::copy(&mut decoder.take(most.saturating_add(1)), &mut io::sink()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};

    use super::*;

    fn zeros(mut writer: impl Write, mebibytes: usize) {
        let zeros = vec![0; 1 << 20];
        (0..mebibytes).for_each(|_| writer.write_all(&zeros).unwrap());
    }

    #[test]
    fn whatever_unpacks_to_far_more_than_a_chunk_is_refused() {
        let (mut gzip, mut zlib, mut zstd) = (Vec::new(), Vec::new(), Vec::new());
        zeros(GzEncoder::new(&mut gzip, Compression::fast()), 300);
        zeros(ZlibEncoder::new(&mut zlib, Compression::fast()), 300);
        zeros(zstd::Encoder::new(&mut zstd, 1).unwrap().auto_finish(), 300);
        let mut bzip2 = Vec::new();
        zeros(bzip2::write::BzEncoder::new(&mut bzip2, bzip2::Compression::fast()), 20);
        for bytes in [gzip, zlib, zstd, bzip2] {
            let error = check(&bytes, 1 << 20).unwrap_err().to_string();
            assert!(
                error.contains("unpack to 2097153 or more, and a chunk has 1048576"),
                "{error}"
            );
            assert!(check(&bytes, 300 << 20).is_ok());
        }
    }

    #[test]
    fn what_only_looks_packed_is_left_to_the_decoder() {
        assert!(check(&vec![0x78; 1 << 20], 1 << 20).is_ok());
        assert!(check(b"\x1F\x8B", 1).is_ok());
    }
}
