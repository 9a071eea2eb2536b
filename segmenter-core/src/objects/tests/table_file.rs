//! Tables on their way through files.

use std::fs;

use ndarray::Array;

use super::*;
use crate::Labels3;

#[test]
fn a_table_is_read_back_as_it_was_and_faults_of_a_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.csv");
    let ids = Labels3::new(Array::from_shape_fn((3, 4, 5), |(z, y, x)| {
        u32::try_from((z + y * x) % 5).unwrap()
    }));
    let image =
        Stack::<Zyx, f32>::from_channels(Array::from_shape_fn((2, 3, 4, 5), |(c, z, y, x)| {
            (c + z * y * x) as f32 / 7.0
        }));
    let names = [Some("actin, \"raw\"".to_owned()), None];
    let image = image.with_channel_names(names);
    let table = ids.measure(&image).unwrap();
    assert_eq!(table.channels, ["actin, \"raw\"", "channel_1"]);
    table.save(&path).unwrap();
    assert_eq!(ObjectTable::open(&path).unwrap(), table, "without a voxel size");
    assert!(table.save(&path).is_err(), "the file exists");
    let table = ids.with_voxel_size(size(&[0.3, 0.1, 0.1])).measure(&image).unwrap();
    table.save_as(&path, crate::io::Existing::Replace).unwrap();
    assert_eq!(ObjectTable::open(&path).unwrap(), table);

    let told = |text: &str| {
        fs::write(&path, text).unwrap();
        let error = ObjectTable::<Zyx>::open(&path).unwrap_err().to_string();
        error.split_once("objects.csv").unwrap().1.to_owned()
    };
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        told(&text.replacen("volume_um3", "volume", 1)),
        ": column 3 is \"volume_um3\" in a table of objects, found \"volume\""
    );
    assert_eq!(told(&text.replacen("\n1,", "\n-1,", 1)), ", line 2: \"-1\" is no value of \"id\"");
    assert_eq!(told("1,2\n3\n"), ": column 1 is \"id\" in a table of objects, found \"1\"");
    assert!(ObjectTable::<Yx>::open(folder.path().join("none.csv")).is_err());
}
