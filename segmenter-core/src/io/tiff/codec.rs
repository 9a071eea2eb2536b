//! From the bytes of one strip or tile to little-endian samples.
//!
//! Numbers and rules: TIFF 6.0 (Adobe 1992), sections 3, 9, 13 and 14; predictor 3: Adobe's TIFF
//! Technical Note 3 (2005); Zstandard as number 50000: libtiff's `tiff.h`.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus};

use super::super::{fault::Fault, jpeg};

/// How a strip or a tile is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
}

impl Compression {
    /// From the number in the file.
    pub(super) fn from_tag(number: u16) -> Result<Self, Fault> {
        Ok(match number {
            1 => Self::None,
            5 => Self::Lzw,
            7 => Self::Jpeg,
            8 | 32_946 => Self::Deflate,
            32_773 => Self::PackBits,
            50_000 => Self::Zstd,
            other => {
                return Err(Fault::unsupported(format!(
                    "the compression is {}; save it uncompressed or with LZW, deflate, PackBits, \
                     Zstandard or JPEG",
                    name(other)
                )));
            }
        })
    }

    /// No more bytes than this come out of one byte. A size beyond that is a lie, and is refused
    /// before memory is taken for it.
    pub(super) fn most_expansion(self) -> u64 {
        match self {
            Self::None => 1,
            // A run of 128 from two bytes.
            Self::PackBits => 64,
            // 4096 bytes from a code of 9 bits.
            Self::Lzw => 4096,
            // 258 bytes from two bits: RFC 1951.
            Self::Deflate => 1032,
            // A block of 128 KiB from four bytes: RFC 8878, section 3.1.1.2.
            Self::Zstd => 1 << 15,
            Self::Jpeg => jpeg::MOST_EXPANSION,
        }
    }

    /// Unpacks exactly so many bytes; more are ignored, as a last strip may be padded.
    pub(super) fn unpack(self, packed: Vec<u8>, length: usize) -> Result<Vec<u8>, Fault> {
        let most = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        let claimed = u64::try_from(length).unwrap_or(u64::MAX);
        if self != Self::None && claimed / self.most_expansion() > most {
            return Err(Fault::malformed(format!(
                "a strip or tile of {most} packed bytes can't hold {length}"
            )));
        }
        let mut bytes = match self {
            Self::None => packed,
            Self::Lzw => unpack_lzw(&packed, length)?,
            Self::Deflate => take(ZlibDecoder::new(packed.as_slice()), length)?,
            Self::PackBits => unpack_bits(&packed, length),
            Self::Zstd => unpack_zstd(&packed, length)?,
            Self::Jpeg => return Err(Fault::malformed("JPEG data is decoded with its tables")),
        };
        if bytes.len() < length {
            return Err(short(bytes.len(), length));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// The names of libtiff for what is not read here.
fn name(compression: u16) -> String {
    match compression {
        2..=4 => "CCITT fax",
        6 => "JPEG of the old kind",
        33_003 | 33_005 | 34_712 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        34_933 => "PNG",
        34_934 => "JPEG XR",
        50_001 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return format!("number {other}"),
    }
    .to_owned()
}

fn short(found: usize, expected: usize) -> Fault {
    Fault::malformed(format!("a strip or tile holds {found} bytes, but {expected} are needed"))
}

/// Memory grows with what comes out, not with what the file claims.
fn take(decoder: impl Read, length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    match decoder.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(short(bytes.len(), length))
        }
        Err(error) => Err(Fault::malformed(format!("a strip or tile can't be unpacked: {error}"))),
    }
}

/// Straight into memory of the right size, which `length` was found to be plausible for.
fn unpack_zstd(packed: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
    take(zstd::Decoder::new(packed)?, length)
}

/// The end code may be missing, as some writers leave it out once all pixels are there.
fn unpack_lzw(packed: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; length];
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut read, mut written) = (0, 0);
    while written < length {
        let step = decoder.decode_bytes(&packed[read..], &mut bytes[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) => {}
            Ok(LzwStatus::Done | LzwStatus::NoProgress) => break,
            Err(error) => {
                return Err(Fault::malformed(format!(
                    "a strip or tile can't be unpacked: {error}"
                )));
            }
        }
    }
    bytes.truncate(written);
    Ok(bytes)
}

