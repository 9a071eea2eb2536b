//! Polygons to a file that NumPy and the plugin read.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    Space,
    io::{Existing, SaveError, write_whole},
};

/// Writes polygons, each a list of points `[y, x]` in pixels, byte for byte as the plugin does with
/// NumPy 1: `np.save(path, np.asarray(polygons, dtype=object))`. NumPy 2 reads the same.
///
/// # Errors
/// If a polygon has no points or a coordinate is not a finite number, the file exists and may not
/// be replaced, or the file system fails.
pub fn write_polygons(
    path: impl AsRef<Path>,
    polygons: &[Vec<[f64; 2]>],
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let unsupported = |reason| SaveError::Unsupported { path: path.to_owned(), reason };
    if let Some(polygon) = polygons.iter().position(|points| !is_polygon(points)) {
        let reason = "has no points, or one that is not finite";
        return Err(unsupported(format!("polygon {polygon} (from 0) {reason}")));
    }
    let bytes = encode(polygons).ok_or_else(|| {
        unsupported("there are more than 2^31 polygons or vertices in one".to_owned())
    })?;
    write_whole(path, existing, |file| file.write_all(&bytes))
}

/// The header of an array `[c, z, y, x]` of numbers in C order, without the first axis where there
/// is one channel.
pub(in super::super) fn grid_header<S: Space>(
    channels: usize,
    extent: S::Extent,
    descr: &str,
) -> io::Result<Vec<u8>> {
    let shape = [&[channels][..usize::from(channels > 1)], extent.as_ref()].concat();
    header(descr, &shape).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn is_polygon(points: &[[f64; 2]]) -> bool {
    !points.is_empty() && points.as_flattened().iter().all(|number| number.is_finite())
}

/// `None` if a number does not fit the format.
fn encode(polygons: &[Vec<[f64; 2]>]) -> Option<Vec<u8>> {
    let shape = shape(polygons);
    let mut pickler = Pickler { bytes: header("|O", &shape)?, memo: 0 };
    pickler.array(polygons, &shape)?;
    Some(pickler.bytes)
}

/// The shape that `np.asarray` finds: it goes as deep as all lengths are equal.
fn shape(polygons: &[Vec<[f64; 2]>]) -> Vec<usize> {
    match polygons.first() {
        Some(first) if polygons.iter().all(|points| points.len() == first.len()) => {
            vec![polygons.len(), first.len(), 2]
        }
        _ => vec![polygons.len()],
    }
}

/// The header of version 1, padded as NumPy pads it: room for a first axis of 21 digits, and then
/// to a multiple of 64 bytes.
fn header(descr: &str, shape: &[usize]) -> Option<Vec<u8>> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let room = 21_usize.saturating_sub(sizes[0].len());
    let sizes = if let [one] = &sizes[..] { format!("{one},") } else { sizes.join(", ") };
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}{:room$}", "");
    let padding = 64 - (10 + text.len() + 1) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let length = u16::try_from(text.len()).ok()?.to_le_bytes();
    Some([b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat())
}

/// Writes pickles of protocol 3 as Python does, which keeps in its memo all that is more than a
/// number and refers to what it had before.
struct Pickler {
    bytes: Vec<u8>,
    memo: u32,
}

/// Places in the memo, of which the first are the same in every file.
const RECONSTRUCT: u8 = 0;
const NDARRAY: u8 = 1;
const LETTER_B: u8 = 3;
const DTYPE: u8 = 7;
const FLOAT64: u8 = 20;

impl Pickler {
    /// The calls of `ndarray.__reduce__` for the array of all polygons.
    fn array(&mut self, polygons: &[Vec<[f64; 2]>], shape: &[usize]) -> Option<()> {
        self.emit(b"\x80\x03");
        self.kept(b"cnumpy.core.multiarray\n_reconstruct\n");
        self.kept(b"cnumpy\nndarray\n");
        self.kept(b"K\x00\x85");
        self.kept(b"C\x01b");
        self.kept(b"\x87");
        self.kept(b"R");
        self.emit(b"(K\x01");
        self.shape(shape)?;
        self.kept(b"cnumpy\ndtype\n");
        self.dtype(b"O8", b'|', 63);
        self.emit(b"\x89");
        self.kept(b"]");
        if shape.len() == 1 {
            self.arrays(polygons)?;
        } else {
            self.numbers(polygons.iter().flatten().flatten());
        }
        self.kept(b"t");
        self.emit(b"b.");
        Some(())
    }

