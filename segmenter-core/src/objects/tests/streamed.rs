//! In slabs as in memory.

use std::{cell::Cell, ops::ControlFlow, sync::Mutex};

use ndarray::{Array, Array3};
use proptest::prelude::*;

use super::*;
use crate::{
    Labels2, Labels3, NewImage, ReadError, Sink, Source, Window, WriteError, io::SaveOptions,
};

/// A sink in memory, with blocks of a few slices.
struct Blocks<'a, S: Space> {
    ids: &'a Mutex<Labels<S>>,
    block: S::Extent,
}

impl<S: Space> Sink<S, u32> for Blocks<'_, S> {
    fn extent(&self) -> S::Extent {
        self.ids.lock().unwrap().extent()
    }

    fn channels(&self) -> usize {
        1
    }

    fn block(&self) -> S::Extent {
        self.block
    }

    fn write(
        &self,
        window: &Window<S>,
        voxels: &ndarray::ArrayView<'_, u32, S::ChannelDim>,
    ) -> Result<(), WriteError> {
        WriteError::check(self, window, voxels)?;
        let mut ids = self.ids.lock().unwrap();
        window.view_mut(&mut ids.view_mut()).assign(&voxels.index_axis(ndarray::Axis(0), 0));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), WriteError> {
        Ok(())
    }
}

/// Labels a mask in slabs of so many slices.
pub(super) fn labelled<S: Space>(
    mask: &Mask<S>,
    depth: usize,
    labelling: &Labelling,
) -> (Labels<S>, Labelled) {
    let ids = Mutex::new(Labels::new(Array::zeros(S::dim(mask.extent()))));
    let mut block = S::extent_from_fn(|_| 3);
    block.as_mut()[0] = depth;
    let sink = Blocks { ids: &ids, block };
    let go = |_| ControlFlow::Continue(());
    let walk = slabs::Walk { step: depth, bytes: 1 };
    let found = labelling::label_in(mask, Box::new(sink), labelling, walk, go).unwrap();
    (ids.into_inner().unwrap(), found)
}

/// Labels of a mask in memory, with what `labelling` leaves out left out.
fn in_memory<S: Space>(
    mask: &Mask<S>,
    connectivity: Connectivity,
    least: Option<Volume>,
    sides: Option<Sides>,
) -> Labels<S> {
    let mut labels = mask.components(connectivity).unwrap().labels;
    if let Some(least) = least {
        labels = labels.without_small(least).unwrap();
    }
    if let Some(sides) = sides {
        labels = labels.without_touching(sides);
    }
    labels.sequential().with_voxel_size(None)
}

fn check_labelled<S: Space>(
    mask: &Mask<S>,
    depth: usize,
    connectivity: Connectivity,
    least: Option<Volume>,
    sides: Option<Sides>,
) {
    let mut labelling = Labelling::new().with_connectivity(connectivity);
    if let Some(least) = least {
        labelling = labelling.without_small(least);
    }
    if let Some(sides) = sides {
        labelling = labelling.without_touching(sides);
    }
    let (ids, found) = labelled(mask, depth, &labelling);
    let expected = in_memory(mask, connectivity, least, sides);
    assert_eq!(ids, expected);
    let all = mask.components(connectivity).unwrap().components;
    assert_eq!(found.objects.len() + found.small + found.touching, all.len());
    for (id, object) in (1..).zip(&found.objects) {
        assert_eq!(expected.counts()[&id], object.voxels as u64);
        assert!(all.contains(object), "{object:?} is one of the components of the whole mask");
    }
}

