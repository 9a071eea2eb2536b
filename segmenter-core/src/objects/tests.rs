//! What SciPy and scikit-image say of the same masks: `segmenter-core/tests/fixtures/objects/make_objects.py`.

mod invariants;
mod streamed;
mod table_file;

use std::fs;

use ndarray::{Array, Array3};
use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};

use super::*;
use crate::{Connectivity, Labels, Labels2, Mask, Mask2, Mask3, Space, Stack, VoxelSize, Yx, Zyx};

/// The committed cases of a kind, and those of the file that `OBJECT_CASES` names.
fn cases<C: DeserializeOwned>(kind: &str) -> Vec<C> {
    let more = std::env::var_os("OBJECT_CASES").map(|path| fs::read_to_string(path).unwrap());
    let committed = include_str!("../../tests/fixtures/objects/cases.json").to_owned();
    let mut found = Vec::new();
    for text in [committed].into_iter().chain(more) {
        let mut all: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).unwrap();
        let cases: Vec<C> = serde_json::from_value(all.remove(kind).unwrap()).unwrap();
        assert!(cases.len() >= 24);
        found.extend(cases);
    }
    found
}

fn grid<S: Space, T>(extent: &[usize], values: Vec<T>) -> Array<T, S::Dim> {
    let dim = S::dim(S::extent_from_fn(|axis| extent[axis]));
    Array::from_shape_vec(dim, values).unwrap()
}

fn mask<S: Space>(extent: &[usize], mask: &str) -> Mask<S> {
    Mask::new(grid::<S, _>(extent, mask.chars().map(|voxel| voxel == '#').collect()))
}

fn labels<S: Space>(extent: &[usize], ids: Vec<u32>) -> Labels<S> {
    Labels::new(grid::<S, _>(extent, ids))
}

fn size<S: Space>(spacing: &[f64]) -> VoxelSize<S> {
    VoxelSize::new(S::reals_from_fn(|axis| spacing[axis])).unwrap()
}

fn connectivity(number: usize) -> Connectivity {
    [Connectivity::Face, Connectivity::Edge, Connectivity::Corner][number - 1]
}

#[derive(Deserialize)]
struct DistanceCase {
    extent: Vec<usize>,
    spacing: Vec<f64>,
    mask: String,
    distances: Vec<u64>,
}

impl DistanceCase {
    /// How many units of the last place the farthest distance is off.
    fn check<S: Space>(&self) -> u64 {
        let mask = mask::<S>(&self.extent, &self.mask).with_voxel_size(size(&self.spacing));
        let found = mask.distances(Unit::Micrometres).unwrap();
        let pairs = found
            .view()
            .iter()
            .zip(&self.distances)
            .map(|(found, &bits)| found.to_bits().abs_diff(bits))
            .collect::<Vec<_>>();
        pairs.into_iter().max().unwrap()
    }
}

#[test]
fn distances_are_those_of_scipy() {
    for case in cases::<DistanceCase>("distances") {
        let off = if case.extent.len() == 2 { case.check::<Yx>() } else { case.check::<Zyx>() };
        let isotropic = case.spacing.iter().all(|edge| *edge == case.spacing[0]);
        assert!(off <= if isotropic { 0 } else { 4 }, "{off} of {:?}", case.extent);
    }
}

#[test]
fn distances_without_any_voxel_outside_are_infinite() {
    let found = Mask3::all([2, 3, 4]).distances(Unit::Voxels).unwrap();
    assert!(found.view().iter().all(|distance| *distance == f64::INFINITY));
    assert_eq!(Mask2::none([0, 4]).distances(Unit::Voxels).unwrap().view().len(), 0);
    assert_eq!(Mask2::all([2, 2]).distances(Unit::Micrometres), Err(NoVoxelSize));
}

proptest! {
    #[test]
    fn a_distance_is_the_least_over_all_voxels_outside(
        extent in (1_usize..6, 1_usize..8, 1_usize..8),
        bits in proptest::collection::vec(0_u8..10, 245),
        filled in 1_u8..10,
        edges in (0.1_f64..9.0, 0.1_f64..9.0, 0.1_f64..9.0),
    ) {
        let mut bits = bits.into_iter();
        let voxels = Array3::from_shape_simple_fn(extent, || bits.next().unwrap() < filled);
        let size = VoxelSize::new([edges.0, edges.1, edges.2]).unwrap();
        let found = Mask3::new(voxels.clone()).with_voxel_size(size);
        let found = found.distances(Unit::Micrometres).unwrap();
        for (at, distance) in found.view().indexed_iter() {
            let outside = voxels.indexed_iter().filter(|(_, inside)| !**inside);
            let away = |a: usize, b: usize, edge: f64| (a.abs_diff(b) as f64 * edge).powi(2);
            let square = outside.map(|(to, _)| {
                away(at.0, to.0, edges.0) + away(at.1, to.1, edges.1) + away(at.2, to.2, edges.2)
            }).fold(f64::INFINITY, f64::min);
            let expected = square.sqrt();
            prop_assert!(*distance == expected || (distance - expected).abs() <= expected * 1e-15);
        }
    }
}

