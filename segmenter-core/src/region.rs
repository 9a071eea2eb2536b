//! Regions of an image that a person drew.

mod drawing;
mod ellipse;
mod error;
mod fault;
mod path;

use std::{ops::RangeInclusive, sync::Arc};

use geo::{Coord, LineString, Polygon};
use serde::{Deserialize, Serialize};

pub use ellipse::Ellipse;
pub use error::InvalidRegion;
pub use fault::RegionFault;
pub(crate) use path::Path;

use crate::{Mask, Space, rasterise::Runs};
use drawing::Drawing;

/// The largest coordinate. No image is near as large, and the product of two coordinates is finite.
const LIMIT: f64 = 1e100;

/// An area of an image: what a person drew or painted, carried through its slices.
///
/// It is a [polygon](Self::polygon) with holes, an [ellipse](Self::ellipse), a [path](Self::path) of
/// some width, [whole slices](Self::whole_slices), or a [painted](Self::painted) mask; or regions
/// that were [added](Self::union) to and [taken](Self::difference) from each other.
///
/// # Coordinates
/// Points are (x, y) in pixels, and the centres of pixels lie at whole numbers: the point (3, 5) is
/// the centre of the pixel in column 3 and row 5. Points may lie anywhere, also off the image.
/// The last point is joined to the first.
///
/// # Which pixels are inside
/// Those whose centre is inside the outline or exactly on it. Where the boundary of a polygon crosses
/// itself, a centre is inside if a line from it to far away meets the boundary an odd number of
/// times (even-odd rule). To the pixel, this is what scikit-image's `polygon2mask` makes.
///
/// A hole is a polygon of its own that follows the same rule, and what is inside it is not in the
/// region: a pixel on the boundary of a hole is in the hole. Regions are added and subtracted pixel by
/// pixel, each filled by its own rule.
///
/// # Slices
/// A region covers all slices of a volume unless it is [limited](Self::through_z) to some. A plane
/// has no slices, so there the limits play no part.
///
/// # As text
/// serde writes a region as one of these objects, with `"z": [first, last]` if it is limited:
///
/// ```json
/// {"polygon": [[1.0, 1.0], [9.0, 1.0], [9.0, 8.0]], "holes": [[[7.0, 2.0], [8.0, 2.0], [8.0, 3.0]]]}
/// {"ellipse": {"centre": [5.0, 4.0], "axes": [[3.0, 0.0], [0.0, 2.0]]}}
/// {"path": [[1.0, 1.0], [9.0, 1.0]], "width": 3.0}
/// {"runs": [[4, 10, 12]]}
/// {"parts": [{"add": {"polygon": [[1.0, 1.0]]}}, {"subtract": {"polygon": [[1.0, 1.0]]}}]}
/// {"z": [3, 5]}
/// ```
///
/// A run is a row and the first and the last column that are painted in it. A part is to `add`, to
/// `subtract` or to `toggle`.
///
/// ```
/// use segmenter_core::{Region, Yx, Zyx};
///
/// let square = Region::polygon([(1.0, 1.0), (4.0, 1.0), (4.0, 4.0), (1.0, 4.0)])?;
/// assert_eq!(square.rasterise::<Yx>([6, 6]).count(), 16, "columns and rows 1, 2, 3 and 4");
///
/// let frame = square.clone().with_hole([(2.0, 2.0), (3.0, 2.0), (3.0, 3.0), (2.0, 3.0)])?;
/// assert_eq!(frame.rasterise::<Yx>([6, 6]).count(), 12, "the boundary of a hole is in the hole");
///
/// let slab = square.through_z(2..=4);
/// assert_eq!(slab.rasterise::<Zyx>([10, 6, 6]).count(), 3 * 16, "both ends are in the range");
/// # Ok::<(), segmenter_core::InvalidRegion>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Drawing", into = "Drawing")]
pub struct Region {
    shape: Shape,
    slices: Option<RangeInclusive<usize>>,
}

/// What a region is in the slices that it covers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Polygon(Polygon<f64>),
    Ellipse(Ellipse),
    Path(Path),
    /// Every pixel.
    Whole,
    Painted(Arc<Runs>),
    /// Regions added and subtracted in order.
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Add(Region),
    Subtract(Region),
    /// What is in either, and not in both.
    Toggle(Region),
}

