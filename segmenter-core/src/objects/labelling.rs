//! Connected components of masks that no memory holds.

use std::ops::ControlFlow;

use ndarray::{Array4, Axis};

use super::{
    Progress, Sides, StreamError, Volume,
    slabs::{Walk, in_image, one_channel, only, read},
};
use crate::{
    Component, ComponentScan, Connectivity, ExtentMismatch, FoundComponents, Sink, Source, Space,
    objects::ObjectsError,
};

/// How the components of a mask become objects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Labelling {
    connectivity: Connectivity,
    least: Option<Volume>,
    inside: Option<Sides>,
}

impl Labelling {
    /// All components, of voxels that share faces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which voxels are connected.
    #[must_use]
    pub fn with_connectivity(mut self, connectivity: Connectivity) -> Self {
        self.connectivity = connectivity;
        self
    }

    /// Leaves out components smaller than this.
    #[must_use]
    pub fn without_small(mut self, least: Volume) -> Self {
        self.least = Some(least);
        self
    }

    /// Leaves out components that touch one of these sides of the image.
    #[must_use]
    pub fn without_touching(mut self, sides: Sides) -> Self {
        self.inside = Some(sides);
        self
    }
}

/// What became of the components of a mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// The objects, that of id 1 first.
    pub objects: Vec<Component>,
    /// Number of components left out because they are too small.
    pub small: usize,
    /// Number of components left out because they touch a side of the image. One that is too small as well
    /// counts as small.
    pub touching: usize,
}

/// Labels the connected components of a mask, slab by slab, and completes the sink.
///
/// Ids are 1, 2, 3 and so on in the order of first voxels, the same as those of
/// [`Mask::components`](crate::Mask::components) where nothing is left out, whatever the extents of slabs
/// and blocks. The mask is read twice. In memory are about 32 MiB of voxels, or one row of blocks of the sink
/// across the image where that is more; four bytes for each run of voxels in a row, and some 60 for each
/// component (see [`ComponentScan`]).
///
/// ```
/// use std::ops::ControlFlow;
/// use ndarray::Array3;
/// use segmenter_core::{Labels3, Mask3, NewImage, Zyx, io::SaveOptions, objects::{Labelling, label}};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.ome.tiff");
/// let mask = Mask3::new(Array3::from_shape_fn((3, 40, 40), |(_, y, _)| y % 10 < 5));
/// let sink = SaveOptions::new().create(&NewImage::<Zyx, u32>::labels([3, 40, 40]), &path)?;
/// let labelled = label(&mask, Box::new(sink), &Labelling::new(), |_| ControlFlow::Continue(()))?;
/// assert_eq!(labelled.objects.len(), 4);
/// assert_eq!(Labels3::open(&path)?.view()[[2, 10, 0]], 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the two differ in extent or have several channels, a volume is in µm and the mask's voxel size is not
/// known, there are more components than ids, a box can't be read or written, or the callback says stop.
pub fn label<S: Space>(
    mask: &(impl Source<S, bool> + ?Sized),
    sink: Box<dyn Sink<S, u32> + '_>,
    labelling: &Labelling,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Labelled, StreamError> {
    let walk = Walk::by(sink.block().as_ref()[0]);
    label_in(mask, sink, labelling, walk, progress)
}

/// The same, in such slabs.
pub(super) fn label_in<S: Space>(
    mask: &(impl Source<S, bool> + ?Sized),
    sink: Box<dyn Sink<S, u32> + '_>,
    labelling: &Labelling,
    walk: Walk,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Labelled, StreamError> {
    let extent = mask.extent();
    ExtentMismatch::check(sink.extent(), extent)?;
    one_channel("mask", mask.channels())?;
    one_channel("sink of labels", sink.channels())?;
    let least = labelling.least.map(|least| least.voxels(mask.voxel_size())).transpose()?;
    let total = extent.as_ref()[0] * 2;
    let mut advance = |done: usize| {
        let now = Progress { done, total };
        if progress(now).is_break() { Err(StreamError::Stopped(now)) } else { Ok(()) }
    };
    let windows = || walk.slabs::<S>(extent, size_of::<bool>() + size_of::<u32>());

    let mut scan = ComponentScan::new(labelling.connectivity);
    for window in windows() {
        let slab = read(mask, &window)?;
        let mut slices = only(&slab).into_outer_iter();
        slices.try_for_each(|slice| scan.push(&slice)).map_err(ObjectsError::from)?;
        advance(window.range(0).end)?;
    }
    let mut found = scan.finish();
    let labelled = select::<S>(&mut found, extent, least, labelling.inside);
    let mut painter = found.painter();
    for window in windows() {
        let slab = read(mask, &window)?;
        let mut ids = Array4::zeros(slab.raw_dim());
        for (slice, ids) in
            only(&slab).outer_iter().zip(ids.index_axis_mut(Axis(0), 0).outer_iter_mut())
        {
            painter.paint(&slice, ids);
        }
        let Ok(ids) = ids.into_shape_with_order(S::channel_dim(1, window.extent)) else {
            unreachable!("as many ids as voxels")
        };
        sink.write(&window, &ids.view())?;
        advance(total / 2 + window.range(0).end)?;
    }
    sink.finish()?;
    Ok(labelled)
}

/// Leaves out what is not wanted.
fn select<S: Space>(
    found: &mut FoundComponents,
    extent: S::Extent,
    least: Option<u64>,
    inside: Option<Sides>,
) -> Labelled {
    let mut labelled = Labelled::default();
    let zyx = S::to_zyx(extent);
    found.retain(|component| {
        let [first, last] = [component.first, component.last].map(in_image::<S>);
        let component = Component { first, last, ..*component };
        let small = least.is_some_and(|least| (component.voxels as u64) < least);
        let touching = inside.is_some_and(|sides| sides.of::<S>().touch(&component, zyx));
        labelled.small += usize::from(small);
        labelled.touching += usize::from(touching && !small);
        if !small && !touching {
            labelled.objects.push(component);
        }
        !small && !touching
    });
    labelled
}
