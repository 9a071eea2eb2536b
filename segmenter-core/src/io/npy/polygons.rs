//! Polygons, as `np.save` writes an object array of them.
//!
//! napari gives the plugin one `(vertices, 2)` array of `float64` a polygon, and
//! `np.asarray(polygons, dtype=object)` makes one of two layouts of them: a `(polygons, vertices,
//! 2)` array of Python numbers when all have as many vertices, or else a `(polygons,)` array of
//! arrays. Both are pickled by `ndarray.__reduce__`: a call of `_reconstruct`, then a state
//! `(version, shape, dtype, is_fortran, data)`.

use std::{fs, path::Path};

use super::{NpyError, array::io_error, header::Header};
use crate::pickle::{Limits, Object, Reader, Value};

/// The polygons in a `.npy` file, each a list of points `[y, x]` in pixels, in the order in which
/// they were drawn.
///
/// # Errors
/// If the file can't be read or is damaged, if its pickle names anything but NumPy's arrays, or if
/// it holds something other than polygons with finite coordinates.
pub fn read_polygons(path: impl AsRef<Path>) -> Result<Vec<Vec<[f64; 2]>>, NpyError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(io_error(path))?;
    parse_polygons(&bytes, path)
}

/// All that a pickled array needs. NumPy 2 moved its core to `numpy._core`.
const KNOWN: [(&str, &str); 4] = [
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
];

fn parse_polygons(bytes: &[u8], path: &Path) -> Result<Vec<Vec<[f64; 2]>>, NpyError> {
    let (header, content) = Header::split(bytes, path)?;
    if header.descr != "|O" {
        let expected = "polygons (pickled objects, \"|O\")";
        return Err(NpyError::Type { path: path.to_owned(), found: header.descr, expected });
    }
    let value = Reader::new(&KNOWN)
        .with_limits(limits(content.len()))
        .read(content)
        .map_err(|source| NpyError::Pickle { path: path.to_owned(), source })?;
    let fail = |reason| NpyError::Polygons { path: path.to_owned(), reason };
    let array = Pickled::of(&value).map_err(fail)?;
    if array.shape != header.shape {
        return Err(fail(format!(
            "the header says {:?} and the pickle {:?} values",
            header.shape, array.shape
        )));
    }
    let polygons = array.polygons().map_err(fail)?;
    check_points(&polygons).map_err(fail)?;
    Ok(polygons)
}

/// One byte of a pickle makes at most one value; what is far more than the file has is shared, and
/// polygons are not.
fn limits(length: usize) -> Limits {
    let standard = Limits::default();
    let room = length.saturating_mul(128).saturating_add(64 << 20);
    Limits { memory: standard.memory.min(room), ..standard }
}

/// An array in a pickle.
struct Pickled<'a> {
    shape: Vec<usize>,
    dtype: &'a str,
    byte_order: &'a str,
    fortran_order: bool,
    data: &'a Value,
}

impl<'a> Pickled<'a> {
    fn of(value: &'a Value) -> Result<Self, String> {
        let state = reconstructed(value).and_then(|array| array.state.as_ref()?.items());
        let Some([_version, shape, dtype, Value::Bool(fortran_order), data]) = state else {
            return Err(format!("found {value} where an array is needed"));
        };
        let shape: Option<Vec<usize>> =
            shape.items().and_then(|sizes| sizes.iter().map(Value::as_size).collect());
        let Some((shape, (dtype, byte_order))) = shape.zip(dtype_of(dtype)) else {
            return Err("an array has no shape or no type".to_owned());
        };
        Ok(Self { shape, dtype, byte_order, fortran_order: *fortran_order, data })
    }

    fn polygons(&self) -> Result<Vec<Vec<[f64; 2]>>, String> {
        let items = self.data.items().filter(|_| self.dtype == "O8" && !self.fortran_order);
        let Some(items) = items else {
            return Err(format!("found values of type {:?} instead of objects", self.dtype));
        };
        match self.shape[..] {
            [count] if count == items.len() => items.iter().enumerate().map(polygon).collect(),
            [count, vertices, 2] if product(&self.shape) == Some(items.len()) => {
                grouped(items, count, vertices)
            }
            _ => Err(format!(
                "the shape is {:?} and holds {} objects; it has to be (polygons, vertices, 2) of \
                 numbers or (polygons,) of arrays",
                self.shape,
                items.len()
            )),
        }
    }

    /// The points of one polygon.
    fn points(&self) -> Result<Vec<[f64; 2]>, String> {
        let [vertices, 2] = self.shape[..] else {
            return Err(format!("its shape is {:?}, not (vertices, 2)", self.shape));
        };
        let numbers = self.numbers()?;
        if Some(numbers.len()) != product(&self.shape) {
            return Err(format!("it has {} numbers for {vertices} vertices", numbers.len()));
        }
        if self.fortran_order {
            let (ys, xs) = numbers.split_at(vertices);
            return Ok(ys.iter().zip(xs).map(|(&y, &x)| [y, x]).collect());
        }
        Ok(numbers.as_chunks().0.to_vec())
    }

