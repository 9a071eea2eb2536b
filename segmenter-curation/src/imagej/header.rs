//! The headers of a selection.

use std::path::Path;

use segmenter_core::InvalidRegion;

use crate::regions::RegionsError;

/// Where coordinates begin.
pub(super) const CONTENT: usize = 64;

/// Bits of the options that change what is selected.
pub(super) const SPLINE: i16 = 1;
pub(super) const SUB_PIXEL: i16 = 128;

/// What is wrong with a selection.
pub(super) enum Fault {
    Bytes { byte: usize, reason: String },
    Region(InvalidRegion),
}

impl Fault {
    pub(super) fn new(byte: usize, reason: impl Into<String>) -> Self {
        Self::Bytes { byte, reason: reason.into() }
    }

    pub(super) fn in_file(self, path: &Path, at: &str) -> RegionsError {
        match self {
            Self::Bytes { byte, reason } => {
                RegionsError::malformed(path, format!("{at}, byte {byte}"), reason)
            }
            Self::Region(source) => {
                RegionsError::Region { path: path.to_owned(), at: at.to_owned(), source }
            }
        }
    }
}

impl From<InvalidRegion> for Fault {
    fn from(source: InvalidRegion) -> Self {
        Self::Region(source)
    }
}

/// Big-endian numbers by their place.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn get(self, byte: usize, length: usize) -> Result<&'a [u8], Fault> {
        let end = byte.checked_add(length);
        end.and_then(|end| self.0.get(byte..end)).ok_or_else(|| {
            let there = self.0.len();
            Fault::new(byte, format!("{length} bytes are needed, but the selection has {there}"))
        })
    }

    fn array<const N: usize>(self, byte: usize) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.get(byte, N)?);
        Ok(array)
    }

    pub(super) fn u8(self, byte: usize) -> Result<u8, Fault> {
        self.array(byte).map(|[byte]| byte)
    }

    pub(super) fn u16(self, byte: usize) -> Result<u16, Fault> {
        self.array(byte).map(u16::from_be_bytes)
    }

    pub(super) fn i16(self, byte: usize) -> Result<i16, Fault> {
        self.array(byte).map(i16::from_be_bytes)
    }

    pub(super) fn i32(self, byte: usize) -> Result<i32, Fault> {
        self.array(byte).map(i32::from_be_bytes)
    }

    pub(super) fn f32(self, byte: usize) -> Result<f64, Fault> {
        self.array(byte).map(|bytes| f64::from(f32::from_be_bytes(bytes)))
    }

    /// A number that counts or places something.
    pub(super) fn size(self, byte: usize) -> Result<usize, Fault> {
        let number = self.i32(byte)?;
        usize::try_from(number).map_err(|_| Fault::new(byte, format!("{number} is no size")))
    }
}

/// The first header.
pub(super) struct Header {
    pub(super) version: i16,
    pub(super) kind: u8,
    pub(super) subtype: i16,
    pub(super) options: i16,
    /// Top, left, bottom and right.
    pub(super) bounds: [f64; 4],
    pub(super) points: usize,
    pub(super) stroke: f64,
    /// Numbers of a composite's path; 0 if it is none.
    pub(super) path: usize,
    /// The diameter of a rectangle's round corners.
    pub(super) arc: f64,
    pub(super) position: i32,
    /// Where the second header is; `None` if there is none.
    pub(super) second: Option<usize>,
}

impl Header {
    pub(super) fn read(bytes: Bytes<'_>) -> Result<Self, Fault> {
        if bytes.get(0, 4)? != b"Iout" {
            return Err(Fault::new(0, "a selection of ImageJ begins with `Iout`"));
        }
        let points = match bytes.u16(16)? {
            0 => bytes.size(18).unwrap_or(0),
            points => points.into(),
        };
        // Older versions leave it 0.
        let second = bytes.size(60)?;
        Ok(Self {
            version: bytes.i16(4)?,
            kind: bytes.u8(6)?,
            subtype: bytes.i16(48)?,
            options: bytes.i16(50)?,
            bounds: bounds(bytes)?,
            points,
            stroke: bytes.i16(34)?.into(),
            path: bytes.size(36)?,
            arc: bytes.i16(54)?.into(),
            position: bytes.i32(56)?,
            second: (second > 0).then_some(second),
        })
    }

    pub(super) fn sub_pixel(&self) -> bool {
        self.version >= 222 && self.options & SUB_PIXEL != 0
    }

    /// x, y, width and height of a rectangle or an oval.
    pub(super) fn frame(&self, bytes: Bytes<'_>) -> Result<[f64; 4], Fault> {
        if self.sub_pixel() && self.version >= 223 {
            return Ok([bytes.f32(18)?, bytes.f32(22)?, bytes.f32(26)?, bytes.f32(30)?]);
        }
        let [top, left, bottom, right] = self.bounds;
        Ok([left, top, right - left, bottom - top])
    }
}

/// Top, left, bottom and right. They are 16 bits wide, and stand for -5000 to 60535.
fn bounds(bytes: Bytes<'_>) -> Result<[f64; 4], Fault> {
    let unwrap =
        |number: i16| if number < -5000 { i32::from(number) + 65536 } else { number.into() };
    let read = |byte| bytes.i16(byte).map(unwrap);
    let [top, left, bottom, right] = [read(8)?, read(10)?, read(12)?, read(14)?];
    // An end between -5000 and 0 that is not after its start was wrapped as well.
    let end = |start: i32, end: i32| if end <= 0 && end <= start { end + 65536 } else { end };
    let (bottom, right) = (end(top, bottom), end(left, right));
    Ok([top, left, bottom, right].map(f64::from))
}

/// The second header.
#[derive(Default)]
pub(super) struct Second {
    pub(super) channel: i32,
    pub(super) slice: i32,
    pub(super) frame: i32,
    pub(super) name: Option<String>,
    pub(super) group: u16,
    pub(super) stroke: f64,
    pub(super) properties: bool,
}

impl Second {
    pub(super) fn read(bytes: Bytes<'_>, header: &Header) -> Result<Self, Fault> {
        let Some(at) = header.second else { return Ok(Self::default()) };
        let i32 = |offset| bytes.i32(at + offset);
        let (name, length) = (bytes.size(at + 16)?, bytes.size(at + 20)?);
        let group = match bytes.u8(at + 30)? {
            0 if header.version >= 229 => bytes.u16(at + 52)?,
            group => group.into(),
        };
        Ok(Self {
            channel: i32(4)?,
            slice: i32(8)?,
            frame: i32(12)?,
            name: (name > 0 && length > 0).then(|| text(bytes, name, length)).transpose()?,
            group,
            stroke: bytes.f32(at + 36)?,
            properties: bytes.i32(at + 44)? > 0,
        })
    }
}

/// UTF-16 of so many units.
fn text(bytes: Bytes<'_>, at: usize, length: usize) -> Result<String, Fault> {
    let bytes = bytes.get(at, length.saturating_mul(2))?;
    let units = bytes.as_chunks().0.iter().map(|&unit| u16::from_be_bytes(unit));
    char::decode_utf16(units)
        .collect::<Result<_, _>>()
        .map_err(|error| Fault::new(at, format!("the name is not UTF-16: {error}")))
}
