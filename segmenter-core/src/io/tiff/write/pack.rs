//! Blocks as they are stored: filled up, as differences, compressed.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;

use super::super::super::picture::Compression;

/// Noise is packed no better from this level of zlib-rs on, and no worse than by libdeflate, which
/// tifffile uses, at its level 6.
const DEFLATE_LEVEL: u32 = 3;

/// The default of the library, and tifffile's.
const ZSTD_LEVEL: i32 = 3;

/// Compresses blocks one after the other.
pub(super) enum Packer {
    None,
    Deflate,
    /// Made for the first block.
    Zstd(Option<zstd::bulk::Compressor<'static>>),
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Deflate => Self::Deflate,
            Compression::Zstd => Self::Zstd(None),
        }
    }

    pub(super) fn pack(&mut self, block: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(block),
            Self::Deflate => {
                let level = flate2::Compression::new(DEFLATE_LEVEL);
                let mut encoder = ZlibEncoder::new(Vec::with_capacity(block.len()), level);
                encoder.write_all(&block)?;
                encoder.finish()
            }
            Self::Zstd(compressor) => match compressor {
                Some(compressor) => compressor.compress(&block),
                none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?).compress(&block),
            },
        }
    }
}

/// The number of a compression: TIFF 6.0, technical note 2, and libtiff.
pub(super) fn number(compression: Compression) -> u16 {
    match compression {
        Compression::None => 1,
        Compression::Deflate => 8,
        Compression::Zstd => 50_000,
    }
}

/// Fills a block up with zeros on the right and below.
pub(super) fn filled(
    pixels: &[u8],
    [_, columns]: [usize; 2],
    to: [usize; 2],
    size: usize,
) -> Vec<u8> {
    let mut block = vec![0; to[0] * to[1] * size];
    let rows = block.chunks_exact_mut(to[1] * size);
    for (to, from) in rows.zip(pixels.chunks_exact(columns * size)) {
        to[..from.len()].copy_from_slice(from);
    }
    block
}

/// Replaces each little-endian sample of a row by its difference to the one before it, wrapping
/// around: TIFF 6.0, section 14.
pub(super) fn differences(row: &mut [u8], size: usize) {
    match size {
        1 => {
            let mut left = 0;
            row.iter_mut().for_each(|sample| {
                let here = std::mem::replace(sample, sample.wrapping_sub(left));
                left = here;
            });
        }
        _ => {
            let mut left = 0;
            row.as_chunks_mut().0.iter_mut().for_each(|sample| {
                let here = u16::from_le_bytes(*sample);
                *sample = here.wrapping_sub(left).to_le_bytes();
                left = here;
            });
        }
    }
}
