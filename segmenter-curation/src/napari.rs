//! Shapes drawn in napari and saved as comma-separated values.
//!
//! napari writes one row a vertex (`napari_builtins/io/_write.py`):
//!
//! ```text
//! index,shape-type,vertex-index,axis-0,axis-1
//! 0,polygon,0,10.5,20.0
//! 0,polygon,1,10.5,42.0
//! 0,polygon,2,31.0,42.0
//! ```
//!
//! The axes are those of the image, slowest first: `axis-0` is y and `axis-1` is x, or `axis-0` is z
//! where there is an `axis-2`. Coordinates are in pixels, whatever the scale of the layer, and of
//! single precision.

mod write;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use segmenter_core::{Ellipse, InvalidRegion, Region};

pub use self::write::write_shapes;
pub use crate::table::TableError;
use crate::table::{Table, list};

/// Why shapes were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShapesError {
    /// The file is not a table with the columns of napari's shapes.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows or shapes are wrong; all of them are listed.
    #[error("{path}: {}", list(.faults))]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the lines.
        faults: Vec<ShapeFault>,
    },
}

/// What is wrong with a row or a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeFault {
    /// The line in the file, from 1: of the row, or of the first row of the shape.
    pub line: u64,
    /// What is wrong.
    pub reason: ShapeFaultReason,
}

/// What can be wrong with a row or a shape.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeFaultReason {
    /// A coordinate is not a number.
    #[error("{column} is `{found}`, not a number")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// The cell.
        found: String,
    },
    /// A type of shape that napari doesn't have.
    #[error("`{shape}` is no shape of napari; they are polygon, rectangle, ellipse, path and line")]
    UnknownShape {
        /// The cell.
        shape: String,
    },
    /// The rows of a shape differ in its type.
    #[error("the shape is a {first} and a {second}")]
    TwoTypes {
        /// The type in its first row.
        first: String,
        /// Another type.
        second: String,
    },
    /// The vertices of a shape are not in order, or rows of another shape are between them.
    #[error("vertex-index is `{found}`, but this row is vertex {expected} of its shape")]
    Order {
        /// The vertex that the row has to be.
        expected: usize,
        /// The cell.
        found: String,
    },
    /// A rectangle or an ellipse has not four corners.
    #[error("the shape `{shape}` needs 4 corners, found {found}")]
    Corners {
        /// The type of the shape.
        shape: String,
        /// How many vertices there are.
        found: usize,
    },
    /// The shape does not lie in one slice.
    #[error("the shape goes from z {first} to z {last}; it has to lie in one slice")]
    Slanted {
        /// The lowest z.
        first: f64,
        /// The highest z.
        last: f64,
    },
    /// The shape lies between slices or before the first.
    #[error("z is {z}, which is no slice: slices are whole numbers from 0")]
    NoSlice {
        /// Where it lies.
        z: f64,
    },
    /// The points do not bound a region.
    #[error(transparent)]
    Region(InvalidRegion),
}

impl fmt::Display for ShapeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Reads the shapes of a napari layer as regions, in the order in which they were drawn.
///
/// Polygons and rectangles are the polygons of their vertices, in single precision as napari keeps
/// them, and cover the pixels that its `to_masks` covers. An ellipse, of which napari saves the four
/// corners around it, is the true ellipse that touches their box; napari fills 99 points on its rim,
/// which leaves out up to one of a few thousand pixels. napari doesn't save the width of paths and
/// lines: they are one pixel wide. With a z-axis, a shape lies in its slice alone; without, in all.
///
/// ```
/// use segmenter_core::Yx;
/// use segmenter_curation::napari;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("shapes.csv");
/// let header = "index,shape-type,vertex-index,axis-0,axis-1";
/// let rows = "0,rectangle,0,2,3\n0,rectangle,1,2,5\n0,rectangle,2,4,5\n0,rectangle,3,4,3\n";
/// std::fs::write(&path, format!("{header}\n{rows}"))?;
///
/// let regions = napari::read_shapes(&path)?;
/// let mask = regions[0].rasterise::<Yx>([8, 8]);
/// assert!(mask.view()[[4, 5]], "row 4, column 5");
/// assert_eq!(mask.count(), 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file can't be read or has other columns; or with every row and shape that is wrong.
pub fn read_shapes(path: impl AsRef<Path>) -> Result<Vec<Region>, ShapesError> {
    let path = path.as_ref();
    let table = Table::read(path)?;
    let needed = ["index", "shape-type", "vertex-index", "axis-0", "axis-1"];
    table.check(path, &needed, &["axis-2"])?;
    let (mut regions, mut faults) = (Vec::new(), Vec::new());
    for shape in Shape::all(&table, &mut faults) {
        match shape.region() {
            Ok(region) => regions.push(region),
            Err(reason) => faults.push(ShapeFault { line: shape.line, reason }),
        }
    }
    if faults.is_empty() {
        return Ok(regions);
    }
    faults.sort_by_key(|fault| fault.line);
    Err(ShapesError::Faults { path: path.to_owned(), faults })
}

