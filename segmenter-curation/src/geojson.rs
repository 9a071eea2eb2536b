//! Objects of QuPath, as GeoJSON (RFC 7946).
//!
//! A file is a `FeatureCollection`, an array of features, one `Feature`, or a bare geometry:
//!
//! ```json
//! {"type": "FeatureCollection", "features": [{
//!     "type": "Feature",
//!     "geometry": {"type": "Polygon", "coordinates": [[[1, 1], [9, 1], [9, 8], [1, 1]]],
//!                  "plane": {"c": -1, "z": 3, "t": 0}},
//!     "properties": {"objectType": "annotation", "name": "debris",
//!                    "classification": {"name": "Ignore*", "color": [180, 180, 180]}}
//! }]}
//! ```
//!
//! Coordinates are in pixels, and (0, 0) is the outer corner of the first pixel: its centre is
//! (0.5, 0.5). A region's points are half a pixel less. `plane` is QuPath's own; without it a region is
//! in all slices.

mod write;

use std::path::Path;

use segmenter_core::Region;
use serde_json::{Map, Value};

pub(crate) use self::write::polygons;
pub use self::write::write;
use crate::regions::{Ignored, NamedRegion, Regions, RegionsError, bytes};

/// From the corner of a pixel to its centre.
const HALF: f64 = 0.5;

/// What QuPath says about how an object looks and whether it can be moved.
const APPEARANCE: [&str; 4] = ["objectType", "isLocked", "color", "colorRGB"];

/// Reads the objects of a file as regions.
///
/// Polygons and multipolygons are what they enclose. A line is one pixel wide, and a point is the
/// pixel that it lies in. Measurements, and whatever else is beside name, class and appearance, is
/// listed and not kept.
///
/// # Errors
/// If the file can't be read or is larger than [`LIMIT`](crate::regions::LIMIT), or with the first
/// place that is not as GeoJSON has it.
pub fn read(path: impl AsRef<Path>) -> Result<Regions, RegionsError> {
    let path = path.as_ref();
    let bytes = bytes(path)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let root: Value = serde_json::from_slice(text).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        RegionsError::malformed(path, at, error)
    })?;
    let mut reader = Reader { path, regions: Regions::default() };
    reader.file(&root)?;
    Ok(reader.regions)
}

struct Reader<'a> {
    path: &'a Path,
    regions: Regions,
}

