//! From a region to the bytes of a selection.

use geo::{Coord, LineString};
use segmenter_core::{Ellipse, Region};

use super::{
    HALF,
    header::{CONTENT, SUB_PIXEL},
};
use crate::{geojson::polygons, regions::NamedRegion};

/// The version that ImageJ 1.54 writes.
const VERSION: i16 = 229;

/// What ImageJ's 16-bit coordinates reach.
const REACH: std::ops::RangeInclusive<f64> = -5000.0..=60535.0;

/// Corners of the polygon that is shown for an ellipse at an angle; ImageJ has 72.
const RIM: u16 = 72;

/// A selection under way.
struct Selection {
    kind: u8,
    subtype: i16,
    points: u16,
    /// At byte 18: a frame, or the ends of an axis.
    frame: [f64; 4],
    /// At byte 36: numbers of a composite's path.
    path: i32,
    /// At byte 52, of an ellipse.
    ratio: Option<f64>,
    stroke: f64,
    content: Vec<u8>,
    /// The corners of all that is selected.
    extremes: Vec<Coord<f64>>,
}

pub(super) fn encode(named: &NamedRegion) -> Result<Vec<u8>, String> {
    let region = &named.region;
    let slice = match region.slices() {
        None => 0,
        Some(z) if z.start() == z.end() => {
            i32::try_from(z.start() + 1).map_err(|_| "the slice is out of reach".to_owned())?
        }
        Some(_) => {
            return Err("ImageJ has selections in one slice or in all; write one for each".into());
        }
    };
    let group = match named.class.as_deref().map(str::parse::<u8>) {
        None => 0,
        Some(Ok(group)) if group > 0 => group,
        Some(_) => return Err("ImageJ has groups from 1 to 255 in place of classes".into()),
    };
    let selection = selection(region)?;
    let mut bytes = selection.header()?;
    bytes[56..60].copy_from_slice(&slice.to_be_bytes());
    bytes.extend(&selection.content);
    let second = i32::try_from(bytes.len()).map_err(|_| "there are too many points".to_owned())?;
    bytes[60..64].copy_from_slice(&second.to_be_bytes());
    bytes.extend(second_header(second, slice, named.name.as_deref(), group, selection.stroke));
    Ok(bytes)
}

/// Position, name, group and width.
fn second_header(at: i32, slice: i32, name: Option<&str>, group: u8, stroke: f64) -> Vec<u8> {
    let name: Vec<u16> = name.unwrap_or_default().encode_utf16().collect();
    let mut second = [0; 64];
    second[8..12].copy_from_slice(&slice.to_be_bytes());
    if !name.is_empty() {
        second[16..20].copy_from_slice(&at.saturating_add(64).to_be_bytes());
        let length = i32::try_from(name.len()).unwrap_or(i32::MAX);
        second[20..24].copy_from_slice(&length.to_be_bytes());
    }
    second[30] = group;
    second[36..40].copy_from_slice(&single(stroke).to_be_bytes());
    let name = name.into_iter().flat_map(u16::to_be_bytes);
    second.into_iter().chain(name).collect()
}

fn selection(region: &Region) -> Result<Selection, String> {
    if let Some(ellipse) = region.as_ellipse() {
        return ellipse_or_oval(ellipse);
    }
    if let Some((points, width)) = region.as_path() {
        return Ok(Selection { stroke: width, ..outline(5, points.to_vec())? });
    }
    let polygons = polygons(region).ok_or(
        "ImageJ has outlines and their unions only; trace the outline of its pixels instead",
    )?;
    match polygons.as_slice() {
        [polygon] if polygon.interiors().is_empty() => {
            let mut points = corners(polygon.exterior());
            if points.len() > 1 {
                points.pop();
            }
            frame(&points).map_or_else(|| outline(0, points.clone()), Ok)
        }
        all => {
            let rings = all.iter().flat_map(|polygon| {
                [polygon.exterior()].into_iter().chain(polygon.interiors()).map(corners)
            });
            composite(&rings.collect::<Vec<_>>())
        }
    }
}

/// From the centres of pixels to their corners.
fn corners(ring: &LineString<f64>) -> Vec<Coord<f64>> {
    ring.coords().map(|&point| point + Coord { x: HALF, y: HALF }).collect()
}

impl Selection {
    fn new(kind: u8, extremes: Vec<Coord<f64>>) -> Self {
        let (frame, content) = ([0.0; 4], Vec::new());
        let (subtype, points, path, ratio, stroke) = (0, 0, 0, None, 0.0);
        Self { kind, subtype, points, frame, path, ratio, stroke, content, extremes }
    }

    fn header(&self) -> Result<Vec<u8>, String> {
        let mut header = vec![0; CONTENT];
        header[..4].copy_from_slice(b"Iout");
        header[4..6].copy_from_slice(&VERSION.to_be_bytes());
        header[6] = self.kind;
        for (at, bound) in bounds(&self.extremes)?.into_iter().enumerate() {
            header[8 + 2 * at..10 + 2 * at].copy_from_slice(&wrapped(bound));
        }
        header[16..18].copy_from_slice(&self.points.to_be_bytes());
        for (at, number) in self.frame.into_iter().enumerate() {
            header[18 + 4 * at..22 + 4 * at].copy_from_slice(&single(number).to_be_bytes());
        }
        let stroke = self.stroke.round().clamp(0.0, 32767.0);
        header[34..36].copy_from_slice(&wrapped(stroke));
        header[36..40].copy_from_slice(&self.path.to_be_bytes());
        header[48..50].copy_from_slice(&self.subtype.to_be_bytes());
        header[50..52].copy_from_slice(&SUB_PIXEL.to_be_bytes());
        if let Some(ratio) = self.ratio {
            header[52..56].copy_from_slice(&single(ratio).to_be_bytes());
        }
        Ok(header)
    }
}

