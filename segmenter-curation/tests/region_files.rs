//! Files of regions that the tools' own libraries wrote, and ours that these libraries read.
//!
//! `fixtures/regions/make_fixtures.py` says what is in them. `ours` holds what is written here, and
//! `read_ours.py` beside it what roifile, geojson and NumPy read of it; `REGION_FILES=FOLDER` writes the
//! files anew into a folder.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use segmenter_core::{Ellipse, Mask2, Region, Yx, io::Existing};
use segmenter_curation::{
    geojson, imagej, napari,
    regions::{self, NamedRegion},
};

const EXTENT: [usize; 2] = [24, 24];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/regions")
}

fn hex(mask: &Mask2) -> String {
    let pixels: Vec<bool> = mask.view().iter().copied().collect();
    let byte = |bits: &[bool]| bits.iter().fold(0_u8, |byte, &bit| byte << 1 | u8::from(bit));
    pixels.chunks(8).map(|bits| format!("{:02x}", byte(bits))).collect()
}

/// As a line of `expected.txt`.
fn line(file: &str, named: &NamedRegion) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let z = named.region.slices().map(|z| z.start().to_string()).unwrap_or_default();
    let mask = hex(&named.region.rasterise::<Yx>(EXTENT));
    format!("{file}|{}|{}|{z}|{mask}", text(&named.name), text(&named.class))
}

#[test]
fn files_of_the_tools_libraries_cover_what_they_cover_there() {
    let expected = fs::read_to_string(fixtures().join("expected.txt")).unwrap();
    let mut files: Vec<&str> = expected.lines().filter_map(|l| l.split('|').next()).collect();
    files.dedup();
    let read = |file: &&str| {
        let found = regions::read(fixtures().join(file)).unwrap();
        found.regions.iter().map(|named| line(file, named)).collect::<Vec<_>>()
    };
    let found: Vec<String> = files.iter().flat_map(read).collect();
    assert_eq!(found, expected.lines().collect::<Vec<_>>());
    assert_eq!(found.len(), 22);
}

#[test]
fn what_is_not_kept_of_a_file_is_listed() {
    let found = regions::read(fixtures().join("objects.geojson")).unwrap();
    let ignored: Vec<String> = found.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(ignored, ["features[1].properties: `measurements` is not kept"]);
}