#[derive(Deserialize)]
struct FloodCase {
    extent: Vec<usize>,
    heights: Vec<i32>,
    markers: Vec<u32>,
    mask: Option<String>,
    connectivity: usize,
    line: bool,
    compactness: f64,
    ids: Vec<u32>,
}

impl FloodCase {
    fn check<S: Space>(self) {
        let watershed = Watershed::new()
            .with_connectivity(connectivity(self.connectivity))
            .with_line(self.line)
            .with_compactness(self.compactness);
        let heights = grid::<S, _>(&self.extent, self.heights);
        let markers = labels::<S>(&self.extent, self.markers);
        let mask = self.mask.map(|voxels| mask::<S>(&self.extent, &voxels));
        let found = watershed.flood(&heights.view(), &markers, mask.as_ref()).unwrap();
        assert_eq!(found, labels(&self.extent, self.ids), "{watershed:?} of {heights:?}");
    }
}

#[test]
fn basins_are_those_of_scikit_image() {
    for case in cases::<FloodCase>("floods") {
        if case.extent.len() == 2 { case.check::<Yx>() } else { case.check::<Zyx>() }
    }
}

#[test]
fn heights_that_are_not_numbers_and_grids_that_do_not_fit_are_refused() {
    let markers = Labels2::new(Array::zeros((2, 2)));
    let heights = ndarray::array![[0.0, 1.0], [f64::NAN, 2.0]];
    let error = Watershed::new().flood(&heights.view(), &markers, None).unwrap_err();
    assert_eq!(error.to_string(), "the height at [1, 0] is not a number");
    let fewer = heights.row(0).insert_axis(ndarray::Axis(0)).to_owned();
    let error = Watershed::new().flood(&fewer.view(), &markers, None).unwrap_err();
    assert_eq!(error.to_string(), "extent is [2, 2], but [1, 2] is needed");
    let sticky = Watershed::new().with_compactness(-1.0);
    assert!(sticky.flood(&fewer.view(), &Labels2::new(Array::zeros((1, 2))), None).is_err());
}

#[derive(Deserialize)]
struct SplitCase {
    extent: Vec<usize>,
    spacing: Vec<f64>,
    mask: String,
    prominence: u64,
    connectivity: usize,
    line: bool,
    ids: Vec<u32>,
}

impl SplitCase {
    fn check<S: Space>(self) {
        let mask = mask::<S>(&self.extent, &self.mask).with_voxel_size(size(&self.spacing));
        let split = Split::new(Length::Micrometres(f64::from_bits(self.prominence)))
            .with_connectivity(connectivity(self.connectivity))
            .with_line(self.line);
        let found = mask.split(&split).unwrap();
        assert_eq!(
            found.view(),
            labels::<S>(&self.extent, self.ids).view(),
            "{split:?} of {mask:?}"
        );
    }
}

#[test]
fn objects_that_touch_are_split_as_by_the_pipeline_of_scikit_image() {
    for case in cases::<SplitCase>("splits") {
        if case.extent.len() == 2 { case.check::<Yx>() } else { case.check::<Zyx>() }
    }
}

#[derive(Deserialize)]
struct PeakCase {
    extent: Vec<usize>,
    values: Vec<i32>,
    distance: usize,
    border: usize,
    above: Option<f64>,
    share: Option<f64>,
    at_most: Option<usize>,
    peaks: Vec<Vec<usize>>,
}

impl PeakCase {
    fn check<S: Space>(self) {
        let mut peaks = Peaks::new(self.distance).with_border(self.border);
        if let Some(value) = self.above {
            peaks = peaks.above(value);
        }
        if let Some(share) = self.share {
            peaks = peaks.above_share(share);
        }
        let peaks = peaks.at_most(self.at_most.unwrap_or(usize::MAX));
        let values = grid::<S, _>(&self.extent, self.values);
        let found = peaks.find::<S, _>(&values.view()).unwrap();
        let found: Vec<_> = found.iter().map(|at| at.as_ref().to_vec()).collect();
        assert_eq!(found, self.peaks, "{peaks:?} of {values:?}");
    }
}

#[test]
fn peaks_are_those_of_scikit_image() {
    for case in cases::<PeakCase>("peaks") {
        if case.extent.len() == 2 { case.check::<Yx>() } else { case.check::<Zyx>() }
    }
}

#[derive(Deserialize)]
struct ShapeCase {
    extent: Vec<usize>,
    spacing: Vec<f64>,
    mask: String,
    radius: u64,
    eroded: String,
    dilated: String,
    opened: String,
    closed: String,
    smoothed: String,
    filled: String,
    most: u64,
    partly_filled: String,
    slices_filled: Option<String>,
}

