use std::fs;

use ndarray::{Array2, Array3};
use segmenter_core::{Mask2, Mask3, Stack2, Stack3, VoxelSize};
use tempfile::TempDir;

use super::*;

/// Folders for raw images and two segmentations.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        let data = Self(tempfile::tempdir().unwrap());
        for folder in ["raw", "seg1", "seg2"] {
            fs::create_dir(data.path(folder)).unwrap();
        }
        data
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn raw(&self, name: &str, extent: [usize; 2]) {
        Stack2::new(Array2::<u16>::zeros(extent)).save(self.path(name)).unwrap();
    }

    fn seg(&self, name: &str, extent: [usize; 2]) {
        Mask2::all(extent).save(self.path(name)).unwrap();
    }

    fn pairing(&self) -> Pairing {
        Pairing::new(self.path("raw"), self.path("seg1"))
    }

    fn faults(&self) -> Vec<Fault> {
        self.pairing().looking_at_pixels().pairs().unwrap().faults
    }
}

#[test]
fn images_are_paired_by_name_whatever_their_ending_in_natural_order() {
    let data = Data::new();
    for name in ["im_10", "im_2", "im_1"] {
        data.raw(&format!("raw/{name}.ome.tiff"), [4, 5]);
        data.seg(&format!("seg1/{name}.tif"), [4, 5]);
        data.seg(&format!("seg2/{name}.png"), [4, 5]);
    }
    fs::write(data.path("raw/.hidden.tif"), "").unwrap();
    let pairing = data.pairing().with_segmentations(data.path("seg2")).looking_at_pixels();
    let pairs = pairing.pairs().unwrap().complete().unwrap();
    let names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    assert_eq!(names, ["im_1", "im_2", "im_10"]);
    assert_eq!(pairs[2].raw.path(), data.path("raw/im_10.ome.tiff"));
    let segmentations = ["seg1/im_10.tif", "seg2/im_10.png"].map(|name| data.path(name).into());
    assert_eq!(pairs[2].segmentations, segmentations);
}

#[test]
fn raw_images_and_segmentations_may_lie_in_one_folder_apart_by_a_pattern() {
    let data = Data::new();
    for name in ["im_1", "im_2"] {
        data.raw(&format!("raw/{name}_raw.tif"), [4, 5]);
        data.seg(&format!("raw/{name}_seg_v3.tif"), [4, 5]);
    }
    let folder =
        |pattern: &str| Folder::new(data.path("raw")).with_pattern(pattern.parse().unwrap());
    let pairing = Pairing::new(folder("{}_raw"), folder("{}_seg_*"));
    let pairs = pairing.pairs().unwrap().complete().unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[1].name, "im_2");
    assert_eq!(pairs[1].segmentations, [data.path("raw/im_2_seg_v3.tif").into()]);
}

#[test]
fn what_has_no_partner_is_named_in_all_directions() {
    let data = Data::new();
    data.raw("raw/a.tif", [4, 5]);
    data.seg("seg1/b.tif", [4, 5]);
    data.raw("raw/c.tif", [4, 5]);
    data.seg("seg1/c.tif", [4, 5]);
    let found = data.pairing().pairs().unwrap();
    assert_eq!(found.pairs.len(), 1);
    let [Fault::NoSegmentation { name: a, .. }, Fault::NoRaw { name: b, segmentations, .. }] =
        &found.faults[..]
    else {
        panic!("{:?}", found.faults)
    };
    assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
    assert_eq!(*segmentations, [data.path("seg1/b.tif")]);
    let message = found.complete().unwrap_err().to_string();
    assert!(message.starts_with("2 faults") && message.lines().count() == 3, "{message}");
}

#[test]
fn a_prefix_or_suffix_counts_only_where_it_is_named() {
    let data = Data::new();
    data.raw("raw/a.tif", [4, 5]);
    data.seg("seg1/seg_a_mask.tif", [4, 5]);
    assert_eq!(data.faults().len(), 2);
    let seg = Folder::new(data.path("seg1")).with_prefix("seg_").with_suffix("_mask");
    let pairs = Pairing::new(data.path("raw"), seg.clone()).pairs().unwrap().complete().unwrap();
    assert_eq!(pairs[0].name, "a");

    data.seg("seg1/a.tif", [4, 5]);
    let faults = Pairing::new(data.path("raw"), seg).pairs().unwrap().faults;
    assert!(matches!(&faults[..], [Fault::Ambiguous { files, .. }] if files.len() == 2));
}

