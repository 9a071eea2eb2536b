//! How a region is written by serde.

use std::sync::Arc;

use geo::{Coord, LineString};
use serde::{Deserialize, Serialize};

use super::{Ellipse, InvalidRegion, Part, Region, Shape};
use crate::rasterise::Runs;

/// Points as `[x, y]`, slices as `[first, last]`, runs as `[row, first, last]`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drawing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polygon: Option<Vec<[f64; 2]>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holes: Vec<Vec<[f64; 2]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ellipse: Option<Ellipse>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Vec<[f64; 2]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<[usize; 3]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<PartDrawing>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    z: Option<[usize; 2]>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PartDrawing {
    Add(Region),
    Subtract(Region),
    Toggle(Region),
}

impl Drawing {
    /// The names of the fields that are there, `z` aside.
    fn fields(&self) -> Vec<&'static str> {
        let there = [
            ("polygon", self.polygon.is_some()),
            ("holes", !self.holes.is_empty()),
            ("ellipse", self.ellipse.is_some()),
            ("path", self.path.is_some()),
            ("width", self.width.is_some()),
            ("runs", self.runs.is_some()),
            ("parts", self.parts.is_some()),
        ];
        there.into_iter().filter(|&(_, there)| there).map(|(name, _)| name).collect()
    }

    fn region(self) -> Result<Region, InvalidRegion> {
        let found = self.fields();
        match (found.as_slice(), self) {
            (["polygon"] | ["polygon", "holes"], Self { polygon: Some(points), holes, .. }) => {
                holes.into_iter().try_fold(Region::polygon(points)?, Region::with_hole)
            }
            (["ellipse"], Self { ellipse: Some(ellipse), .. }) => Ok(Region::ellipse(ellipse)),
            (["path", "width"], Self { path: Some(points), width: Some(width), .. }) => {
                Region::path(points, width)
            }
            (["runs"], Self { runs: Some(runs), .. }) => Runs::from_inclusive(&runs)
                .map(Region::of_runs)
                .map_err(|run| InvalidRegion::Run { run }),
            (["parts"], Self { parts: Some(parts), .. }) => {
                Ok(Shape::Parts(parts.into_iter().map(Into::into).collect()).into())
            }
            ([], Self { z: Some(_), .. }) => Ok(Shape::Whole.into()),
            _ => Err(InvalidRegion::Kind { found }),
        }
    }
}

impl TryFrom<Drawing> for Region {
    type Error = InvalidRegion;

    fn try_from(drawing: Drawing) -> Result<Self, InvalidRegion> {
        let slices = drawing.z.map(|[first, last]| first..=last);
        Ok(Self { slices, ..drawing.region()? })
    }
}

impl From<Region> for Drawing {
    fn from(region: Region) -> Self {
        let z = region.slices.map(|slices| [*slices.start(), *slices.end()]);
        let none = Self { z, ..Self::default() };
        match region.shape {
            Shape::Polygon(polygon) => {
                let (exterior, holes) = polygon.into_inner();
                let holes = holes.iter().map(open).collect();
                Self { polygon: Some(open(&exterior)), holes, ..none }
            }
            Shape::Ellipse(ellipse) => Self { ellipse: Some(ellipse), ..none },
            Shape::Path(path) => {
                let points = path.points.into_iter().map(pair).collect();
                Self { path: Some(points), width: Some(path.width), ..none }
            }
            Shape::Whole => none,
            Shape::Painted(runs) => {
                Self { runs: Some(Arc::unwrap_or_clone(runs).to_inclusive()), ..none }
            }
            Shape::Parts(parts) => {
                Self { parts: Some(parts.into_iter().map(Into::into).collect()), ..none }
            }
        }
    }
}

impl From<PartDrawing> for Part {
    fn from(part: PartDrawing) -> Self {
        match part {
            PartDrawing::Add(region) => Self::Add(region),
            PartDrawing::Subtract(region) => Self::Subtract(region),
            PartDrawing::Toggle(region) => Self::Toggle(region),
        }
    }
}

impl From<Part> for PartDrawing {
    fn from(part: Part) -> Self {
        match part {
            Part::Add(region) => Self::Add(region),
            Part::Subtract(region) => Self::Subtract(region),
            Part::Toggle(region) => Self::Toggle(region),
        }
    }
}

fn pair(point: Coord<f64>) -> [f64; 2] {
    [point.x, point.y]
}

/// The points of a ring without the last, which repeats the first.
fn open(ring: &LineString<f64>) -> Vec<[f64; 2]> {
    let points = if ring.0.len() > 1 { &ring.0[..ring.0.len() - 1] } else { &ring.0[..] };
    points.iter().copied().map(pair).collect()
}
