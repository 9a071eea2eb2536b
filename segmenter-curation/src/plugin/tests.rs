use std::path::PathBuf;

use segmenter_core::{
    Region,
    io::{Existing, SaveError, npy::write_polygons},
};
use tempfile::TempDir;

use super::*;
use crate::{Decision, MergeRule, Record, Split};

const HEADER: &str = ",raw,seg1,seg2,merge_mask,exclude_mask,base_image\r\n";

/// A root with empty files of these names.
fn root(names: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in names {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    root
}

fn read(root: &TempDir, rows: &str) -> Result<Vec<Row>, PluginError> {
    let path = root.path().join("train.csv");
    fs::write(&path, HEADER.to_owned() + rows).unwrap();
    read_rows(path, Some(root.path()))
}

#[test]
fn the_files_of_another_machine_are_found_below_the_root() {
    let root = root(&["raw/a.tif", "seg1/a.tif", "seg2/a.tif"]);
    let rows = read(&root, "0,/x/raw/a.tif,/x/seg1/a.tif,/x/seg2/a.tif,,,seg2\r\n").unwrap();
    let file = |name| root.path().join(name);
    let expected = Row {
        raw: file("raw/a.tif"),
        seg1: file("seg1/a.tif"),
        seg2: Some(file("seg2/a.tif")),
        merge_mask: None,
        exclude_mask: None,
        base: Base::Seg2,
    };
    assert_eq!(rows, [expected]);
}

#[test]
fn all_files_that_are_missing_are_named_once() {
    let root = root(&["raw/a.tif"]);
    let rows = "0,/x/raw/a.tif,/x/s/a.seg,,,,seg1\r\n1,/x/raw/b.tif,/x/s/a.seg,,,,seg1\r\n";
    let Err(PluginError::Missing { files, .. }) = read(&root, rows) else { panic!() };
    assert_eq!(files, ["/x/raw/b.tif", "/x/s/a.seg"]);
}

#[test]
fn all_rows_that_are_wrong_are_named() {
    let root = root(&["a.tif", "s.tif", "m.npy"]);
    let rows = "0,,/x/s.tif,,,,seg1\r\n\
                1,/x/a.tif,/x/s.tif,,,,seg3\r\n\
                2,/x/a.tif,/x/s.tif,,/x/m.npy,,seg2\r\n\
                3,/x/raw/a.tif,/x/seg/a.tif,,,,seg1\r\n";
    let Err(PluginError::Rows { faults, .. }) = read(&root, rows) else { panic!() };
    let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(found[0], "line 2: raw is empty");
    assert_eq!(found[1], "line 3: base_image is `seg3`, but has to be seg1 or seg2");
    assert_eq!(found[2], "line 4: base_image needs a second segmentation, but seg2 is empty");
    assert_eq!(found[3], "line 4: merge_mask needs a second segmentation, but seg2 is empty");
    assert!(found[4].starts_with("line 5: raw and seg1 are both "), "{}", found[4]);
    assert_eq!(found.len(), 5);
}

#[test]
fn a_table_of_something_else_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("test.csv");
    fs::write(&path, ",raw,split\n0,a.tif,test\n").unwrap();
    let error = read_rows(&path, None).unwrap_err();
    let PluginError::Table(TableError::Columns { missing, unknown, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(
        (missing, unknown),
        (vec!["seg1".into(), "base_image".into()], vec!["split".into()])
    );
}

/// The bytes that Python 3.11's `csv.writer` writes for the same rows.
#[test]
fn a_table_is_written_byte_for_byte_as_the_plugin_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.csv");
    let row = |raw: &str, seg2: Option<&str>, base| Row {
        raw: raw.into(),
        seg1: "/d/s.tif".into(),
        seg2: seg2.map(PathBuf::from),
        merge_mask: None,
        exclude_mask: Some("/d/e.npy".into()),
        base,
    };
    let rows = [
        row("/d/a b.tif", None, Base::Seg1),
        row("/d/a,b.tif", Some("/d/\"t\".tif"), Base::Seg2),
        row("/d/ä#;'.tif", None, Base::Seg1),
    ];
    write_rows(&path, &rows, Existing::Refuse).unwrap();
    let expected = HEADER.to_owned()
        + "0,/d/a b.tif,/d/s.tif,,,/d/e.npy,seg1\r\n"
        + "1,\"/d/a,b.tif\",/d/s.tif,\"/d/\"\"t\"\".tif\",,/d/e.npy,seg2\r\n"
        + "2,/d/ä#;'.tif,/d/s.tif,,,/d/e.npy,seg1\r\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let again = write_rows(&path, &rows, Existing::Refuse);
    assert!(matches!(again, Err(SaveError::Exists { .. })));
}

fn triangle() -> Region {
    Region::polygon([(1.0, 2.0), (6.5, 2.0), (1.0, 8.0)]).unwrap()
}

/// Two records over files that are there, with a region of each kind.
fn records(root: &TempDir) -> [Record; 2] {
    let file = |name: &str| root.path().join(name);
    let mut first =
        Record::new("a", file("raw/a.ome.tif"), file("s/a.tif")).with_segmentation(file("t/a.tif"));
    first.merge(triangle()).unwrap();
    first.set_base(1).unwrap();
    let mut second = Record::new("b", file("raw/b.tif"), file("s/b.tif"));
    second.exclude(triangle());
    second.exclude(Region::polygon([(3.0, 3.0), (4.0, 3.0), (4.0, 4.0), (3.0, 4.0)]).unwrap());
    for record in [&mut first, &mut second] {
        record.decide(Decision::Use);
    }
    [first, second]
}

const FILES: [&str; 5] = ["raw/a.ome.tif", "raw/b.tif", "s/a.tif", "s/b.tif", "t/a.tif"];

#[test]
fn an_exported_experiment_is_read_back_equal() {
    let root = root(&FILES);
    let [first, second] = records(&root);
    let split =
        Split { train: vec![first.clone()], validation: vec![second.clone()], test: vec![] };
    let experiment = root.path().join("experiment");
    export(&experiment, &split, Existing::Refuse).unwrap();

    let data = experiment.join("data");
    let read = |name| read_records(data.join(name), None).unwrap();
    assert_eq!(read("train.csv"), [first]);
    assert_eq!(read("val.csv"), [second]);
    assert_eq!(read("test.csv"), []);
    assert!(experiment.join("merging_masks/merging_mask_a.ome.npy").is_file());
    assert!(experiment.join("excluding_masks/excluding_mask_b.npy").is_file());
    let channels = read_channels(data.join("selected_channels.json")).unwrap();
    assert_eq!(channels, Channels::default());
    assert_eq!(*Experiment::open(&experiment, None).unwrap().split(), split);
}

#[test]
fn the_chosen_channels_are_those_of_every_record() {
    let root = root(&FILES);
    let channels = Channels { raw: Some(2), seg1: Some(0), seg2: None };
    let [first, second] = records(&root).map(|record| channels.choose(record));
    let split = Split { train: vec![first], validation: vec![], test: vec![second] };
    let folder = root.path().join("experiment");
    export(&folder, &split, Existing::Refuse).unwrap();
    let experiment = Experiment::open(&folder, None).unwrap();
    assert_eq!(*experiment.split(), split);
    assert_eq!(experiment.channels(), channels);
}

#[test]
fn what_the_plugin_can_not_say_is_refused_before_a_file_is_written() {
    let root = root(&FILES);
    let experiment = root.path().join("experiment");
    let export_two = |change: fn(&mut Record, &mut Record)| {
        let [mut first, mut second] = records(&root);
        change(&mut first, &mut second);
        let split = Split { train: vec![first, second], validation: vec![], test: vec![] };
        let error = export(&experiment, &split, Existing::Refuse).unwrap_err();
        assert!(!experiment.exists());
        error
    };
    let error = export_two(|first, _| first.exclude(triangle().through_z(1..=2)));
    assert!(matches!(error, ExportError::Regions { names } if names == ["a"]));
    let error = export_two(|_, second| {
        second.exclude(triangle().with_hole([(2.0, 3.0)]).unwrap());
    });
    assert!(matches!(error, ExportError::Regions { names } if names == ["b"]));
    let error = export_two(|first, second| first.raw = second.raw.clone());
    assert!(matches!(error, ExportError::SameName { stems } if stems == ["b"]));
    let error = export_two(|_, second| second.raw = second.raw.clone().with_channel(1));
    assert!(matches!(error, ExportError::Channels { names } if names == ["b"]));
    let error = export_two(|first, _| {
        first.merge_from(0, MergeRule::Union, triangle()).unwrap();
    });
    assert!(matches!(error, ExportError::Segmentations { names } if names == ["a"]));
    let error = export_two(|first, _| first.segmentations.push("third.tif".into()));
    assert!(matches!(error, ExportError::Segmentations { names } if names == ["a"]));
}

#[test]
fn a_mask_that_can_not_be_read_is_named() {
    let root = root(&["raw/a.tif", "s/a.tif", "m.npy"]);
    let path = root.path().join("train.csv");
    fs::write(&path, HEADER.to_owned() + "0,/raw/a.tif,/s/a.tif,,,/x/m.npy,seg1\r\n").unwrap();
    let error = read_records(&path, Some(root.path())).unwrap_err();
    assert!(matches!(&error, PluginError::Masks { faults } if faults.len() == 1));
    assert!(error.to_string().contains("m.npy"), "{error}");
}

#[test]
fn all_polygons_that_bound_no_region_are_named() {
    let root = root(&["raw/a.tif", "s/a.tif"]);
    let polygons =
        [vec![[0.0, 1e101]], vec![[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]], vec![[-1e101, 0.0]]];
    write_polygons(root.path().join("m.npy"), &polygons, Existing::Refuse).unwrap();
    let path = root.path().join("train.csv");
    fs::write(&path, HEADER.to_owned() + "0,/raw/a.tif,/s/a.tif,,,/x/m.npy,seg1\r\n").unwrap();
    let error = read_records(&path, Some(root.path())).unwrap_err();
    let PluginError::Masks { faults } = &error else { panic!("{error}") };
    let polygon = |fault: &MaskFault| match fault {
        MaskFault::Region { polygon, .. } => Some(*polygon),
        _ => None,
    };
    assert_eq!(faults.iter().map(polygon).collect::<Vec<_>>(), [Some(0), Some(2)]);
}

/// Experiments that CytoDL trained on, with the paths of the machine that made them.
#[test]
fn experiments_of_cytodl_are_read_and_written_back_byte_for_byte() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/cytodl/experiments");
    if !root.exists() {
        return println!("skipped: there is no {}", root.display());
    }
    let folder = tempfile::tempdir().unwrap();
    for (experiment, regions) in [("exp_3d_small_mask", true), ("exp_2d_small", false)] {
        for (table, count) in [("train.csv", 3), ("val.csv", 2), ("test.csv", 2)] {
            let path = root.join(experiment).join("data").join(table);
            let records = read_records(&path, Some(&root)).unwrap();
            assert_eq!(records.len(), count, "{}", path.display());
            let drawn = |record: &Record| !record.merges.is_empty() && !record.exclude.is_empty();
            assert!(records.iter().all(|record| drawn(record) == regions));
            // Back to the machine that wrote them.
            let away = |path: PathBuf| {
                Path::new("/data/experiments").join(path.strip_prefix(&root).unwrap())
            };
            let rows = read_rows(&path, Some(&root)).unwrap().into_iter().map(|row| Row {
                raw: away(row.raw),
                seg1: away(row.seg1),
                seg2: row.seg2.map(away),
                merge_mask: row.merge_mask.map(away),
                exclude_mask: row.exclude_mask.map(away),
                base: row.base,
            });
            let copy = folder.path().join(table);
            write_rows(&copy, &rows.collect::<Vec<_>>(), Existing::Replace).unwrap();
            assert_eq!(fs::read(copy).unwrap(), fs::read(path).unwrap());
        }
    }
    let first = root.join("exp_3d_small_mask/data/train.csv");
    let records = read_records(first, Some(&root)).unwrap();
    let sample = records[0].load::<segmenter_core::Zyx>().unwrap();
    assert!(sample.counted().is_some());
}