#[test]
fn files_that_do_not_fit_are_named() {
    let data = Data::new();
    data.raw("raw/a.tif", [4, 5]);
    data.seg("seg1/a.tif", [5, 4]);
    data.raw("raw/b.tif", [4, 5]);
    Mask2::none([4, 5]).save(data.path("seg1/b.tif")).unwrap();
    data.raw("raw/c.tif", [4, 5]);
    fs::write(data.path("seg1/c.tif"), "not a TIFF").unwrap();
    data.raw("raw/d.tif", [4, 5]);
    let two = Array3::<u8>::ones((2, 4, 5));
    Stack2::from_channels(two).save(data.path("seg1/d.tif")).unwrap();
    let faults = data.faults();
    assert!(
        matches!(
            &faults[..],
            [
                Fault::Extent { .. },
                Fault::Empty { .. },
                Fault::Unreadable(_),
                Fault::Channels { channels: 2, chosen: None, .. },
            ]
        ),
        "{faults:?}"
    );
    assert!(faults[0].to_string().contains("[5, 4]"), "{}", faults[0]);
    let without_pixels = data.pairing().pairs().unwrap().faults;
    assert_eq!(without_pixels.len(), 3, "an empty segmentation is found by its pixels only");
}

/// A file of tifffile's with three time points, which this library does not write.
#[test]
fn a_time_series_is_named() {
    let data = Data::new();
    let series = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../segmenter-core/tests/fixtures/images/ome_time.ome.tif");
    fs::copy(series, data.path("raw/a.tif")).unwrap();
    data.seg("seg1/a.tif", [4, 5]);
    let faults = data.faults();
    let named = |fault: &Fault| matches!(fault, Fault::TimeSeries { time_points: 2.., .. });
    assert!(faults.iter().any(named), "{faults:?}");
}

#[test]
fn a_channel_is_chosen_for_a_folder() {
    let data = Data::new();
    data.raw("raw/a.tif", [4, 5]);
    let two = Array3::<u8>::ones((2, 4, 5));
    Stack2::from_channels(two).save(data.path("seg1/a.tif")).unwrap();
    let with = |channel| {
        let seg = Folder::new(data.path("seg1")).with_channel(channel);
        Pairing::new(data.path("raw"), seg).looking_at_pixels().pairs().unwrap().complete()
    };
    assert_eq!(with(1).unwrap()[0].segmentations[0].channel(), Some(1));
    let faults = with(2).unwrap_err().0;
    assert!(matches!(&faults[..], [Fault::Channels { chosen: Some(2), .. }]));
}

#[test]
fn voxel_sizes_may_differ_by_rounding_only() {
    let data = Data::new();
    for (name, y, seg_y) in [("a", 0.1083, 0.10833), ("b", 0.1083, 0.29)] {
        let size = |y| VoxelSize::new([0.29, y, 0.1083]).unwrap();
        let raw = Stack3::new(Array3::<u8>::zeros((2, 4, 5))).with_voxel_size(size(y));
        raw.save(data.path(&format!("raw/{name}.ome.tif"))).unwrap();
        let seg = Mask3::all([2, 4, 5]).with_voxel_size(size(seg_y));
        seg.save(data.path(&format!("seg1/{name}.ome.tif"))).unwrap();
    }
    let found = data.pairing().pairs().unwrap();
    assert_eq!(found.pairs.len(), 1);
    assert!(
        matches!(&found.faults[..], [Fault::VoxelSize { found, .. }] if found[1] == 0.29),
        "{:?}",
        found.faults
    );
}

#[test]
fn what_is_no_image_is_reported_and_no_fault() {
    let data = Data::new();
    data.raw("raw/a.tif", [4, 5]);
    data.seg("seg1/a.tif", [4, 5]);
    fs::write(data.path("raw/notes.txt"), "").unwrap();
    fs::create_dir(data.path("raw/old.tif")).unwrap();
    let found = data.pairing().pairs().unwrap();
    assert_eq!(found.ignored, [data.path("raw/notes.txt"), data.path("raw/old.tif")]);
    assert_eq!(found.complete().unwrap().len(), 1);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let data = Data::new();
    let error = Pairing::new(data.path("raw"), data.path("none")).pairs().unwrap_err();
    assert_eq!(error.path, data.path("none"));
}