    fn numbers<'a>(&mut self, numbers: impl Iterator<Item = &'a f64>) {
        let numbers: Vec<f64> = numbers.copied().collect();
        for batch in numbers.chunks(BATCH) {
            self.emit(b"(");
            for number in batch {
                self.emit(b"G");
                self.emit(&number.to_be_bytes());
            }
            self.emit(b"e");
        }
    }

    /// One array a polygon. They share the type, which is written with the first.
    fn arrays(&mut self, polygons: &[Vec<[f64; 2]>]) -> Option<()> {
        for (number, batch) in polygons.chunks(BATCH).enumerate() {
            self.emit(b"(");
            for (index, points) in batch.iter().enumerate() {
                self.points(points, number == 0 && index == 0)?;
            }
            self.emit(b"e");
        }
        Some(())
    }

    /// The calls of `ndarray.__reduce__` for one polygon.
    fn points(&mut self, points: &[[f64; 2]], first: bool) -> Option<()> {
        self.emit(&[b'h', RECONSTRUCT, b'h', NDARRAY]);
        self.kept(b"K\x00\x85");
        self.emit(&[b'h', LETTER_B]);
        self.kept(b"\x87");
        self.kept(b"R");
        self.emit(b"(K\x01");
        self.shape(&[points.len(), 2])?;
        if first {
            self.emit(&[b'h', DTYPE]);
            self.dtype(b"f8", b'<', 0);
        } else {
            self.emit(&[b'h', FLOAT64]);
        }
        self.emit(b"\x89");
        self.data(points)?;
        self.kept(b"t");
        self.emit(b"b");
        Some(())
    }

    /// The call and state of `dtype.__reduce__`, after the class.
    fn dtype(&mut self, name: &[u8; 2], byte_order: u8, flags: u8) {
        self.emit(b"X\x02\x00\x00\x00");
        self.kept(name);
        self.emit(b"\x89\x88");
        self.kept(b"\x87");
        self.kept(b"R");
        self.emit(b"(K\x03X\x01\x00\x00\x00");
        self.kept(&[byte_order]);
        self.emit(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff");
        self.emit(&[b'K', flags]);
        self.kept(b"t");
        self.emit(b"b");
    }

    fn data(&mut self, points: &[[f64; 2]]) -> Option<()> {
        let bytes: Vec<u8> = points.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
        match u8::try_from(bytes.len()) {
            Ok(short) => self.emit(&[b'C', short]),
            Err(_) => {
                self.emit(b"B");
                self.emit(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
            }
        }
        self.kept(&bytes);
        Some(())
    }

    /// A tuple of one to three sizes.
    fn shape(&mut self, shape: &[usize]) -> Option<()> {
        for &size in shape {
            self.integer(size)?;
        }
        let tuple = match shape.len() {
            1 => b"\x85",
            2 => b"\x86",
            _ => b"\x87",
        };
        self.kept(tuple);
        Some(())
    }

    fn integer(&mut self, number: usize) -> Option<()> {
        let number = i32::try_from(number).ok()?;
        match (u8::try_from(number), u16::try_from(number)) {
            (Ok(byte), _) => self.emit(&[b'K', byte]),
            (_, Ok(short)) => {
                self.emit(b"M");
                self.emit(&short.to_le_bytes());
            }
            _ => {
                self.emit(b"J");
                self.emit(&number.to_le_bytes());
            }
        }
        Some(())
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the end of a value, and keeps the value in the memo.
    fn kept(&mut self, bytes: &[u8]) {
        self.emit(bytes);
        match u8::try_from(self.memo) {
            Ok(place) => self.emit(&[b'q', place]),
            Err(_) => {
                self.emit(b"r");
                self.emit(&self.memo.to_le_bytes());
            }
        }
        self.memo += 1;
    }
}

/// Python fills lists a thousand items at a time.
const BATCH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::npy::read_polygons;

    /// As in `tests/fixtures/python/make_numpy1_fixtures.py`.
    #[allow(clippy::cast_precision_loss, reason = "small indices")]
    fn polygons(vertices: &[usize]) -> Vec<Vec<[f64; 2]>> {
        let point = |p: usize, v: usize| [p as f64 + 0.25 * v as f64, p as f64 - 0.5 * v as f64];
        let numbered = vertices.iter().enumerate();
        numbered.map(|(p, &count)| (0..count).map(|v| point(p, v)).collect()).collect()
    }

    fn check(vertices: &[usize], expected: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.npy");
        write_polygons(&path, &polygons(vertices), Existing::Refuse).unwrap();
        let written = std::fs::read(&path).unwrap();
        assert!(written == expected, "{vertices:?}:\n{written:?}\n{expected:?}");
        assert_eq!(read_polygons(&path).unwrap(), polygons(vertices));
    }

    #[test]
    fn files_are_byte_for_byte_those_of_numpy_1() {
        macro_rules! numpy {
            ($name:literal) => {
                include_bytes!(concat!("../../../tests/fixtures/python/numpy1/", $name, ".npy"))
            };
        }
        check(&[], numpy!("none"));
        check(&[4], numpy!("one"));
        check(&[3, 3], numpy!("equal"));
        check(&[3, 4], numpy!("unequal"));
        check(&[3; 167], numpy!("many_numbers"));
        check(&[300, 20], numpy!("long"));
        check(&[3, 4].repeat(35), numpy!("many"));
    }

    #[test]
    fn what_is_no_polygon_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.npy");
        for bad in [vec![], vec![[0.0, f64::NAN]]] {
            let polygons = [vec![[0.0, 0.0]], bad];
            let error = write_polygons(&path, &polygons, Existing::Refuse).unwrap_err();
            assert!(matches!(error, SaveError::Unsupported { .. }), "{error}");
            assert!(!path.exists());
        }
    }
}