impl Region {
    /// The region inside a polygon, given by its points as (x, y) in pixels.
    ///
    /// Points are taken in the precision in which they come. napari keeps single precision: to cover
    /// what it covers, round to `f32` before, as the reader of its files does.
    ///
    /// # Errors
    /// If there is no point, or a coordinate is not a number from -10¹⁰⁰ to 10¹⁰⁰.
    pub fn polygon<P: Into<Coord<f64>>>(
        points: impl IntoIterator<Item = P>,
    ) -> Result<Self, InvalidRegion> {
        Ok(Shape::Polygon(Polygon::new(ring(points)?, Vec::new())).into())
    }

    /// The rectangle between two corners, given as (x, y) in pixels: the polygon of its four corners.
    ///
    /// # Errors
    /// If a coordinate is not a number from -10¹⁰⁰ to 10¹⁰⁰.
    pub fn rectangle<P: Into<Coord<f64>>>(from: P, to: P) -> Result<Self, InvalidRegion> {
        let (from, to) = (from.into(), to.into());
        Self::polygon([(from.x, from.y), (to.x, from.y), (to.x, to.y), (from.x, to.y)])
    }

    /// The region inside an ellipse.
    ///
    /// ```
    /// use segmenter_core::{Ellipse, Region, Yx};
    ///
    /// let disc = Region::ellipse(Ellipse::new((5.0, 5.0), [5.0, 5.0], 0.0)?);
    /// assert_eq!(disc.rasterise::<Yx>([11, 11]).count(), 81, "whole numbers with x² + y² ≤ 25");
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn ellipse(ellipse: Ellipse) -> Self {
        Shape::Ellipse(ellipse).into()
    }

    /// The region along a path of straight lines, as a round brush of this diameter in pixels paints
    /// it: the pixels whose centres are at most half the width away. A path that is one pixel wide
    /// has no gaps. One point makes a disc. The ends are not joined.
    ///
    /// ```
    /// use segmenter_core::{Region, Yx};
    ///
    /// let line = Region::path([(1.0, 2.0), (4.0, 2.0)], 2.0)?;
    /// assert_eq!(line.rasterise::<Yx>([5, 6]).count(), 4 + 6 + 4);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    ///
    /// # Errors
    /// If there is no point, a coordinate is not a number from -10³⁰ to 10³⁰, or the width is not a
    /// number above 0 and up to 10³⁰.
    pub fn path<P: Into<Coord<f64>>>(
        points: impl IntoIterator<Item = P>,
        width: f64,
    ) -> Result<Self, InvalidRegion> {
        Ok(Shape::Path(Path::new(points.into_iter().map(Into::into).collect(), width)?).into())
    }

    /// These slices of a volume from edge to edge, first and last included; and a plane as a whole,
    /// which has no slices.
    #[must_use]
    pub fn whole_slices(slices: RangeInclusive<usize>) -> Self {
        Self::from(Shape::Whole).through_z(slices)
    }

