//! Regions as a table of shapes.

use std::{
    io::{self, Write},
    path::Path,
};

use geo::Coord;
use segmenter_core::{
    Region,
    io::{Existing, SaveError, write_whole},
};

/// Writes regions as napari writes the shapes of a layer; napari and
/// [`read_shapes`](super::read_shapes) read them. Coordinates are written in single precision, as
/// napari keeps them.
///
/// A region that is limited to several slices becomes a shape in each of them.
///
/// # Errors
/// If napari has nothing for a region: a polygon with holes, a path that is not one pixel wide, a
/// painted mask, whole slices, or something that was put together; if some regions are limited to
/// slices and others are not, as a table has a z-axis or none; if the file exists and may not be
/// replaced, or can't be written.
pub fn write_shapes(
    path: impl AsRef<Path>,
    regions: &[Region],
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let unsupported = |reason: String| SaveError::Unsupported { path: path.to_owned(), reason };
    let limited = regions.iter().filter(|region| region.slices().is_some()).count();
    if limited != 0 && limited != regions.len() {
        return Err(unsupported(format!(
            "{limited} of {} regions are in some slices only; napari has all in slices, or none",
            regions.len()
        )));
    }
    let shape = |(index, region)| {
        shape(region).ok_or_else(|| {
            unsupported(format!(
                "region {index}: napari has polygons without holes, ellipses and lines one pixel \
                 wide; trace the outline of its pixels instead"
            ))
        })
    };
    let shapes = regions.iter().enumerate().map(shape).collect::<Result<Vec<_>, _>>()?;
    write_whole(path, existing, |file| {
        let axes = if limited == 0 { "axis-0,axis-1" } else { "axis-0,axis-1,axis-2" };
        writeln!(file, "index,shape-type,vertex-index,{axes}")?;
        let mut index = 0;
        for (region, (kind, points)) in regions.iter().zip(&shapes) {
            let slices = region.slices();
            let all = slices.is_none().then_some(None);
            for z in all.into_iter().chain(slices.into_iter().flatten().map(Some)) {
                rows(file, index, kind, z, points)?;
                index += 1;
            }
        }
        Ok(())
    })
}

fn rows(
    file: &mut impl Write,
    index: usize,
    kind: &str,
    z: Option<usize>,
    points: &[Coord<f64>],
) -> io::Result<()> {
    for (vertex, point) in points.iter().enumerate() {
        let z = z.map(|z| format!("{z}.0,")).unwrap_or_default();
        let [y, x] = [point.y, point.x].map(single);
        writeln!(file, "{index},{kind},{vertex},{z}{y:?},{x:?}")?;
    }
    Ok(())
}

/// The type of a shape, and its vertices.
fn shape(region: &Region) -> Option<(&'static str, Vec<Coord<f64>>)> {
    if let Some(ellipse) = region.as_ellipse() {
        return Some(("ellipse", ellipse.corners().into()));
    }
    if let Some((points, width)) = region.as_path() {
        let kind = if points.len() == 2 { "line" } else { "path" };
        return (width == 1.0).then(|| (kind, points.to_vec()));
    }
    let polygon = region.as_polygon().filter(|polygon| polygon.interiors().is_empty())?;
    let mut points = polygon.exterior().0.clone();
    if points.len() > 1 {
        points.pop();
    }
    Some(("polygon", points))
}

#[allow(clippy::cast_possible_truncation, reason = "napari has single precision")]
fn single(number: f64) -> f32 {
    number as f32
}