/// Runs of 1 to 128 bytes behind a signed count. Stops where the bytes run out.
fn unpack_bits(packed: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = packed;
    while bytes.len() < length
        && let [count, tail @ ..] = rest
    {
        rest = match count {
            0..=127 => {
                let (literal, after) = tail.split_at(tail.len().min(usize::from(*count) + 1));
                bytes.extend_from_slice(literal);
                after
            }
            128 => tail,
            129.. => {
                let Some((&value, after)) = tail.split_first() else { break };
                bytes.resize(bytes.len() + 257 - usize::from(*count), value);
                after
            }
        };
    }
    bytes
}

/// What was done to the samples of a row before they were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Each sample is the difference to the one before it.
    Horizontal,
    /// The same for bytes, after the bytes of all samples were sorted by significance.
    Float,
}

impl Predictor {
    /// From the number in the file.
    pub(super) fn from_tag(number: u16) -> Result<Self, Fault> {
        match number {
            1 => Ok(Self::None),
            2 => Ok(Self::Horizontal),
            3 => Ok(Self::Float),
            other => Err(Fault::unsupported(format!(
                "the predictor has number {other}; save it with 1 (none), 2 (horizontal) or 3 \
                 (floating point)"
            ))),
        }
    }

    /// Restores one row and turns it into little-endian samples.
    ///
    /// `stride` is the number of samples a pixel, `size` the number of bytes a sample.
    pub(super) fn restore(self, row: &mut [u8], stride: usize, size: usize, big_endian: bool) {
        if self == Self::Float {
            accumulate::<1>(row, stride);
            merge_bytes(row, size);
            return;
        }
        if big_endian {
            row.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self == Self::Horizontal {
            match size {
                1 => accumulate::<1>(row, stride),
                2 => accumulate::<2>(row, stride),
                4 => accumulate::<4>(row, stride),
                _ => accumulate::<8>(row, stride),
            }
        }
    }
}

/// Adds to each little-endian sample the one a pixel earlier, wrapping around.
fn accumulate<const SIZE: usize>(row: &mut [u8], stride: usize) {
    let (samples, _) = row.as_chunks_mut::<SIZE>();
    for here in stride..samples.len() {
        let sum = number(samples[here]).wrapping_add(number(samples[here - stride]));
        samples[here].copy_from_slice(&sum.to_le_bytes()[..SIZE]);
    }
}

fn number<const SIZE: usize>(sample: [u8; SIZE]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..SIZE].copy_from_slice(&sample);
    u64::from_le_bytes(bytes)
}

/// A row holds the most significant bytes of all samples, then the next ones, and so on.
fn merge_bytes(row: &mut [u8], size: usize) {
    let sorted = row.to_vec();
    let samples = row.len() / size;
    for (index, sample) in row.chunks_exact_mut(size).enumerate() {
        for (significance, byte) in sample.iter_mut().rev().enumerate() {
            *byte = sorted[significance * samples + index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_tiff_specification_unpacks() {
        // TIFF 6.0, section 9, page 42 (the example is Apple's).
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let expected = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(Compression::PackBits.unpack(packed.to_vec(), 24).unwrap(), expected);
    }

    #[test]
    fn too_few_bytes_are_told_with_both_numbers() {
        let Err(Fault::Malformed(reason)) = Compression::None.unpack(vec![1, 2], 3) else {
            panic!("two bytes are not three");
        };
        assert_eq!(reason, "a strip or tile holds 2 bytes, but 3 are needed");
    }

    #[test]
    fn a_size_that_no_packing_reaches_is_refused_before_memory_is_taken() {
        let Err(Fault::Malformed(reason)) = Compression::Lzw.unpack(vec![0x80; 8], 1 << 40) else {
            panic!("eight bytes are not a terabyte");
        };
        assert_eq!(reason, "a strip or tile of 8 packed bytes can't hold 1099511627776");
    }

    #[test]
    fn garbage_is_refused_by_every_compression() {
        use Compression::{Deflate, Lzw, PackBits, Zstd};
        for compression in [Deflate, Lzw, PackBits, Zstd] {
            let result = compression.unpack(vec![0x7F; 8], 4096);
            assert!(matches!(result, Err(Fault::Malformed(_) | Fault::Io(_))), "{compression:?}");
        }
    }

    #[test]
    fn differences_wrap_around_and_carry_between_bytes() {
        let mut row = [0xFF, 0x00, 0x02, 0x00, 0xFF, 0xFF];
        Predictor::Horizontal.restore(&mut row, 1, 2, false);
        assert_eq!(row, [0xFF, 0x00, 0x01, 0x01, 0x00, 0x01], "255, 257, 256");
    }
}