    /// The region that a mask covers, such as one painted by hand: of a plane, in all slices; of a
    /// volume, slice by slice. It keeps runs of pixels, and none of the mask's memory.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Mask2, Region, Yx};
    ///
    /// let mask = Mask2::new(array![[false, true], [true, true]]);
    /// assert_eq!(Region::painted(&mask).rasterise::<Yx>([2, 2]), mask);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn painted<S: Space>(mask: &Mask<S>) -> Self {
        let [slices, rows, columns] = S::to_zyx(mask.extent());
        let pixels: Vec<bool> = mask.view().iter().copied().collect();
        let plane = rows * columns;
        let plane = |z: usize| Runs::of_pixels(&pixels[z * plane..(z + 1) * plane], columns);
        if S::RANK == 2 {
            return Self::of_runs(plane(0));
        }
        let planes = (0..slices).map(|z| (z, plane(z))).filter(|(_, runs)| !runs.is_empty());
        Self::any_of(planes.map(|(z, runs)| Self::of_runs(runs).through_z(z..=z)))
    }

    pub(crate) fn of_runs(runs: Runs) -> Self {
        Shape::Painted(Arc::new(runs)).into()
    }

    /// What is in any of these regions; nothing if there are none.
    #[must_use]
    pub fn any_of(regions: impl IntoIterator<Item = Self>) -> Self {
        Shape::Parts(regions.into_iter().map(Part::Add).collect()).into()
    }

    /// What is in this region or in the other.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.with_part(Part::Add(other))
    }

    /// What is in this region and not in the other.
    ///
    /// ```
    /// use segmenter_core::{Ellipse, Region, Zyx};
    ///
    /// let square = Region::rectangle((0.0, 0.0), (9.0, 9.0))?;
    /// let vessel = Region::ellipse(Ellipse::new((4.5, 4.5), [2.0, 2.0], 0.0)?).through_z(0..=1);
    /// let rest = square.difference(vessel);
    /// assert_eq!(rest.rasterise::<Zyx>([3, 10, 10]).count(), 3 * 100 - 2 * 12);
    /// # Ok::<(), segmenter_core::InvalidRegion>(())
    /// ```
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        self.with_part(Part::Subtract(other))
    }

    /// What is in this region or in the other, and not in both: every second one of outlines that lie in
    /// each other is a hole.
    #[must_use]
    pub fn symmetric_difference(self, other: Self) -> Self {
        self.with_part(Part::Toggle(other))
    }

    /// A chain of additions and subtractions stays one list, so that it nests no deeper.
    fn with_part(self, part: Part) -> Self {
        match self {
            Self { shape: Shape::Parts(mut parts), slices: None } => {
                parts.push(part);
                Shape::Parts(parts).into()
            }
            first => Shape::Parts(vec![Part::Add(first), part]).into(),
        }
    }

    /// The same region without what is inside a polygon, given as (x, y) in pixels. In a polygon it
    /// becomes a hole.
    ///
    /// # Errors
    /// If there is no point, or a coordinate is not a number from -10¹⁰⁰ to 10¹⁰⁰.
    pub fn with_hole<P: Into<Coord<f64>>>(
        mut self,
        points: impl IntoIterator<Item = P>,
    ) -> Result<Self, InvalidRegion> {
        let hole = ring(points)?;
        if let Shape::Polygon(polygon) = &mut self.shape {
            polygon.interiors_push(hole);
            return Ok(self);
        }
        Ok(self.difference(Shape::Polygon(Polygon::new(hole, Vec::new())).into()))
    }

    /// The same region in these slices only, first and last included. A range that ends before it
    /// starts has no slices, and slices beyond the volume are no fault. Of a region of several parts,
    /// each part stays limited as it is.
    #[must_use]
    pub fn through_z(mut self, slices: RangeInclusive<usize>) -> Self {
        self.slices = Some(slices);
        self
    }

    /// The polygon and its holes in (x, y), for measuring or transforming with [`geo`]; `None` if the
    /// region is something else.
    #[must_use]
    pub fn as_polygon(&self) -> Option<&Polygon<f64>> {
        match &self.shape {
            Shape::Polygon(polygon) => Some(polygon),
            _ => None,
        }
    }

    /// The ellipse; `None` if the region is something else.
    #[must_use]
    pub fn as_ellipse(&self) -> Option<&Ellipse> {
        match &self.shape {
            Shape::Ellipse(ellipse) => Some(ellipse),
            _ => None,
        }
    }

    /// The points of a path as (x, y), and its width; `None` if the region is something else.
    #[must_use]
    pub fn as_path(&self) -> Option<(&[Coord<f64>], f64)> {
        match &self.shape {
            Shape::Path(path) => Some((&path.points, path.width)),
            _ => None,
        }
    }

    /// The regions that this one is the union of; `None` if it is something else, such as a
    /// difference.
    #[must_use]
    pub fn as_union(&self) -> Option<Vec<&Self>> {
        let Shape::Parts(parts) = &self.shape else { return None };
        parts.iter().map(Part::added).collect()
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The slices that the region is limited to, or `None` if it covers all.
    #[must_use]
    pub fn slices(&self) -> Option<RangeInclusive<usize>> {
        self.slices.clone()
    }

    /// Whether the region is limited to slices that hold this one. Parts may be limited further.
    #[must_use]
    pub fn covers_slice(&self, z: usize) -> bool {
        self.slices.as_ref().is_none_or(|slices| slices.contains(&z))
    }
}

impl Part {
    pub(crate) fn region(&self) -> &Region {
        match self {
            Self::Add(region) | Self::Subtract(region) | Self::Toggle(region) => region,
        }
    }

    fn added(&self) -> Option<&Region> {
        match self {
            Self::Add(region) => Some(region),
            Self::Subtract(_) | Self::Toggle(_) => None,
        }
    }
}

impl From<Shape> for Region {
    fn from(shape: Shape) -> Self {
        Self { shape, slices: None }
    }
}

impl TryFrom<Polygon<f64>> for Region {
    type Error = InvalidRegion;

    fn try_from(polygon: Polygon<f64>) -> Result<Self, InvalidRegion> {
        let (exterior, holes) = polygon.into_inner();
        holes.into_iter().try_fold(Self::polygon(exterior)?, Self::with_hole)
    }
}