proptest! {
    #[test]
    fn labels_of_slabs_are_those_of_the_whole(
        extent in (1_usize..9, 1_usize..7, 1_usize..9),
        bits in proptest::collection::vec(0_u8..10, 60..200),
        filled in 1_u8..9,
        depth in 1_usize..5,
        connectivity in 1_usize..=3,
        least in proptest::option::of(0_u8..6),
        sides in proptest::option::of((any::<bool>(), any::<bool>(), any::<bool>())),
    ) {
        let sides = sides.map(|(z, y, x)| Sides { z, y, x });
        let volume = random_mask::<Zyx>([extent.0, extent.1, extent.2], &bits, filled);
        let least_volume = least.map(|n| Volume::Micrometres(f64::from(n) * 0.03125));
        check_labelled(&volume, depth, self::connectivity(connectivity), least_volume, sides);
        let plane = random_mask::<Yx>([extent.0, extent.2], &bits, filled);
        let least_area = least.map(|n| Volume::Voxels(n.into()));
        check_labelled(&plane, depth, self::connectivity(connectivity), least_area, sides);
    }

    #[test]
    fn tables_of_slabs_are_those_of_the_whole(
        extent in (1_usize..9, 1_usize..7, 1_usize..9),
        values in proptest::collection::vec(0_u8..6, 60..200),
        depth in 1_usize..5,
    ) {
        let mut cycle = values.iter().cycle();
        let ids = Array3::from_shape_simple_fn(extent, || u32::from(*cycle.next().unwrap()) % 4 * 1_000_000);
        let ids = Labels3::new(ids).with_voxel_size(size(&[0.5, 0.25, 0.25]));
        let image = Stack::<Zyx, f32>::new(ids.view().map(|_| f32::from(*cycle.next().unwrap()) * 0.3));
        let walk = slabs::Walk { step: depth, bytes: 1 };
        let go = |_| ControlFlow::Continue(());
        let found = measure::measure_in(&ids, Some(&image), walk, go).unwrap();
        prop_assert_eq!(&found, &ids.measure(&image).unwrap());
        for (object, shape) in found.objects.iter().zip(ids.measure_shape().objects) {
            prop_assert_eq!(&Object { intensities: Vec::new(), ..object.clone() }, &shape);
            prop_assert_eq!(object.voxels, ids.counts()[&object.id]);
        }
    }
}

#[test]
fn what_can_not_be_measured_is_refused() {
    let go = |_| ControlFlow::Continue(());
    let labels = Labels2::new(ndarray::array![[1, 0], [0, 2]]);
    let image = Stack::<Yx, f32>::new(ndarray::array![[1.0, 2.0], [f32::NAN, 4.0]]);
    let error = measure(&labels, Some(&image), go).unwrap_err();
    let StreamError::NonFinite(error) = error else { panic!("{error}") };
    assert_eq!(error.index, [0, 1, 0]);
    let wide = Stack::<Yx, f32>::new(ndarray::array![[1.0, 2.0, 3.0]]);
    let error = measure(&labels, Some(&wide), go).unwrap_err();
    assert_eq!(error.to_string(), "extent is [1, 3], but [2, 2] is needed");
    let mask = Mask2::all([2, 2]);
    let ids = Mutex::new(labels.clone());
    let sink = || Box::new(Blocks { ids: &ids, block: [1, 2] });
    let small = Labelling::new().without_small(Volume::Micrometres(1.0));
    let error = label(&mask, sink(), &small, go).unwrap_err();
    assert!(error.to_string().contains("known voxel size"), "{error}");
    let error = label(&Mask2::all([2, 3]), sink(), &Labelling::new(), go).unwrap_err();
    assert_eq!(error.to_string(), "extent is [2, 2], but [2, 3] is needed");
    let calls = Cell::new(0);
    let stop = |_| {
        calls.set(calls.get() + 1);
        if calls.get() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error = label(&mask, sink(), &Labelling::new(), stop).unwrap_err();
    assert_eq!(error.to_string(), "stopped after 4 of 4 slices");
}

/// A mask that hands out too little.
struct Short;

impl Source<Yx, bool> for Short {
    fn extent(&self) -> [usize; 2] {
        [4, 4]
    }

    fn channels(&self) -> usize {
        1
    }

    fn voxel_size(&self) -> Option<VoxelSize<Yx>> {
        None
    }

    fn read(&self, _: &Window<Yx>) -> Result<Array3<bool>, ReadError> {
        Ok(Array3::default((1, 4, 3)))
    }
}

#[test]
fn a_source_that_hands_out_too_little_is_told() {
    let ids = Mutex::new(Labels2::new(Array::zeros((4, 4))));
    let sink = Box::new(Blocks { ids: &ids, block: [4, 4] });
    let error = label(&Short, sink, &Labelling::new(), |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a source was asked for voxels of shape [1, 4, 4] and handed out [1, 4, 3]"
    );
}

#[test]
fn nothing_appears_under_its_name_if_labelling_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.ome.tiff");
    let mask = Mask3::all([4, 300, 300]);
    let image = NewImage::<Zyx, u32>::labels(mask.extent());
    for slices in [4, 8] {
        let sink = Box::new(SaveOptions::new().create(&image, &path).unwrap());
        let stop = |now: Progress| {
            if now.done == slices { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let error = label(&mask, sink, &Labelling::new(), stop).unwrap_err();
        assert!(matches!(error, StreamError::Stopped(Progress { total: 8, .. })), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
