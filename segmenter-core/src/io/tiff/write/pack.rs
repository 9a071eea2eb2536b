//! Blocks as they are stored: filled up and compressed.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;

use super::super::super::picture::Compression;
use crate::ImageKind;

/// Noise is packed no better from this level of zlib-rs on, and no worse than by libdeflate, which
/// tifffile uses, at its level 6.
const DEFLATE_LEVEL: u32 = 3;

/// Noise is at most 4 % larger than at the library's default, and packed in two thirds of the time.
const ZSTD_LEVEL: i32 = 1;

/// The default of the library, and tifffile's. Ids repeat, which takes some search to make use of.
const ZSTD_LEVEL_OF_IDS: i32 = 3;

/// Compresses blocks one after the other.
pub(super) enum Packer {
    None,
    Deflate,
    /// Made for the first block.
    Zstd(i32, Option<zstd::bulk::Compressor<'static>>),
}

impl Packer {
    pub(super) fn new(compression: Compression, kind: ImageKind) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Deflate => Self::Deflate,
            Compression::Zstd if kind == ImageKind::Intensities => Self::Zstd(ZSTD_LEVEL, None),
            Compression::Zstd => Self::Zstd(ZSTD_LEVEL_OF_IDS, None),
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
            Self::Zstd(_, Some(compressor)) => compressor.compress(&block),
            Self::Zstd(level, none) => {
                none.insert(zstd::bulk::Compressor::new(*level)?).compress(&block)
            }
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