impl Reader<'_> {
    fn file(&mut self, root: &Value) -> Result<(), RegionsError> {
        if root.is_array() {
            return self.features(root, "");
        }
        let object = self.object(root, "the file")?;
        match self.kind(object, "the file")? {
            "FeatureCollection" => {
                self.ignore(object, "", &["type", "features"]);
                self.features(object.get("features").unwrap_or(&Value::Null), "features")
            }
            "Feature" => self.feature(root, "the feature"),
            _ => {
                let region = self.geometry(root, "geometry")?;
                self.regions.regions.push(region.into());
                Ok(())
            }
        }
    }

    fn features(&mut self, features: &Value, at: &str) -> Result<(), RegionsError> {
        let all = self.array(features, if at.is_empty() { "the file" } else { at })?;
        let mut features = all.iter().enumerate();
        features.try_for_each(|(index, feature)| self.feature(feature, &format!("{at}[{index}]")))
    }

    fn feature(&mut self, feature: &Value, at: &str) -> Result<(), RegionsError> {
        let feature = self.object(feature, at)?;
        let kind = self.kind(feature, at)?;
        if kind != "Feature" {
            return Err(self.malformed(at, format!("`type` is `{kind}`, not `Feature`")));
        }
        self.ignore(feature, at, &["type", "id", "geometry", "properties"]);
        let geometry = feature.get("geometry").unwrap_or(&Value::Null);
        let mut named = NamedRegion::from(self.geometry(geometry, &format!("{at}.geometry"))?);
        match feature.get("properties") {
            None | Some(Value::Null) => {}
            Some(properties) => self.properties(properties, at, &mut named)?,
        }
        self.regions.regions.push(named);
        Ok(())
    }

    fn properties(
        &mut self,
        properties: &Value,
        at: &str,
        named: &mut NamedRegion,
    ) -> Result<(), RegionsError> {
        let at = format!("{at}.properties");
        let properties = self.object(properties, &at)?;
        named.name = self.text(properties, "name", &at)?;
        match properties.get("classification") {
            None | Some(Value::Null) => {}
            Some(class) => {
                let at = format!("{at}.classification");
                let class = self.object(class, &at)?;
                named.class = self.class(class, &at)?;
            }
        }
        let known = [&["name", "classification"][..], &APPEARANCE].concat();
        self.ignore(properties, &at, &known);
        Ok(())
    }

    /// QuPath up to 0.3 has one name, later ones may have several, from general to special.
    fn class(
        &mut self,
        class: &Map<String, Value>,
        at: &str,
    ) -> Result<Option<String>, RegionsError> {
        self.ignore(class, at, &["name", "names", "color", "colorRGB"]);
        let Some(names) = class.get("names") else { return self.text(class, "name", at) };
        let at = format!("{at}.names");
        let name = |name: &Value| name.as_str().map(str::to_owned);
        let names: Option<Vec<String>> = self.array(names, &at)?.iter().map(name).collect();
        let names = names.ok_or_else(|| self.malformed(&at, "a name is not a text"))?;
        Ok(Some(names.join(": ")))
    }

    fn geometry(&mut self, geometry: &Value, at: &str) -> Result<Region, RegionsError> {
        let object = self.object(geometry, at)?;
        let kind = self.kind(object, at)?;
        let known = ["type", "coordinates", "geometries", "plane", "bbox", "isEllipse"];
        self.ignore(object, at, &known);
        let region = if kind == "GeometryCollection" {
            let at = format!("{at}.geometries");
            let all = self.array(object.get("geometries").unwrap_or(&Value::Null), &at)?;
            let each = |(index, geometry)| self.geometry(geometry, &format!("{at}[{index}]"));
            Region::any_of(all.iter().enumerate().map(each).collect::<Result<Vec<_>, _>>()?)
        } else {
            let coordinates = object.get("coordinates").unwrap_or(&Value::Null);
            self.shape(kind, coordinates, at)?
        };
        match object.get("plane") {
            None | Some(Value::Null) => Ok(region),
            Some(plane) => self.in_plane(region, plane, &format!("{at}.plane")),
        }
    }

    fn shape(&self, kind: &str, coordinates: &Value, at: &str) -> Result<Region, RegionsError> {
        let inner = format!("{at}.coordinates");
        match kind {
            "Polygon" => self.polygon(coordinates, &inner),
            "LineString" => self.line(coordinates, &inner),
            "Point" => self.point(coordinates, &inner),
            "MultiPolygon" => self.several(coordinates, &inner, Self::polygon),
            "MultiLineString" => self.several(coordinates, &inner, Self::line),
            "MultiPoint" => self.several(coordinates, &inner, Self::point),
            other => Err(self.malformed(at, format!("`{other}` is no geometry of GeoJSON"))),
        }
    }

    fn several(
        &self,
        coordinates: &Value,
        at: &str,
        each: impl Fn(&Self, &Value, &str) -> Result<Region, RegionsError>,
    ) -> Result<Region, RegionsError> {
        let each = |(index, one)| each(self, one, &format!("{at}[{index}]"));
        let all = self.array(coordinates, at)?.iter().enumerate().map(each);
        Ok(Region::any_of(all.collect::<Result<Vec<_>, _>>()?))
    }

    fn polygon(&self, rings: &Value, at: &str) -> Result<Region, RegionsError> {
        let rings = self.array(rings, at)?;
        let mut region: Option<Region> = None;
        for (index, ring) in rings.iter().enumerate() {
            let at = format!("{at}[{index}]");
            let points = self.points(ring, &at)?;
            let next = match region {
                None => Region::polygon(points),
                Some(region) => region.with_hole(points),
            };
            region = Some(next.map_err(|source| self.invalid(&at, source))?);
        }
        region.ok_or_else(|| self.malformed(at, "a polygon has at least one ring"))
    }

    fn line(&self, points: &Value, at: &str) -> Result<Region, RegionsError> {
        let points = self.points(points, at)?;
        Region::path(points, 1.0).map_err(|source| self.invalid(at, source))
    }

    fn point(&self, point: &Value, at: &str) -> Result<Region, RegionsError> {
        let [x, y] = self.position(point, at)?;
        let pixel = [(x + HALF).floor(), (y + HALF).floor()];
        Region::polygon([pixel]).map_err(|source| self.invalid(at, source))
    }

    fn points(&self, points: &Value, at: &str) -> Result<Vec<[f64; 2]>, RegionsError> {
        let points = self.array(points, at)?.iter().enumerate();
        points.map(|(index, point)| self.position(point, &format!("{at}[{index}]"))).collect()
    }

    fn position(&self, position: &Value, at: &str) -> Result<[f64; 2], RegionsError> {
        let numbers: Option<Vec<f64>> =
            position.as_array().and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
        match numbers.as_deref() {
            Some(&[x, y]) => Ok([x - HALF, y - HALF]),
            _ => Err(self.malformed(at, format!("a position is [x, y], found {position}"))),
        }
    }

    fn in_plane(
        &mut self,
        region: Region,
        plane: &Value,
        at: &str,
    ) -> Result<Region, RegionsError> {
        let plane = self.object(plane, at)?;
        self.ignore(plane, at, &["c", "z", "t"]);
        for (axis, none) in [("c", -1), ("t", 0)] {
            let index = plane.get(axis).and_then(Value::as_i64).unwrap_or(none);
            if index != none {
                self.note(&format!("{at}.{axis}"), format!("it is for {axis} = {index} only"));
            }
        }
        let Some(z) = plane.get("z") else { return Ok(region) };
        let slice = z.as_u64().and_then(|z| usize::try_from(z).ok());
        let wrong = || self.malformed(&format!("{at}.z"), format!("{z} is no slice"));
        slice.map(|z| region.through_z(z..=z)).ok_or_else(wrong)
    }

    /// Lists the members of an object that have no place in a region.
    fn ignore(&mut self, object: &Map<String, Value>, at: &str, known: &[&str]) {
        for (name, value) in object {
            let empty = value.is_null()
                || value.as_object().is_some_and(Map::is_empty)
                || value.as_array().is_some_and(Vec::is_empty);
            if !empty && !known.contains(&name.as_str()) {
                self.note(at, format!("`{name}` is not kept"));
            }
        }
    }

    fn note(&mut self, at: &str, what: String) {
        self.regions.ignored.push(Ignored { at: at.to_owned(), what });
    }

    fn text(
        &self,
        object: &Map<String, Value>,
        name: &str,
        at: &str,
    ) -> Result<Option<String>, RegionsError> {
        match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                Err(self.malformed(&format!("{at}.{name}"), format!("{other} is not a text")))
            }
        }
    }

    fn kind<'v>(&self, object: &'v Map<String, Value>, at: &str) -> Result<&'v str, RegionsError> {
        let kind = object.get("type").and_then(Value::as_str);
        kind.ok_or_else(|| self.malformed(at, "it has no `type`, so it is not GeoJSON"))
    }

    fn object<'v>(
        &self,
        value: &'v Value,
        at: &str,
    ) -> Result<&'v Map<String, Value>, RegionsError> {
        value.as_object().ok_or_else(|| self.malformed(at, "an object is needed here"))
    }

    fn array<'v>(&self, value: &'v Value, at: &str) -> Result<&'v Vec<Value>, RegionsError> {
        value.as_array().ok_or_else(|| self.malformed(at, "an array is needed here"))
    }

    fn malformed(&self, at: &str, reason: impl std::fmt::Display) -> RegionsError {
        RegionsError::malformed(self.path, at, reason)
    }

    fn invalid(&self, at: &str, source: segmenter_core::InvalidRegion) -> RegionsError {
        RegionsError::Region { path: self.path.to_owned(), at: at.to_owned(), source }
    }
}

#[cfg(test)]
mod tests;
