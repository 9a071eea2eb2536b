//! From the bytes of one strip or tile to little-endian samples.
//!
//! Numbers and rules: TIFF 6.0 (Adobe 1992), sections 3, 9, 13 and 14; predictor 3: Adobe's TIFF
//! Technical Note 3 (2005); Zstandard as number 50000: libtiff's `tiff.h`.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use weezl::{BitOrder, LzwStatus};
use zstd::stream::raw::Operation;

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

type Zstd = zstd::stream::raw::Decoder<'static>;

/// Decoders, which are made when one is needed first.
#[derive(Default)]
pub(super) struct Codecs {
    deflate: Option<Decompress>,
    zstd: Option<Zstd>,
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs").finish_non_exhaustive()
    }
}

/// What one call of a decoder did.
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

impl Codecs {
    /// Unpacks so many bytes, or fewer if there are no more.
    pub(super) fn unpack(
        &mut self,
        compression: Compression,
        packed: &[u8],
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let most = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        let claimed = u64::try_from(length).unwrap_or(u64::MAX);
        if claimed / compression.most_expansion() > most {
            return Err(Fault::malformed(format!(
                "a strip or tile of {most} packed bytes can't hold {length}"
            )));
        }
        match compression {
            Compression::PackBits => unpack_bits(packed, length, bytes),
            Compression::Lzw => fill(packed, length, bytes, lzw())?,
            Compression::Deflate => fill(packed, length, bytes, deflate(self.deflate()))?,
            Compression::Zstd => fill(packed, length, bytes, zstd(self.zstd()?))?,
            Compression::None => {
                bytes.clear();
                bytes.extend_from_slice(packed);
            }
            Compression::Jpeg => {
                return Err(Fault::malformed("JPEG data is decoded with its tables"));
            }
        }
        Ok(())
    }

    fn deflate(&mut self) -> &mut Decompress {
        let decoder = self.deflate.get_or_insert_with(|| Decompress::new(true));
        decoder.reset(true);
        decoder
    }

    fn zstd(&mut self) -> Result<&mut Zstd, Fault> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(Zstd::new()?),
        };
        decoder.reinit()?;
        Ok(decoder)
    }
}

fn deflate(decoder: &mut Decompress) -> impl FnMut(&[u8], &mut [u8]) -> Result<Step, Fault> {
    |packed, room| {
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(packed, room, FlushDecompress::Finish);
        let ended = status.map_err(broken)? == Status::StreamEnd;
        // Neither is more than what was handed over.
        let counted = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
        let read = counted(decoder.total_in(), before.0);
        Ok(Step { read, written: counted(decoder.total_out(), before.1), ended })
    }
}

/// Frames may follow each other.
fn zstd(decoder: &mut Zstd) -> impl FnMut(&[u8], &mut [u8]) -> Result<Step, Fault> {
    |packed, room| {
        let status = decoder.run_on_buffers(packed, room).map_err(broken)?;
        let ended = status.remaining == 0 && status.bytes_read == packed.len();
        Ok(Step { read: status.bytes_read, written: status.bytes_written, ended })
    }
}

/// The end code may be missing, as some writers leave it out once all pixels are there.
fn lzw() -> impl FnMut(&[u8], &mut [u8]) -> Result<Step, Fault> {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    move |packed, room| {
        let step = decoder.decode_bytes(packed, room);
        let ended = !matches!(step.status.map_err(broken)?, LzwStatus::Ok);
        Ok(Step { read: step.consumed_in, written: step.consumed_out, ended })
    }
}

fn broken(error: impl fmt::Display) -> Fault {
    Fault::malformed(format!("a strip or tile can't be unpacked: {error}"))
}

