//! Numbers.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::{NpyError, header::Header};
use crate::io::zip::Archive;

/// Reads the numbers in a `.npy` file as `f32`, with the axes as they are in NumPy.
///
/// Booleans become 0 and 1. Integers of more than 24 bits and `float64` are rounded to nearest.
///
/// ```no_run
/// use segmenter_core::io::npy;
///
/// let weights = npy::read_array_f32("weights.npy")?;
/// println!("{:?}", weights.shape());
/// # Ok::<(), npy::NpyError>(())
/// ```
///
/// # Errors
/// If the file can't be read, is damaged, or holds something other than booleans, integers,
/// `float32` or `float64` in little-endian order.
pub fn read_array_f32(path: impl AsRef<Path>) -> Result<ArrayD<f32>, NpyError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(io_error(path))?;
    parse_f32(&bytes, path)
}

/// Reads one array of an `.npz` archive, compressed or not, as [`read_array_f32`] does. The name is the
/// one that it was saved under, without `.npy`.
///
/// # Errors
/// If the archive can't be read, is damaged, or has no such array; and as [`read_array_f32`].
pub fn read_npz_f32(path: impl AsRef<Path>, name: &str) -> Result<ArrayD<f32>, NpyError> {
    /// What the arrays of one archive may take together; those of a whole data set do not belong
    /// into one.
    const LIMIT: u64 = 16 << 30;
    let path = path.as_ref();
    let file = File::open(path).map_err(io_error(path))?;
    let entry = format!("{name}.npy");
    let bytes = Archive::new(BufReader::new(file), LIMIT)
        .and_then(|mut archive| archive.read(&entry))
        .map_err(|source| NpyError::Archive { path: path.to_owned(), source })?;
    parse_f32(&bytes, &path.join(entry))
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> NpyError {
    |source| NpyError::Io { path: path.to_owned(), source }
}

fn parse_f32(bytes: &[u8], path: &Path) -> Result<ArrayD<f32>, NpyError> {
    let (header, content) = Header::split(bytes, path)?;
    let values = decode(&header.descr, content).ok_or_else(|| NpyError::Type {
        path: path.to_owned(),
        found: header.descr.clone(),
        expected: "booleans, integers, float32 or float64 in little-endian order",
    })?;
    let shape = IxDyn(&header.shape).set_f(header.fortran_order);
    // Counted with checks, because a damaged shape may overflow.
    let filled = values.filter(|values| header.count() == Some(values.len()));
    filled.and_then(|values| ArrayD::from_shape_vec(shape, values).ok()).ok_or_else(|| {
        NpyError::Length {
            path: path.to_owned(),
            shape: header.shape.clone(),
            found_type: header.descr.clone(),
            found: content.len(),
        }
    })
}

/// The values of the content, or inside `None` if it is no whole number of them; `None` if the type
/// is unknown.
fn decode(descr: &str, content: &[u8]) -> Option<Option<Vec<f32>>> {
    #[allow(clippy::cast_precision_loss, reason = "rounding is documented")]
    Some(match descr {
        "|b1" => chunks(content, |[byte]: [u8; 1]| f32::from(u8::from(byte != 0))),
        "|u1" => chunks(content, |[byte]: [u8; 1]| byte.into()),
        "|i1" => chunks(content, |byte| i8::from_le_bytes(byte).into()),
        "<u2" => chunks(content, |bytes| u16::from_le_bytes(bytes).into()),
        "<i2" => chunks(content, |bytes| i16::from_le_bytes(bytes).into()),
        "<u4" => chunks(content, |bytes| u32::from_le_bytes(bytes) as f32),
        "<i4" => chunks(content, |bytes| i32::from_le_bytes(bytes) as f32),
        "<u8" => chunks(content, |bytes| u64::from_le_bytes(bytes) as f32),
        "<i8" => chunks(content, |bytes| i64::from_le_bytes(bytes) as f32),
        "<f4" => chunks(content, f32::from_le_bytes),
        "<f8" => chunks(content, |bytes| round(f64::from_le_bytes(bytes))),
        _ => return None,
    })
}

fn chunks<const N: usize>(content: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<Vec<f32>> {
    let (chunks, rest) = content.as_chunks::<N>();
    rest.is_empty().then(|| chunks.iter().map(|&chunk| value(chunk)).collect())
}

#[allow(clippy::cast_possible_truncation, reason = "rounding is documented")]
fn round(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python").join(name)
    }

    #[test]
    fn numbers_of_every_type_and_version_are_read() {
        let grid = array![[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]].into_dyn();
        for name in [
            "int8",
            "uint8",
            "int16",
            "uint16",
            "int32",
            "uint32",
            "int64",
            "uint64",
            "float32",
            "float64",
            "fortran",
            "version_2",
            "version_3",
        ] {
            assert_eq!(
                read_array_f32(fixture(&format!("grid_{name}.npy"))).unwrap(),
                grid,
                "{name}"
            );
        }
        let inside = array![[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]].into_dyn();
        assert_eq!(read_array_f32(fixture("grid_bool.npy")).unwrap(), inside);
        assert_eq!(read_array_f32(fixture("half.npy")).unwrap(), ndarray::arr0(0.5).into_dyn());
    }

    #[test]
    fn other_types_are_named() {
        for (name, expected) in [
            ("grid_float16.npy", "<f2"),
            ("grid_big_endian.npy", ">f4"),
            ("polygons_one.npy", "|O"),
        ] {
            let error = read_array_f32(fixture(name)).unwrap_err();
            assert!(matches!(&error, NpyError::Type { found, .. } if found == expected), "{error}");
        }
    }

    #[test]
    fn arrays_of_an_archive_are_read_by_name() {
        let grid = array![[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]].into_dyn();
        for name in ["stored.npz", "deflated.npz"] {
            assert_eq!(read_npz_f32(fixture(name), "grid").unwrap(), grid);
            let error = read_npz_f32(fixture(name), "grid.npy").unwrap_err();
            assert!(matches!(error, NpyError::Archive { .. }), "{error}");
        }
    }

    #[test]
    fn the_reference_values_of_pytorch_are_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/reference/cytodl/fixtures/ref_2d_small.npz");
        if !path.exists() {
            println!("skipped: {} is not there", path.display());
            return;
        }
        // As its manifest.json says.
        let loss = read_npz_f32(&path, "loss").unwrap();
        assert_eq!(loss.shape(), [0_usize; 0]);
        approx::assert_abs_diff_eq!(loss.sum(), 0.720_733, epsilon = 1e-6);
        let output = read_npz_f32(&path, "y").unwrap();
        assert_eq!(output.shape(), [1, 1, 32, 32]);
        approx::assert_abs_diff_eq!(output.mean().unwrap(), -0.12951, epsilon = 1e-5);
        assert_eq!(read_npz_f32(&path, "prob_u8").unwrap().shape(), [1, 48, 40]);
    }

    #[test]
    fn a_file_cut_off_anywhere_or_too_long_is_an_error() {
        let bytes = fs::read(fixture("grid_uint8.npy")).unwrap();
        for length in 0..bytes.len() {
            assert!(parse_f32(&bytes[..length], Path::new("cut.npy")).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = parse_f32(&longer, Path::new("long.npy")).unwrap_err();
        let message = "long.npy: [2, 3] values of type \"|u1\" do not fill the 7 bytes there";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_shape_that_overflows_is_an_error() {
        let text = format!(
            "{{'descr': '|u1', 'fortran_order': False, 'shape': ({0}, {0}, 0)}}",
            usize::MAX
        );
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat();
        let error = parse_f32(&bytes, Path::new("huge.npy")).unwrap_err();
        assert!(matches!(error, NpyError::Length { .. }), "{error}");
    }
}