    fn numbers(&self) -> Result<Vec<f64>, String> {
        match (self.dtype, self.byte_order, self.data) {
            ("f8", "<", Value::Bytes(bytes)) => {
                Ok(bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
            }
            ("f4", "<", Value::Bytes(bytes)) => {
                Ok(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect())
            }
            (dtype, byte_order, _) => Err(format!(
                "its numbers are {byte_order}{dtype}, not float64 or float32 in little-endian order"
            )),
        }
    }
}

fn reconstructed(value: &Value) -> Option<&Object> {
    let call = |module| value.as_call(module, "_reconstruct");
    call("numpy.core.multiarray").or_else(|| call("numpy._core.multiarray"))
}

/// `dtype('f8', False, True)` with the state `(3, '<', …)`: name and byte order.
fn dtype_of(value: &Value) -> Option<(&str, &str)> {
    let dtype = value.as_call("numpy", "dtype")?;
    let name = dtype.arguments.items()?.first()?.as_str()?;
    let byte_order = dtype.state.as_ref()?.items()?.get(1)?.as_str()?;
    Some((name, byte_order))
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

fn polygon((index, item): (usize, &Value)) -> Result<Vec<[f64; 2]>, String> {
    Pickled::of(item)
        .and_then(|array| array.points())
        .map_err(|reason| format!("polygon {index} (from 0): {reason}"))
}

/// The points of polygons that have equally many vertices, from their numbers in one row.
fn grouped(items: &[Value], count: usize, vertices: usize) -> Result<Vec<Vec<[f64; 2]>>, String> {
    if vertices == 0 {
        // No number of them takes any bytes, so a file could name any.
        return Err(format!("{count} polygons have no vertices"));
    }
    let numbers = items.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    let (points, _) = numbers.as_chunks();
    Ok(points.chunks(vertices).map(<[_]>::to_vec).collect())
}

#[allow(clippy::cast_precision_loss, reason = "coordinates in pixels are far below 2^53")]
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        other => Err(format!("found {other} where a coordinate is needed")),
    }
}