/// A shape as drawn.
struct Shape {
    line: u64,
    kind: String,
    points: Vec<Point>,
}

#[derive(Clone, Copy)]
struct Point {
    z: Option<f64>,
    y: f64,
    x: f64,
}

impl Shape {
    /// The shapes whose rows are in order. Rows of a shape follow each other.
    fn all(table: &Table, faults: &mut Vec<ShapeFault>) -> Vec<Self> {
        let mut shapes = Vec::new();
        let same = |a: &(u64, StringRecord), b: &(u64, StringRecord)| {
            table.cell(&a.1, "index") == table.cell(&b.1, "index")
        };
        for rows in table.rows.chunk_by(same) {
            match Self::new(table, rows) {
                Ok(shape) => shapes.push(shape),
                Err(found) => faults.extend(found),
            }
        }
        shapes
    }

    fn new(table: &Table, rows: &[(u64, StringRecord)]) -> Result<Self, Vec<ShapeFault>> {
        let (line, first) = &rows[0];
        let kind = table.cell(first, "shape-type");
        let (mut points, mut faults) = (Vec::new(), Vec::new());
        for (at, (line, row)) in rows.iter().enumerate() {
            let checked = same_type(kind, table.cell(row, "shape-type"))
                .and_then(|()| in_order(at, table.cell(row, "vertex-index")));
            match checked.and_then(|()| Point::new(table, row)) {
                Ok(point) => points.push(point),
                Err(reason) => faults.push(ShapeFault { line: *line, reason }),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { line: *line, kind: kind.to_owned(), points })
    }

    fn region(&self) -> Result<Region, ShapeFaultReason> {
        let corners: Vec<_> = self.points.iter().map(|point| (point.x, point.y)).collect();
        let region = match self.kind.as_str() {
            "rectangle" | "ellipse" if corners.len() != 4 => return Err(self.corners()),
            "polygon" | "rectangle" => Region::polygon(corners),
            "ellipse" => ellipse(&corners).map(Region::ellipse),
            "path" | "line" => Region::path(corners, 1.0),
            _ => return Err(ShapeFaultReason::UnknownShape { shape: self.kind.clone() }),
        };
        let region = region.map_err(ShapeFaultReason::Region)?;
        Ok(match self.slice()? {
            Some(z) => region.through_z(z..=z),
            None => region,
        })
    }

    fn corners(&self) -> ShapeFaultReason {
        ShapeFaultReason::Corners { shape: self.kind.clone(), found: self.points.len() }
    }

    /// The slice that the shape lies in, if there are slices.
    fn slice(&self) -> Result<Option<usize>, ShapeFaultReason> {
        let z = || self.points.iter().filter_map(|point| point.z);
        let Some(first) = z().reduce(f64::min) else { return Ok(None) };
        let last = z().fold(first, f64::max);
        if first != last {
            return Err(ShapeFaultReason::Slanted { first, last });
        }
        whole(first).map(Some).ok_or(ShapeFaultReason::NoSlice { z: first })
    }
}

fn same_type(first: &str, second: &str) -> Result<(), ShapeFaultReason> {
    if first == second {
        return Ok(());
    }
    Err(ShapeFaultReason::TwoTypes { first: first.to_owned(), second: second.to_owned() })
}

fn in_order(expected: usize, found: &str) -> Result<(), ShapeFaultReason> {
    if found.trim().parse() == Ok(expected) {
        return Ok(());
    }
    Err(ShapeFaultReason::Order { expected, found: found.to_owned() })
}

impl Point {
    fn new(table: &Table, row: &StringRecord) -> Result<Self, ShapeFaultReason> {
        let number = |column| {
            let found = table.cell(row, column);
            // napari keeps vertices in single precision; it may print them with more digits.
            found
                .trim()
                .parse::<f32>()
                .map(f64::from)
                .map_err(|_| ShapeFaultReason::NotANumber { column, found: found.to_owned() })
        };
        let (first, second) = (number("axis-0")?, number("axis-1")?);
        if table.column("axis-2").is_none() {
            return Ok(Self { z: None, y: first, x: second });
        }
        Ok(Self { z: Some(first), y: second, x: number("axis-2")? })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is whole and between 0 and 2^32"
)]
fn whole(number: f64) -> Option<usize> {
    let valid = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    valid.then_some(number as usize)
}

/// The ellipse within four corners, as napari's `triangulate_ellipse` places it: its centre is theirs,
/// and its axes are half of the first two sides.
fn ellipse(corners: &[(f64, f64)]) -> Result<Ellipse, InvalidRegion> {
    let axis = |of: fn(&(f64, f64)) -> f64| {
        let at = |corner: usize| of(&corners[corner]);
        let centre = corners.iter().map(of).sum::<f64>() / 4.0;
        (centre, (at(1) - at(0)) / 2.0, (at(2) - at(1)) / 2.0)
    };
    let (x, y) = (axis(|corner| corner.0), axis(|corner| corner.1));
    Ellipse::from_axes((x.0, y.0), [(x.1, y.1), (x.2, y.2)])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use segmenter_core::{Yx, Zyx, io::Existing};

    use super::*;

    const PLANE: &str = "index,shape-type,vertex-index,axis-0,axis-1\n";
    const VOLUME: &str = "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n";

    fn read(text: &str) -> Result<Vec<Region>, ShapesError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shapes.csv");
        fs::write(&path, text).unwrap();
        read_shapes(path)
    }

