//! Regions of an image that a person drew.

use std::ops::RangeInclusive;

use geo::{Coord, LineString, Polygon};
use serde::{Deserialize, Serialize};

/// The largest coordinate. No image is near as large, and the product of two coordinates is finite.
const LIMIT: f64 = 1e100;

/// An area of an image, drawn as a polygon and carried through its slices.
///
/// # Coordinates
/// Points are (x, y) in pixels, and the centres of pixels lie at whole numbers: the point (3, 5) is
/// the centre of the pixel in column 3 and row 5. Points may lie anywhere, also off the image.
/// The last point is joined to the first.
///
/// # Which pixels are inside
/// Those whose centre is inside the polygon or exactly on its boundary. Where the boundary crosses
/// itself, a centre is inside if a line from it to far away meets the boundary an odd number of
/// times (even-odd rule). To the pixel, this is what scikit-image's `polygon2mask` makes.
///
/// A hole is a polygon of its own that follows the same rule, and what is inside it is not in the
/// region: a pixel on the boundary of a hole is in the hole.
///
/// # Slices
/// A region covers all slices of a volume unless it is [limited](Self::through_z) to some. A plane
/// has no slices, so there the limits play no part.
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
    polygon: Polygon<f64>,
    slices: Option<RangeInclusive<usize>>,
}

/// Points that bound no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRegion {
    /// There are no points.
    #[error("a polygon needs at least one point, found none")]
    Empty,
    /// Coordinates are not a number, or too large to reckon with.
    #[error(
        "the coordinates of a polygon are numbers from -1e100 to 1e100, those of points {points:?} \
         are not"
    )]
    OutOfRange {
        /// Which points, counted from 0.
        points: Vec<usize>,
    },
}

impl Region {
    /// The region inside a polygon, given by its points as (x, y) in pixels.
    ///
    /// # Errors
    /// If there is no point, or a coordinate is not a number from -10¹⁰⁰ to 10¹⁰⁰.
    pub fn polygon<P: Into<Coord<f64>>>(
        points: impl IntoIterator<Item = P>,
    ) -> Result<Self, InvalidRegion> {
        let polygon = Polygon::new(ring(points)?, Vec::new());
        Ok(Self { polygon, slices: None })
    }

    /// The same region without what is inside another polygon, given as (x, y) in pixels.
    ///
    /// # Errors
    /// If there is no point, or a coordinate is not a number from -10¹⁰⁰ to 10¹⁰⁰.
    pub fn with_hole<P: Into<Coord<f64>>>(
        mut self,
        points: impl IntoIterator<Item = P>,
    ) -> Result<Self, InvalidRegion> {
        self.polygon.interiors_push(ring(points)?);
        Ok(self)
    }

    /// The same region in these slices only, first and last included. A range that ends before it
    /// starts has no slices, and slices beyond the volume are no fault.
    #[must_use]
    pub fn through_z(mut self, slices: RangeInclusive<usize>) -> Self {
        self.slices = Some(slices);
        self
    }

    /// The polygon and its holes, in (x, y), for measuring or transforming with [`geo`].
    #[must_use]
    pub fn geometry(&self) -> &Polygon<f64> {
        &self.polygon
    }

    /// The slices that the region is limited to, or `None` if it covers all.
    #[must_use]
    pub fn slices(&self) -> Option<RangeInclusive<usize>> {
        self.slices.clone()
    }

    /// Whether the region covers a slice.
    #[must_use]
    pub fn covers_slice(&self, z: usize) -> bool {
        self.slices.as_ref().is_none_or(|slices| slices.contains(&z))
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
    let valid = |point: &Coord<f64>| point.x.abs() <= LIMIT && point.y.abs() <= LIMIT;
    let bad: Vec<usize> = (0..points.len()).filter(|&at| !valid(&points[at])).collect();
    if !bad.is_empty() {
        return Err(InvalidRegion::OutOfRange { points: bad });
    }
    Ok(LineString::new(points))
}

/// How a region is written by serde: points as `[x, y]`, slices as `[first, last]`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawing {
    polygon: Vec<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holes: Vec<Vec<[f64; 2]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    z: Option<[usize; 2]>,
}

impl TryFrom<Drawing> for Region {
    type Error = InvalidRegion;

    fn try_from(drawing: Drawing) -> Result<Self, InvalidRegion> {
        let whole = Self::polygon(drawing.polygon)?;
        let mut region = drawing.holes.into_iter().try_fold(whole, Self::with_hole)?;
        region.slices = drawing.z.map(|[first, last]| first..=last);
        Ok(region)
    }
}

impl From<Region> for Drawing {
    fn from(region: Region) -> Self {
        let (exterior, holes) = region.polygon.into_inner();
        Self {
            polygon: open(&exterior),
            holes: holes.iter().map(open).collect(),
            z: region.slices.map(|slices| [*slices.start(), *slices.end()]),
        }
    }
}

/// The points of a ring without the last, which repeats the first.
fn open(ring: &LineString<f64>) -> Vec<[f64; 2]> {
    let points = if ring.0.len() > 1 { &ring.0[..ring.0.len() - 1] } else { &ring.0[..] };
    points.iter().map(|point| [point.x, point.y]).collect()
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
    fn a_region_of_one_point_is_read_back_equal() {
        let dot = Region::polygon([(2.0, 3.0)]).unwrap();
        let text = serde_json::to_string(&dot).unwrap();
        assert_eq!(text, r#"{"polygon":[[2.0,3.0]]}"#);
        assert_eq!(serde_json::from_str::<Region>(&text).unwrap(), dot);
    }
}