fn check_points(polygons: &[Vec<[f64; 2]>]) -> Result<(), String> {
    for (polygon, points) in polygons.iter().enumerate() {
        if points.is_empty() {
            return Err(format!("polygon {polygon} (from 0) has no vertices"));
        }
        let bad = points.iter().position(|point| !point.iter().all(|number| number.is_finite()));
        if let Some(vertex) = bad {
            let [y, x] = points[vertex];
            return Err(format!("vertex {vertex} of polygon {polygon} (from 0) is ({y}, {x})"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::pickle::PickleError;

    const SQUARE: [[f64; 2]; 4] = [[2.0, 2.0], [2.0, 6.5], [6.0, 6.0], [6.0, 2.25]];
    const TRIANGLE: [[f64; 2]; 3] = [[1.0, 1.0], [1.0, 8.0], [8.0, -1.5]];

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python").join(name)
    }

    /// A file of CytoDL's own, if they are there.
    fn shared(name: &str) -> Option<PathBuf> {
        let folder = "../../shared/reference/cytodl/experiments/exp_3d_small_mask";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
        if !path.exists() {
            println!("skipped: {} is not there", path.display());
            return None;
        }
        Some(path)
    }

    fn parse(bytes: &[u8]) -> Result<Vec<Vec<[f64; 2]>>, NpyError> {
        parse_polygons(bytes, Path::new("mask.npy"))
    }

    #[test]
    fn polygons_with_as_many_vertices_are_read_from_one_array() {
        assert_eq!(read_polygons(fixture("polygons_one.npy")).unwrap(), [SQUARE.to_vec()]);
        let moved = SQUARE.map(|[y, x]| [y + 0.5, x + 0.5]);
        let expected = [SQUARE.to_vec(), moved.to_vec()];
        assert_eq!(read_polygons(fixture("polygons_equal.npy")).unwrap(), expected);
    }

    #[test]
    fn polygons_with_different_vertices_are_read_from_an_array_each() {
        let expected = [SQUARE.to_vec(), TRIANGLE.to_vec()];
        assert_eq!(read_polygons(fixture("polygons_unequal.npy")).unwrap(), expected);
        assert_eq!(read_polygons(fixture("polygons_columns.npy")).unwrap(), expected);
        assert_eq!(read_polygons(fixture("polygons_float32.npy")).unwrap(), expected);
    }

    #[test]
    fn whole_numbers_are_coordinates_too() {
        let expected = [vec![[0.0, 0.0], [0.0, 3.0], [3.0, 0.0]]];
        assert_eq!(read_polygons(fixture("polygons_integers.npy")).unwrap(), expected);
    }

    #[test]
    fn an_empty_layer_has_no_polygons() {
        assert!(read_polygons(fixture("polygons_none.npy")).unwrap().is_empty());
    }

    #[test]
    fn masks_saved_by_the_plugin_are_read() {
        let Some(path) = shared("excluding_masks/excluding_mask_im_0.ome.npy") else { return };
        // As numpy.load says.
        let expected = [
            vec![[2.0, 2.0], [2.0, 12.5], [14.3, 2.0]],
            vec![[20.0, 20.0], [30.0, 20.0], [30.0, 30.0], [22.0, 34.0]],
        ];
        assert_eq!(read_polygons(path).unwrap(), expected);
    }

    #[test]
    fn a_coordinate_that_is_no_number_is_named_by_its_place() {
        let error = read_polygons(fixture("polygons_nan.npy")).unwrap_err().to_string();
        assert!(
            error.ends_with("not polygons: vertex 2 of polygon 0 (from 0) is (NaN, 5)"),
            "{error}"
        );
    }

    #[test]
    fn objects_that_are_no_polygons_are_refused() {
        for (name, reason) in [
            ("polygons_no_points.npy", "polygon 1 (from 0) has no vertices"),
            ("objects_text.npy", "found \"a\" where an array is needed"),
            ("objects_points_3d.npy", "it has to be (polygons, vertices, 2) of numbers"),
            (
                "objects_points_mixed.npy",
                "polygon 1 (from 0): its shape is [4, 3], not (vertices, 2)",
            ),
        ] {
            let error = read_polygons(fixture(name)).unwrap_err();
            assert!(matches!(error, NpyError::Polygons { .. }), "{name}: {error}");
            assert!(error.to_string().contains(reason), "{name}: {error}");
        }
        let error = read_polygons(fixture("grid_uint8.npy")).unwrap_err();
        assert!(matches!(error, NpyError::Type { .. }), "{error}");
    }

    #[test]
    fn a_mask_that_would_run_a_command_is_refused() {
        let whole = fs::read(fixture("polygons_one.npy")).unwrap();
        let bytes = [&whole[..128], b"\x80\x03cposix\nsystem\nX\x02\x00\x00\x00ls\x85R."].concat();
        let error = parse(&bytes).unwrap_err();
        let NpyError::Pickle { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains("posix.system"), "{source}");
    }

    /// An array as `ndarray.__reduce__` pickles it, up to its data.
    fn pickled_array(shape: &[u8], dtype: &[u8; 2], byte_order: u8) -> Vec<u8> {
        let call =
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01";
        let class = b"cnumpy\ndtype\nX\x02\x00\x00\x00";
        let rest = [b'X', 1, 0, 0, 0, byte_order];
        [call, shape, class, dtype, b"\x89\x88\x87R(K\x03", &rest, b"NNNK\x00K\x00K\x00tb\x89"]
            .concat()
    }

    #[test]
    fn a_small_file_can_not_ask_for_much_memory() {
        // A polygon of 100 kB, which is in the file once and is meant many times.
        let polygon = pickled_array(b"M\x6a\x18K\x02\x86", b"f8", b'<');
        let polygon = [&polygon[..], b"B\xa0\x86\x01\x00", &[0; 100_000], b"tbq\x00"].concat();
        let file = |count: u16| {
            let header = format!("{{'descr': '|O', 'fortran_order': False, 'shape': ({count},)}}");
            let length = u16::try_from(header.len()).unwrap().to_le_bytes();
            let shape = [b"M", &count.to_le_bytes()[..], b"\x85"].concat();
            let array = pickled_array(&shape, b"O8", b'|');
            let start =
                [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), b"\x80\x03"].concat();
            let again = b"h\x00".repeat(usize::from(count) - 1);
            [&start[..], &array, b"](", &polygon, &again, b"etb."].concat()
        };
        assert_eq!(parse(&file(2)).unwrap(), [vec![[0.0; 2]; 6250], vec![[0.0; 2]; 6250]]);
        let error = parse(&file(5000)).unwrap_err();
        let NpyError::Pickle { source, .. } = error else { panic!("{error}") };
        assert!(matches!(source, PickleError::Limit { of: "memory", .. }), "{source}");
    }

    #[test]
    fn a_mask_cut_off_anywhere_or_with_flipped_bits_never_panics() {
        for name in ["polygons_equal.npy", "polygons_unequal.npy"] {
            let bytes = fs::read(fixture(name)).unwrap();
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length]).is_err(), "{name} to {length}");
            }
            for bit in 0..8 * bytes.len() {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(polygons) = parse(&flipped) {
                    assert_eq!(polygons.len(), 2, "{name}, bit {bit}");
                }
            }
        }
    }
}
