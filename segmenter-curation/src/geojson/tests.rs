use std::fs;

use segmenter_core::Yx;

use super::*;

const OBJECTS: &str = include_str!("../../tests/fixtures/regions/objects.geojson");

fn parse(text: &[u8]) -> Result<Regions, RegionsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.geojson");
    fs::write(&path, text).unwrap();
    read(&path)
}

#[test]
fn a_file_cut_off_anywhere_is_an_error_that_says_where() {
    assert!(parse(OBJECTS.as_bytes()).is_ok());
    for length in 0..OBJECTS.trim_end().len() {
        let error = parse(&OBJECTS.as_bytes()[..length]).unwrap_err().to_string();
        assert!(error.contains("a.geojson: line 1, column"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let feature = |geometry: &str| {
        format!(r#"[{{"type":"Feature","geometry":{geometry},"properties":null}}]"#)
    };
    for (text, expected) in [
        (
            feature(r#"{"type":"Polygon","coordinates":[[[1,2],[3]]]}"#),
            "[0].geometry.coordinates[0][1]: a position is [x, y], found [3]",
        ),
        (
            feature(r#"{"type":"Circle","coordinates":[1,2]}"#),
            "[0].geometry: `Circle` is no geometry of GeoJSON",
        ),
        (feature(r#"{"type":"Polygon","coordinates":[]}"#), "a polygon has at least one ring"),
        (feature(r#"{"type":"Polygon","coordinates":[[]]}"#), "[0].geometry.coordinates[0]"),
        (feature("null"), "[0].geometry: an object is needed here"),
        (
            feature(r#"{"type":"Point","coordinates":[1,2],"plane":{"z":-1}}"#),
            "[0].geometry.plane.z: -1 is no slice",
        ),
        (r#"{"type":"FeatureCollection"}"#.to_owned(), "features: an array is needed here"),
        (r#"{"kind":"Feature"}"#.to_owned(), "the file: it has no `type`"),
        (r#"[{"type":"Polygon"}]"#.to_owned(), "[0]: `type` is `Polygon`, not `Feature`"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn lines_points_and_collections_are_read() {
    let text = br#"{"type":"GeometryCollection","geometries":[
        {"type":"LineString","coordinates":[[0.5,0.5],[4.5,0.5]]},
        {"type":"MultiPoint","coordinates":[[2.9,3.1],[7.0,7.0]]}]}"#;
    let found = parse(text).unwrap();
    let mask = found.regions[0].region.rasterise::<Yx>([9, 9]);
    assert_eq!(mask.count(), 5 + 2);
    assert!(mask.view()[[3, 2]] && mask.view()[[7, 7]], "the pixels that the points lie in");
}

#[test]
fn channels_times_and_unknown_members_are_listed() {
    let text = br#"[{"type":"Feature","nucleusGeometry":{"a":1},"geometry":
        {"type":"Point","coordinates":[1,2],"plane":{"c":2,"z":0,"t":4}},
        "properties":{"classification":{"names":["Tumor","Positive"]},"metadata":{"a":"b"}}}]"#;
    let found = parse(text).unwrap();
    let ignored: Vec<String> = found.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(
        ignored,
        [
            "[0]: `nucleusGeometry` is not kept",
            "[0].geometry.plane.c: it is for c = 2 only",
            "[0].geometry.plane.t: it is for t = 4 only",
            "[0].properties: `metadata` is not kept",
        ]
    );
    assert_eq!(found.regions[0].class.as_deref(), Some("Tumor: Positive"));
    assert_eq!(found.regions[0].region.slices(), Some(0..=0));
}

#[test]
fn arrays_in_arrays_without_end_are_refused() {
    let text = "[".repeat(1 << 20);
    assert!(parse(text.as_bytes()).is_err());
}