/// A ring of valid points; [`geo`] closes it.
fn ring<P: Into<Coord<f64>>>(
    points: impl IntoIterator<Item = P>,
) -> Result<LineString<f64>, InvalidRegion> {
    let points: Vec<Coord<f64>> = points.into_iter().map(Into::into).collect();
    if points.is_empty() {
        return Err(InvalidRegion::Empty);
    }
    check(&points, LIMIT)?;
    Ok(LineString::new(points))
}

/// Checks that all coordinates are numbers up to a limit.
fn check(points: &[Coord<f64>], limit: f64) -> Result<(), InvalidRegion> {
    let valid = |point: &Coord<f64>| point.x.abs() <= limit && point.y.abs() <= limit;
    let bad: Vec<usize> = (0..points.len()).filter(|&at| !valid(&points[at])).collect();
    if bad.is_empty() { Ok(()) } else { Err(InvalidRegion::OutOfRange { points: bad }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_that_is_no_number_is_named() {
        let points = [(0.0, f64::NAN), (1.0, 1.0), (f64::INFINITY, 2.0)];
        let expected = InvalidRegion::OutOfRange { points: vec![0, 2] };
        assert_eq!(Region::polygon(points), Err(expected.clone()));
        let square = Region::polygon([(0.0, 0.0)]).unwrap();
        assert_eq!(square.with_hole(points), Err(expected));
        assert_eq!(Region::polygon(Vec::<(f64, f64)>::new()), Err(InvalidRegion::Empty));
    }

    #[test]
    fn a_region_is_written_as_points_and_read_back_equal() {
        let region = Region::polygon([(0.5, 1.0), (9.0, 1.0), (9.0, 8.0)])
            .unwrap()
            .with_hole([(7.0, 2.0), (8.0, 2.0), (8.0, 3.0)])
            .unwrap()
            .through_z(4..=11);
        let text = serde_json::to_string(&region).unwrap();
        assert_eq!(
            text,
            r#"{"polygon":[[0.5,1.0],[9.0,1.0],[9.0,8.0]],"holes":[[[7.0,2.0],[8.0,2.0],[8.0,3.0]]],"z":[4,11]}"#
        );
        assert_eq!(serde_json::from_str::<Region>(&text).unwrap(), region);
    }

    #[test]
    fn a_written_region_without_points_is_refused() {
        let error = serde_json::from_str::<Region>(r#"{"polygon":[]}"#).unwrap_err();
        assert!(error.to_string().contains("at least one point"), "{error}");
    }

    #[test]
    fn every_kind_of_region_is_read_back_equal() {
        let ellipse = Ellipse::new((5.0, 4.0), [3.0, 2.0], 0.5).unwrap();
        let path = Region::path([(1.0, 1.0), (9.0, 1.0)], 3.0).unwrap();
        let region = Region::ellipse(ellipse).through_z(1..=2).difference(path.clone());
        for region in [path, region, Region::whole_slices(3..=5), Region::any_of([])] {
            let text = serde_json::to_string(&region).unwrap();
            assert_eq!(serde_json::from_str::<Region>(&text).unwrap(), region, "{text}");
        }
        assert_eq!(serde_json::to_string(&Region::whole_slices(3..=5)).unwrap(), r#"{"z":[3,5]}"#);
    }

    #[test]
    fn a_written_region_that_is_not_one_thing_is_refused() {
        for text in [
            "{}",
            r#"{"polygon":[[0,0]],"ellipse":{"centre":[0,0],"axes":[[1,0],[0,1]]}}"#,
            r#"{"path":[[0,0]]}"#,
            r#"{"path":[[0,0]],"width":-1}"#,
            r#"{"ellipse":{"centre":[0,0],"axes":[[1,1],[2,2]]}}"#,
            r#"{"runs":[[0,3,2]]}"#,
            r#"{"runs":[[0,3,18446744073709551615]]}"#,
            r#"{"z":[1,2],"colour":3}"#,
        ] {
            assert!(serde_json::from_str::<Region>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_region_of_one_point_is_read_back_equal() {
        let dot = Region::polygon([(2.0, 3.0)]).unwrap();
        let text = serde_json::to_string(&dot).unwrap();
        assert_eq!(text, r#"{"polygon":[[2.0,3.0]]}"#);
        assert_eq!(serde_json::from_str::<Region>(&text).unwrap(), dot);
    }
}