impl ShapeCase {
    fn check<S: Space>(&self) -> Mask<S> {
        let image = mask::<S>(&self.extent, &self.mask).with_voxel_size(size(&self.spacing));
        let check = |found: Mask<S>, expected: &str, what: &str| {
            assert_eq!(
                found.view(),
                mask::<S>(&self.extent, expected).view(),
                "{what} of {image:?}"
            );
        };
        let radius = Length::Micrometres(f64::from_bits(self.radius));
        check(image.eroded(radius).unwrap(), &self.eroded, "eroded");
        check(image.dilated(radius).unwrap(), &self.dilated, "dilated");
        check(image.opened(radius).unwrap(), &self.opened, "opened");
        check(image.closed(radius).unwrap(), &self.closed, "closed");
        check(image.smoothed(radius).unwrap(), &self.smoothed, "smoothed");
        check(image.fill_holes().unwrap(), &self.filled, "filled");
        let some = image.fill_holes_up_to(Volume::Voxels(self.most)).unwrap();
        check(some, &self.partly_filled, "partly filled");
        image
    }
}

#[test]
fn balls_and_holes_are_those_of_scipy() {
    for case in cases::<ShapeCase>("shapes") {
        if case.extent.len() == 2 {
            case.check::<Yx>();
            continue;
        }
        let filled = case.check::<Zyx>().fill_holes_in_slices().unwrap();
        let expected = mask::<Zyx>(&case.extent, case.slices_filled.as_ref().unwrap());
        assert_eq!(filled.view(), expected.view());
    }
}

#[derive(Deserialize)]
struct TableCase {
    extent: Vec<usize>,
    spacing: Vec<f64>,
    ids: Vec<u32>,
    image: Vec<u16>,
    rows: Vec<Row>,
    connectivity: usize,
    mask: String,
    cleared: String,
}

#[derive(Deserialize)]
struct Row {
    id: u32,
    voxels: u64,
    volume: f64,
    centroid_um: Vec<f64>,
    first: Vec<usize>,
    end: Vec<usize>,
    mean: f64,
    sd: f64,
    min: f32,
    max: f32,
    perimeter: Option<f64>,
}

impl Row {
    fn check<S: Space>(&self, object: &Object<S>) {
        let close = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs().max(1e-6),
                "{found}, {expected}"
            );
        };
        let intensity = object.intensities[0];
        assert_eq!((object.id, object.voxels), (self.id, self.voxels));
        assert_eq!((intensity.min, intensity.max), (self.min, self.max));
        assert_eq!(object.first.as_ref(), self.first);
        let end: Vec<usize> = object.last.as_ref().iter().map(|last| last + 1).collect();
        assert_eq!(end, self.end);
        close(object.volume.unwrap(), self.volume);
        close(intensity.mean, self.mean);
        close(intensity.sum, self.mean * self.voxels as f64);
        assert!((intensity.sd - self.sd).abs() < 1e-6);
        let centroid = object.centroid_um.unwrap();
        centroid.as_ref().iter().zip(&self.centroid_um).for_each(|(found, at)| close(*found, *at));
        if let Some(perimeter) = self.perimeter {
            close(object.surface.unwrap(), perimeter);
        }
    }
}

impl TableCase {
    fn check<S: Space>(self) {
        let voxel_size = size::<S>(&self.spacing);
        let ids = labels::<S>(&self.extent, self.ids).with_voxel_size(voxel_size);
        let image = Stack::<S, u16>::new(grid::<S, _>(&self.extent, self.image));
        let table = ids.measure(&image).unwrap();
        assert_eq!(table.objects.len(), self.rows.len());
        self.rows.iter().zip(&table.objects).for_each(|(row, object)| row.check(object));

        let mask = mask::<S>(&self.extent, &self.mask);
        let cleared = mask.without_touching(Sides::ALL, connectivity(self.connectivity)).unwrap();
        let expected: Vec<bool> = self.cleared.chars().map(|voxel| voxel == '#').collect();
        assert_eq!(cleared.view(), grid::<S, _>(&self.extent, expected));
        let components = mask.components(connectivity(self.connectivity)).unwrap().labels;
        assert_eq!(components.without_touching(Sides::ALL).foreground(), cleared);
    }
}

#[test]
fn tables_are_those_of_scikit_image() {
    for case in cases::<TableCase>("tables") {
        if case.extent.len() == 2 { case.check::<Yx>() } else { case.check::<Zyx>() }
    }
}

fn random_mask<S: Space>(extent: S::Extent, bits: &[u8], filled: u8) -> Mask<S> {
    let mut bits = bits.iter().cycle();
    Mask::new(Array::from_shape_simple_fn(S::dim(extent), || *bits.next().unwrap() < filled))
        .with_voxel_size(size(&[0.5, 0.25, 0.25][..S::RANK]))
}