/// Calls a decoder until there are so many bytes or it has no more. Beyond some tiles' worth, memory
/// grows with what comes out and not with what the file claims.
fn fill(
    packed: &[u8],
    length: usize,
    bytes: &mut Vec<u8>,
    mut decode: impl FnMut(&[u8], &mut [u8]) -> Result<Step, Fault>,
) -> Result<(), Fault> {
    const FIRST: usize = 4 << 20;
    let (mut read, mut written, mut room) = (0, 0, length.min(FIRST));
    loop {
        if bytes.len() < room {
            bytes.resize(room, 0);
        }
        let step = decode(&packed[read..], &mut bytes[written..room])?;
        read += step.read;
        written += step.written;
        if step.ended || written == length || step.read + step.written == 0 {
            break;
        }
        if written == room {
            room = room.saturating_mul(2).min(length);
        }
    }
    bytes.truncate(written);
    Ok(())
}

/// Runs of 1 to 128 bytes behind a signed count. Stops where the bytes run out.
fn unpack_bits(packed: &[u8], length: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
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

    /// Restores rows of so many bytes and turns them into little-endian samples, of which a pixel has
    /// `stride` and each takes `size` bytes.
    pub(super) fn restore(
        self,
        bytes: &mut [u8],
        row: usize,
        [stride, size]: [usize; 2],
        big_endian: bool,
    ) {
        if self == Self::Float {
            for row in bytes.chunks_exact_mut(row) {
                accumulate(row, stride, u8::wrapping_add);
                merge_bytes(row, size);
            }
            return;
        }
        if big_endian && size > 1 {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self == Self::Horizontal {
            let rows = bytes.chunks_exact_mut(row);
            match size {
                1 => rows.for_each(|row| accumulate(row, stride, u8::wrapping_add)),
                2 => rows.for_each(|row| accumulate(row.as_chunks_mut().0, stride, add_u16)),
                4 => rows.for_each(|row| accumulate(row.as_chunks_mut().0, stride, add_u32)),
                _ => rows.for_each(|row| accumulate(row.as_chunks_mut().0, stride, add_u64)),
            }
        }
    }
}

fn add_u16(a: [u8; 2], b: [u8; 2]) -> [u8; 2] {
    u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes()
}

fn add_u32(a: [u8; 4], b: [u8; 4]) -> [u8; 4] {
    u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes()
}

fn add_u64(a: [u8; 8], b: [u8; 8]) -> [u8; 8] {
    u64::from_le_bytes(a).wrapping_add(u64::from_le_bytes(b)).to_le_bytes()
}

/// Adds to each sample the one a pixel earlier.
fn accumulate<N: Copy>(row: &mut [N], stride: usize, add: impl Fn(N, N) -> N) {
    if let ([first, rest @ ..], 1) = (&mut *row, stride) {
        let mut sum = *first;
        for sample in rest {
            sum = add(sum, *sample);
            *sample = sum;
        }
        return;
    }
    for here in stride..row.len() {
        row[here] = add(row[here - stride], row[here]);
    }
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

    fn unpacked(compression: Compression, packed: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0xEE; 3];
        Codecs::default().unpack(compression, packed, length, &mut bytes)?;
        Ok(bytes)
    }

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
        assert_eq!(unpacked(Compression::PackBits, &packed, 24).unwrap(), expected);
    }

    #[test]
    fn a_size_that_no_packing_reaches_is_refused_before_memory_is_taken() {
        let Err(Fault::Malformed(reason)) = unpacked(Compression::Lzw, &[0x80; 8], 1 << 40) else {
            panic!("eight bytes are not a terabyte");
        };
        assert_eq!(reason, "a strip or tile of 8 packed bytes can't hold 1099511627776");
    }

    #[test]
    fn garbage_is_refused_by_every_compression() {
        use Compression::{Deflate, Lzw, PackBits, Zstd};
        for compression in [Deflate, Lzw, PackBits, Zstd] {
            match unpacked(compression, &[0x7F; 8], 4096) {
                Err(Fault::Malformed(_)) => {}
                Ok(bytes) => assert!(bytes.len() < 4096, "{compression:?}"),
                Err(other) => panic!("{compression:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn differences_wrap_around_and_carry_between_bytes() {
        let mut row = [0xFF, 0x00, 0x02, 0x00, 0xFF, 0xFF];
        Predictor::Horizontal.restore(&mut row, 6, [1, 2], false);
        assert_eq!(row, [0xFF, 0x00, 0x01, 0x01, 0x00, 0x01], "255, 257, 256");
    }
}
