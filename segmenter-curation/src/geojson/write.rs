//! Regions as GeoJSON.

use std::{io::Write, path::Path};

use geo::{LineString, Polygon};
use segmenter_core::{
    Region,
    io::{Existing, SaveError, write_whole},
};
use serde_json::{Map, Value, json};

use super::HALF;
use crate::regions::NamedRegion;

/// Writes regions as annotations of QuPath, in a `FeatureCollection`. [`read`](super::read) reads them
/// back equal, as far as adding half a pixel loses no digits.
///
/// # Errors
/// If a region is no polygon, no union of polygons, or in some of several slices, as GeoJSON has
/// nothing for it; if the file exists and may not be replaced, or can't be written.
pub fn write(
    path: impl AsRef<Path>,
    regions: &[NamedRegion],
    existing: Existing,
) -> Result<(), SaveError> {
    let path = path.as_ref();
    let feature = |(index, named): (usize, &NamedRegion)| {
        feature(named).map_err(|reason| SaveError::Unsupported {
            path: path.to_owned(),
            reason: format!("region {index}: {reason}"),
        })
    };
    let features = regions.iter().enumerate().map(feature).collect::<Result<Vec<_>, _>>()?;
    let collection = json!({"type": "FeatureCollection", "features": features});
    write_whole(path, existing, |file| writeln!(file, "{collection:#}"))
}

fn feature(named: &NamedRegion) -> Result<Value, String> {
    let region = &named.region;
    let polygons = polygons(region).ok_or(
        "GeoJSON has polygons and their unions only; trace the outline of its pixels instead",
    )?;
    let mut geometry = match polygons.as_slice() {
        [polygon] => json!({"type": "Polygon", "coordinates": coordinates(polygon)}),
        all => {
            let all: Vec<Value> = all.iter().map(|polygon| coordinates(polygon)).collect();
            json!({"type": "MultiPolygon", "coordinates": all})
        }
    };
    if let Some(slices) = region.slices() {
        if slices.start() != slices.end() {
            return Err("QuPath has objects in one slice or in all; write one for each".to_owned());
        }
        geometry["plane"] = json!({"c": -1, "z": slices.start(), "t": 0});
    }
    let mut properties = Map::new();
    properties.insert("objectType".to_owned(), "annotation".into());
    if let Some(name) = &named.name {
        properties.insert("name".to_owned(), name.as_str().into());
    }
    if let Some(class) = &named.class {
        properties.insert("classification".to_owned(), json!({"name": class}));
    }
    Ok(json!({"type": "Feature", "geometry": geometry, "properties": properties}))
}

/// The polygons that a region is the union of; `None` if it is something else.
pub(crate) fn polygons(region: &Region) -> Option<Vec<&Polygon<f64>>> {
    if let Some(polygon) = region.as_polygon() {
        return Some(vec![polygon]);
    }
    let each = |part: &'_ Region| part.slices().is_none();
    let parts = region.as_union()?;
    if !parts.iter().all(|part| each(part)) {
        return None;
    }
    Some(parts.into_iter().map(polygons).collect::<Option<Vec<_>>>()?.concat())
}

fn coordinates(polygon: &Polygon<f64>) -> Value {
    let position = |point: &geo::Coord<f64>| json!([point.x + HALF, point.y + HALF]);
    let ring = |ring: &LineString<f64>| ring.coords().map(position).collect::<Value>();
    [polygon.exterior()].into_iter().chain(polygon.interiors()).map(ring).collect()
}