#[test]
fn a_painted_mask_is_a_region() {
    let folder = tempfile::tempdir().unwrap();
    let mask = Region::polygon([(3.0, 2.0), (18.0, 5.0), (7.0, 20.0)]).unwrap();
    let mask = mask.rasterise::<Yx>(EXTENT);
    for file in ["painted.tif", "painted.png"] {
        mask.save(folder.path().join(file)).unwrap();
        let found = regions::read(folder.path().join(file)).unwrap();
        let found = found.regions[0].region.rasterise::<Yx>(EXTENT);
        assert_eq!(hex(&found), hex(&mask), "{file}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    for text in [&b"hello"[..], b"", b"\x89PNG", b"II*\0", b"Iout", b"PK\x03\x04", b"{}", b"[3]"] {
        fs::write(&path, text).unwrap();
        let error = regions::read(&path).unwrap_err();
        assert!(error.to_string().contains("notes"), "{error}");
    }
}

fn named(region: Region, name: &str, class: &str) -> NamedRegion {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NamedRegion { region, name: text(name), class: text(class) }
}

fn triangle() -> Region {
    Region::polygon([(3.0, 2.0), (18.25, 5.0), (7.0, 20.5)]).unwrap()
}

fn frame() -> Region {
    let square = Region::rectangle((2.5, 2.5), (15.5, 13.5)).unwrap();
    square.with_hole([(5.5, 5.5), (9.5, 5.5), (9.5, 10.5), (5.5, 10.5)]).unwrap()
}

fn both() -> Region {
    let island = Region::polygon([(17.25, 15.5), (22.75, 16.0), (19.5, 22.0)]).unwrap();
    Region::any_of([frame(), island])
}

fn ellipse(angle: f64) -> Region {
    Region::ellipse(Ellipse::new((9.5, 9.0), [7.0, 5.5], angle).unwrap())
}

/// Writes our files, and says what is in each.
fn write(folder: &Path) -> Vec<(&'static str, Vec<NamedRegion>)> {
    let areas = vec![
        named(triangle().through_z(4..=4), "triangle", "Tumor"),
        named(frame(), "frame", ""),
        named(both().through_z(2..=2), "", ""),
    ];
    geojson::write(folder.join("objects.geojson"), &areas, Existing::Replace).unwrap();
    let line = Region::path([(3.0, 20.0), (20.0, 20.0), (20.0, 3.0)], 3.0).unwrap();
    let selections = vec![
        named(triangle().through_z(4..=4), "Ä triangle", "7"),
        named(Region::rectangle((2.5, 2.5), (15.0, 13.5)).unwrap(), "rectangle", ""),
        named(frame(), "frame", ""),
        named(both(), "", ""),
        named(ellipse(0.0), "oval", ""),
        named(line, "line", ""),
    ];
    imagej::write_roi_set(folder.join("RoiSet.zip"), &selections, Existing::Replace).unwrap();
    imagej::write_roi(folder.join("frame.roi"), &selections[2], Existing::Replace).unwrap();
    let shapes = [triangle().through_z(4..=5), ellipse(0.0).through_z(1..=1)];
    napari::write_shapes(folder.join("shapes.csv"), &shapes, Existing::Replace).unwrap();
    let slices = |region: Region, z: usize| NamedRegion::from(region.through_z(z..=z));
    let shapes = vec![slices(triangle(), 4), slices(triangle(), 5), slices(ellipse(0.0), 1)];
    let frame = vec![selections[2].clone()];
    vec![
        ("shapes.csv", shapes),
        ("objects.geojson", areas),
        ("RoiSet.zip", selections),
        ("frame.roi", frame),
    ]
}

#[test]
fn what_is_written_is_read_by_us_and_by_the_tools_libraries() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = env::var_os("REGION_FILES").map_or(temporary.path().to_owned(), PathBuf::from);
    let written = write(&folder);
    let ours = fixtures().join("ours");
    let by_libraries = fs::read_to_string(ours.join("ours.txt")).unwrap();
    let mut lines = Vec::new();
    for (file, expected) in &written {
        let bytes = fs::read(folder.join(file)).unwrap();
        assert_eq!(bytes, fs::read(ours.join(file)).unwrap(), "{file} is what was checked");
        let found = regions::read(folder.join(file)).unwrap();
        assert_eq!(found.ignored, []);
        let found: Vec<String> = found.regions.iter().map(|named| line(file, named)).collect();
        let expected: Vec<String> = expected.iter().map(|named| line(file, named)).collect();
        assert_eq!(found, expected);
        lines.extend(expected);
    }
    assert_eq!(by_libraries.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn an_ellipse_at_an_angle_comes_back_from_imagej() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ellipse.roi");
    imagej::write_roi(&path, &ellipse(0.5).into(), Existing::Refuse).unwrap();
    let (found, _) = imagej::read_roi(&path).unwrap();
    let mask = found.unwrap().region.rasterise::<Yx>(EXTENT);
    assert_eq!(hex(&mask), hex(&ellipse(0.5).rasterise::<Yx>(EXTENT)));
}

#[test]
fn regions_that_a_format_has_nothing_for_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let painted = Region::painted(&Mask2::all([3, 3]));
    let hopeless = [
        painted,
        Region::whole_slices(2..=2),
        triangle().difference(frame()),
        triangle().through_z(2..=3),
    ];
    for region in hopeless {
        let region = [NamedRegion::from(region)];
        for file in ["a.geojson", "a.zip"] {
            let path = folder.path().join(file);
            let write = if file == "a.zip" { imagej::write_roi_set } else { geojson::write };
            let error = write(path.as_path(), &region, Existing::Refuse).unwrap_err();
            assert!(error.to_string().contains("region 0"), "{error}");
            assert!(!path.exists());
        }
    }
}