/// A rectangle, if the points are the corners of one with level sides.
fn frame(points: &[Coord<f64>]) -> Option<Selection> {
    let &[a, b, c, d] = points else { return None };
    let level = a.y == b.y && b.x == c.x && c.y == d.y && d.x == a.x;
    let size = c - a;
    (level && size.x > 0.0 && size.y > 0.0)
        .then(|| Selection { frame: [a.x, a.y, size.x, size.y], ..Selection::new(1, vec![a, c]) })
}

fn ellipse_or_oval(ellipse: &Ellipse) -> Result<Selection, String> {
    let centre = ellipse.centre() + Coord { x: HALF, y: HALF };
    let [a, b] = ellipse.axes();
    if a.y == 0.0 && b.x == 0.0 {
        let (width, height) = (a.x.abs(), b.y.abs());
        let corner = centre - Coord { x: width, y: height };
        return Ok(Selection {
            frame: [corner.x, corner.y, 2.0 * width, 2.0 * height],
            ..Selection::new(2, vec![corner, corner + Coord { x: width, y: height } * 2.0])
        });
    }
    let (long, short) = (a.x.hypot(a.y), b.x.hypot(b.y));
    if (a.x * b.x + a.y * b.y).abs() > 1e-6 * long * short {
        return Err("the axes of the ellipse are not at right angles, as ImageJ has them".into());
    }
    let (axis, ratio) = if long >= short { (a, short / long) } else { (b, long / short) };
    let (from, to) = (centre - axis, centre + axis);
    let rim = |at: u16| {
        let (sin, cos) = (f64::from(at) * std::f64::consts::TAU / f64::from(RIM)).sin_cos();
        centre + a * cos + b * sin
    };
    let shown = outline(7, (0..RIM).map(rim).collect())?;
    let frame = [from.x, from.y, to.x, to.y];
    Ok(Selection { subtype: 3, frame, ratio: Some(ratio), ..shown })
}

/// Points, whole and in single precision.
fn outline(kind: u8, points: Vec<Coord<f64>>) -> Result<Selection, String> {
    let count = u16::try_from(points.len())
        .map_err(|_| format!("there are {} points, more than 65535", points.len()))?;
    let [top, left, ..] = bounds(&points)?;
    let axes: [fn(&Coord<f64>) -> f64; 2] = [|point| point.x, |point| point.y];
    let mut content = Vec::with_capacity(12 * points.len());
    for (axis, start) in axes.iter().zip([left, top]) {
        content.extend(points.iter().flat_map(|point| wrapped(axis(point).floor() - start)));
    }
    for axis in axes {
        content.extend(points.iter().flat_map(|point| single(axis(point)).to_be_bytes()));
    }
    Ok(Selection { points: count, content, ..Selection::new(kind, points) })
}

/// A path of moves (0), lines (1) and ends of rings (4).
fn composite(rings: &[Vec<Coord<f64>>]) -> Result<Selection, String> {
    let mut path = Vec::new();
    for ring in rings {
        for (at, point) in ring.iter().take(ring.len().saturating_sub(1).max(1)).enumerate() {
            let step = if at == 0 { 0.0 } else { 1.0 };
            path.extend([step, point.x, point.y]);
        }
        path.push(4.0);
    }
    let numbers = i32::try_from(path.len()).map_err(|_| "there are too many points".to_owned())?;
    let content = path.into_iter().flat_map(|number| single(number).to_be_bytes()).collect();
    Ok(Selection { path: numbers, content, ..Selection::new(1, rings.concat()) })
}

/// Top, left, bottom and right in whole pixels.
fn bounds(points: &[Coord<f64>]) -> Result<[f64; 4], String> {
    let ends = |axis: fn(&Coord<f64>) -> f64| {
        let low = points.iter().map(axis).fold(f64::INFINITY, f64::min).floor();
        (low, points.iter().map(axis).fold(f64::NEG_INFINITY, f64::max).ceil())
    };
    let ((left, right), (top, bottom)) = (ends(|point| point.x), ends(|point| point.y));
    let bounds = [top, left, bottom, right];
    if bounds.iter().all(|bound| REACH.contains(bound)) {
        return Ok(bounds);
    }
    Err("it goes beyond -5000 to 60535 pixels, which is as far as ImageJ's coordinates reach"
        .into())
}

/// The low 16 bits of a whole number.
#[allow(clippy::cast_possible_truncation, reason = "bounds were checked to fit")]
fn wrapped(number: f64) -> [u8; 2] {
    let [.., high, low] = (number as i32).to_be_bytes();
    [high, low]
}

#[allow(clippy::cast_possible_truncation, reason = "the format has single precision")]
fn single(number: f64) -> f32 {
    number as f32
}
