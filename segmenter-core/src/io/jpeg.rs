//! JPEG images: files, and the strips and tiles of TIFF.

use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::fault::Fault;

/// No more bytes than this come out of one: a block of 64 pixels takes a bit for each of two codes
/// (ITU-T T.81, annex F).
pub(super) const MOST_EXPANSION: u64 = 64 * 4;

/// The extent `[z, y, x]` of an image and its channels.
pub(super) fn describe(bytes: &[u8]) -> Result<([usize; 3], usize), Fault> {
    let mut decoder = open(bytes)?;
    decoder.decode_headers().map_err(broken)?;
    let Some((columns, rows)) = decoder.dimensions().filter(|size| size.0 > 0 && size.1 > 0) else {
        return Err(Fault::malformed("the JPEG image has no pixels"));
    };
    Ok(([1, rows, columns], colours(&decoder)?.num_components()))
}

/// The pixels of an image that was described, samples side by side.
pub(super) fn decode(bytes: &[u8], pixels: &mut [u8]) -> Result<(), Fault> {
    let mut decoder = open(bytes)?;
    decoder.decode_headers().map_err(broken)?;
    let colours = colours(&decoder)?;
    decoder.set_options(options().jpeg_set_out_colorspace(colours));
    decoder.decode_into(pixels).map_err(broken)
}

/// A decoder of a stream that is whole: one of a part fills what is missing with gray.
pub(super) fn open(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, Fault> {
    if !is_whole(bytes) {
        return Err(Fault::malformed("the JPEG image ends in the middle"));
    }
    Ok(JpegDecoder::new_with_options(ZCursor::new(bytes), options()))
}

/// Refuses what is damaged, rather than to show something.
pub(super) fn options() -> DecoderOptions {
    let most = usize::from(u16::MAX);
    DecoderOptions::default().set_strict_mode(true).set_max_width(most).set_max_height(most)
}

/// Gray or RGB. Inks are no intensities.
fn colours(decoder: &JpegDecoder<ZCursor<&[u8]>>) -> Result<ColorSpace, Fault> {
    match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => Ok(ColorSpace::Luma),
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => Ok(ColorSpace::RGB),
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => {
            Err(Fault::unsupported("the colours are CMYK; save it as gray values or RGB"))
        }
        other => Err(Fault::unsupported(format!("the colours of the JPEG image are {other:?}"))),
    }
}

pub(super) fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::malformed(format!("the JPEG image can't be read: {error}"))
}

/// Whether markers lead from the start of a stream to its end (ITU-T T.81, annex B).
fn is_whole(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(&[0xFF, 0xD8]) else { return false };
    loop {
        // Whatever is no marker is coded data: there, 0xFF is followed by 0 or the number of a restart.
        let marker = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0x01 | 0xD0..=0xD8 | 0xFF));
        let Some(at) = marker else { return false };
        if rest[at + 1] == 0xD9 {
            return true;
        }
        let Some(&[high, low]) = rest.get(at + 2..at + 4) else { return false };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(after) = rest.get(at + 2 + length..) else { return false };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_whole_if_its_markers_lead_to_the_end() {
        let segment = [0xFF, 0xE1, 0, 4, 0xFF, 0xD9];
        let scan = [0xFF, 0xDA, 0, 2, 0x12, 0xFF, 0, 0xFF, 0xD0, 0x34];
        let whole = [&[0xFF, 0xD8][..], &segment, &scan, &[0xFF, 0xD9]].concat();
        assert!(is_whole(&whole), "the end inside of a segment is no end");
        for length in 0..whole.len() {
            assert!(!is_whole(&whole[..length]), "{length}");
        }
    }
}