    fn faults(text: &str) -> Vec<(u64, String)> {
        match read(text) {
            Err(ShapesError::Faults { faults, .. }) => {
                faults.into_iter().map(|fault| (fault.line, fault.reason.to_string())).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn shape(index: usize, kind: &str, points: &[&str]) -> String {
        let row = |(at, point)| format!("{index},{kind},{at},{point}\n");
        points.iter().enumerate().map(row).collect()
    }

    #[test]
    fn shapes_are_read_in_order_with_rows_first() {
        let text = PLANE.to_owned()
            + &shape(0, "polygon", &["1.0,2.0", "1.0,5.5", "4.0,2.0"])
            + &shape(1, "rectangle", &["0,0", "0,3", "2,3", "2,0"]);
        let regions = read(&text).unwrap();
        assert_eq!(regions.len(), 2);
        assert_eq!(regions[0], Region::polygon([(2.0, 1.0), (5.5, 1.0), (2.0, 4.0)]).unwrap());
        assert_eq!(regions[1].rasterise::<Yx>([9, 9]).count(), 3 * 4);
    }

    #[test]
    fn a_path_and_a_line_are_one_pixel_wide() {
        let text = PLANE.to_owned()
            + &shape(0, "path", &["1,1", "1,4", "3,4"])
            + &shape(1, "line", &["5,0", "5,7"]);
        let counts = read(&text).unwrap().into_iter().map(|r| r.rasterise::<Yx>([9, 9]).count());
        assert_eq!(counts.collect::<Vec<_>>(), [6, 8]);
    }

    #[test]
    fn what_is_written_is_read_back_equal() {
        let text = VOLUME.to_owned()
            + &shape(0, "rectangle", &["3,0,0", "3,0,3", "3,2,3", "3,2,0"])
            + &shape(1, "ellipse", &["0,1,2", "0,1,5", "0,4.5,5", "0,4.5,2"])
            + &shape(2, "polygon", &["3.0,1,2.25", "3.0,1,5", "3.0,4,2"])
            + &shape(3, "path", &["2,1,2", "2,1,5"]);
        let regions = read(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shapes.csv");
        write_shapes(&path, &regions, Existing::Refuse).unwrap();
        assert_eq!(read_shapes(&path).unwrap(), regions);

        let whole = [Region::whole_slices(0..=1), regions[0].clone()];
        let error = write_shapes(folder.path().join("a.csv"), &whole, Existing::Refuse);
        assert!(error.unwrap_err().to_string().contains("region 0"));
    }

    #[test]
    fn with_a_z_axis_a_shape_lies_in_its_slice() {
        let text = VOLUME.to_owned() + &shape(0, "polygon", &["3.0,1,2", "3.0,1,5", "3.0,4,2"]);
        let regions = read(&text).unwrap();
        assert_eq!(regions[0].slices(), Some(3..=3));
        let mask = regions[0].rasterise::<Zyx>([6, 9, 9]);
        assert!(mask.view()[[3, 1, 5]] && !mask.view()[[2, 1, 5]]);
    }

    /// What the equation of the ellipse holds, in exact fractions; see `make_ellipses.py` in
    /// `tests/fixtures`.
    #[test]
    fn an_ellipse_covers_the_centres_within_it() {
        let fixtures = include_str!("../tests/fixtures/ellipses.txt");
        let mut ellipses = 0;
        for line in fixtures.lines() {
            let (corners, rows) = line.split_once('|').unwrap();
            let corners: Vec<&str> = corners.split(' ').collect();
            let region = &read(&(PLANE.to_owned() + &shape(0, "ellipse", &corners))).unwrap()[0];
            let mask = region.rasterise::<Yx>([24, 24]);
            let draw = |row: ndarray::ArrayView1<'_, bool>| {
                row.iter().map(|&inside| if inside { '#' } else { '.' }).collect::<String>()
            };
            let found: Vec<String> = mask.view().rows().into_iter().map(draw).collect();
            assert_eq!(found.join(" "), rows, "{corners:?}");
            ellipses += 1;
        }
        assert_eq!(ellipses, 40);
    }

    #[test]
    fn numbers_printed_with_more_digits_than_they_have_are_rounded_back() {
        let long = shape(0, "polygon", &["12.300000190734863,1", "5,6", "7,8"]);
        let short = shape(0, "polygon", &["12.3,1", "5,6", "7,8"]);
        let [long, short] = [long, short].map(|text| read(&(PLANE.to_owned() + &text)).unwrap());
        assert_eq!(long, short);
    }

    #[test]
    fn everything_that_is_wrong_is_named_by_its_line() {
        let text = VOLUME.to_owned()
            + &shape(0, "ellipse", &["3,1,2", "3,1,5", "3,1,5", "3,1,2"])
            + &shape(1, "ellipse", &["3,1,2", "3,1,5", "3,4,2"])
            + &shape(2, "polygon", &["3,1,2", "4,1,5", "3,4,2"])
            + &shape(3, "polygon", &["3,1,2", "3,x,5", "3,4,NaN", "3,1,"])
            + &shape(4, "polygon", &["-1,1,2"])
            + &shape(5, "blob", &["1,1,2"])
            + "6,polygon,0,1,1,1\n6,line,1,1,1,1\n"
            + &shape(7, "polygon", &["1,1,2", "1,inf,3"]);
        let expected = [
            (2, "the two axes of an ellipse have a length and different directions, these do not"),
            (6, "the shape `ellipse` needs 4 corners, found 3"),
            (9, "the shape goes from z 3 to z 4; it has to lie in one slice"),
            (13, "axis-1 is `x`, not a number"),
            (15, "axis-2 is ``, not a number"),
            (16, "z is -1, which is no slice: slices are whole numbers from 0"),
            (
                17,
                "`blob` is no shape of napari; they are polygon, rectangle, ellipse, path and line",
            ),
            (19, "the shape is a polygon and a line"),
        ];
        let found = faults(&text);
        assert_eq!(found[..8], expected.map(|(line, reason)| (line, reason.to_owned())));
        assert_eq!((found[8].0, found.len()), (20, 9));
        assert!(found[8].1.contains("points [1]"), "{}", found[8].1);
    }

    #[test]
    fn rows_of_a_shape_that_are_apart_are_not_taken_for_two_shapes() {
        let text = PLANE.to_owned() + "0,polygon,0,1,1\n1,polygon,0,1,1\n0,polygon,1,2,2\n";
        let expected = "vertex-index is `1`, but this row is vertex 0 of its shape";
        assert_eq!(faults(&text), [(4, expected.to_owned())]);
    }

    #[test]
    fn another_table_is_refused_with_the_columns_that_are_wrong() {
        let error = read("index,axis-0,axis-1,size\n").unwrap_err().to_string();
        assert!(error.contains(r#"["shape-type", "vertex-index"] are missing"#), "{error}");
        assert!(error.contains(r#"["size"]"#), "{error}");
    }
}
