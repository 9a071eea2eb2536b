use std::fs;

use super::*;

const COMPOSITE: &[u8] = include_bytes!("../../tests/fixtures/regions/composite.roi");
const EXACT: &[u8] = include_bytes!("../../tests/fixtures/regions/exact.roi");
const SET: &[u8] = include_bytes!("../../tests/fixtures/regions/RoiSet.zip");

fn read(content: &[u8]) -> Result<Regions, RegionsError> {
    let mut found = Regions::default();
    decode::decode(content, "selection", &mut found)
        .map_err(|fault| fault.in_file(Path::new("a.roi"), "selection"))?;
    Ok(found)
}

#[test]
fn a_selection_cut_off_anywhere_is_an_error_that_says_where() {
    for content in [COMPOSITE, EXACT] {
        assert!(read(content).is_ok());
        for length in 0..content.len() {
            let error = read(&content[..length]).unwrap_err().to_string();
            assert!(error.starts_with("a.roi: selection, byte "), "{length}: {error}");
        }
    }
}

#[test]
fn an_archive_of_selections_cut_off_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("RoiSet.zip");
    for length in 0..SET.len() {
        fs::write(&path, &SET[..length]).unwrap();
        assert!(read_roi_set(&path).is_err(), "{length}");
    }
}

/// Each byte with each of a few values: read or refused.
#[test]
fn a_selection_with_any_byte_changed_is_read_or_refused() {
    for content in [COMPOSITE, EXACT] {
        for at in 0..content.len() {
            for value in [0, 1, 5, 0x7f, 0x80, 0xff] {
                let mut changed = content.to_vec();
                changed[at] = value;
                if let Ok(found) = read(&changed) {
                    for named in found.regions {
                        let _ = named.region.rasterise::<segmenter_core::Yx>([24, 24]);
                    }
                }
            }
        }
    }
}

#[test]
fn a_false_count_of_points_takes_no_memory() {
    let mut content = EXACT.to_vec();
    content[16..22].copy_from_slice(&[0, 0, 0x7f, 0xff, 0xff, 0xff]);
    let error = read(&content).unwrap_err().to_string();
    assert!(error.contains("bytes are needed"), "{error}");
}

/// ImageJ's 16-bit coordinates go from -5000 to 60535 (`RoiDecoder.getShort`).
#[test]
fn coordinates_beyond_32767_are_unwrapped() {
    let region =
        segmenter_core::Region::polygon([(40000.0, 10.0), (40010.0, 10.0), (40000.0, 30.0)]);
    let bytes = encode::encode(&region.unwrap().into()).unwrap();
    let mut whole = bytes.clone();
    whole[50..52].copy_from_slice(&[0, 0]);
    let points = |bytes: &[u8]| {
        let region = read(bytes).unwrap().regions.remove(0).region;
        region.as_polygon().unwrap().exterior().0[1]
    };
    assert_eq!((points(&bytes).x, points(&bytes).y), (40010.0, 10.0));
    assert_eq!((points(&whole).x, points(&whole).y), (40009.5, 9.5), "whole numbers only");
}

#[test]
fn texts_and_splines_are_not_taken_for_areas() {
    let mut text = EXACT.to_vec();
    text[6] = 1;
    text[49] = 1;
    let found = read(&text).unwrap();
    assert_eq!((found.regions.len(), found.ignored[0].what.as_str()), (0, "a text has no pixels"));
    let mut spline = EXACT.to_vec();
    spline[6] = 0;
    spline[51] |= 1;
    assert!(read(&spline).unwrap_err().to_string().contains("spline"));
}
