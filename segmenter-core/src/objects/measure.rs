//! What each object is like.

use std::ops::ControlFlow;

use ndarray::{ArrayView4, Axis};

use super::{
    ObjectTable, Progress, StreamError,
    measuring::Measuring,
    slabs::{Walk, one_channel, only, read},
};
use crate::{ExtentMismatch, Labels, NonFinite, Pixel, Source, Space, Stack};

/// Measures the objects of a label image, and the intensities of an image inside of them, in one pass, slab
/// by slab. In memory are about 32 MiB of voxels, and some 400 bytes for each object and 48 for each channel
/// of it. The voxel size is that of the labels, or of the image if they have none. Intensities are read as
/// `f32` (see [`Pixel::to_f32`] for what is exact) and added up in `f64`, voxel by voxel in the order of the
/// image.
///
/// ```
/// use std::ops::ControlFlow;
/// use ndarray::array;
/// use segmenter_core::{Labels2, Stack2, objects::measure};
///
/// let labels = Labels2::new(array![[0, 3, 3], [8, 3, 3]]);
/// let image = Stack2::new(array![[9_u8, 1, 2], [5, 3, 4]]);
/// let table = measure(&labels, Some(&image), |_| ControlFlow::Continue(()))?;
/// assert_eq!(table.objects[0].intensities[0].mean, 2.5);
/// assert_eq!(table.objects[1].voxels, 1);
/// # Ok::<(), segmenter_core::objects::StreamError>(())
/// ```
///
/// # Errors
/// If the two differ in extent, the label image has several channels, an intensity is not a finite number,
/// a box can't be read, or the callback says stop.
pub fn measure<S: Space>(
    labels: &(impl Source<S, u32> + ?Sized),
    image: Option<&dyn Source<S, f32>>,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<ObjectTable<S>, StreamError> {
    measure_in(labels, image, Walk::by(1), progress)
}

/// The same, in such slabs.
pub(super) fn measure_in<S: Space>(
    labels: &(impl Source<S, u32> + ?Sized),
    image: Option<&dyn Source<S, f32>>,
    walk: Walk,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<ObjectTable<S>, StreamError> {
    let extent = labels.extent();
    one_channel("label image", labels.channels())?;
    let channels = image.map_or(0, |image| image.channels());
    if let Some(image) = image {
        ExtentMismatch::check(image.extent(), extent)?;
    }
    let mut measuring = Measuring::<S>::new(extent, channels);
    let total = extent.as_ref()[0];
    for window in walk.slabs::<S>(extent, size_of::<u32>() + channels * size_of::<f32>()) {
        let ids = read(labels, &window)?;
        let intensities = image.map(|image| read(image, &window)).transpose()?;
        if let Some(intensities) = &intensities {
            check_finite::<S>(&intensities.view(), window.start)?;
        }
        for (z, ids) in only(&ids).outer_iter().enumerate() {
            let slice = intensities.as_ref().map(|channels| channels.index_axis(Axis(1), z));
            measuring.push(&ids, slice.as_ref());
        }
        let now = Progress { done: window.range(0).end, total };
        if progress(now).is_break() {
            return Err(StreamError::Stopped(now));
        }
    }
    let size = labels.voxel_size().or_else(|| image.and_then(|image| image.voxel_size()));
    Ok(measuring.finish(size))
}

impl<S: Space> Labels<S> {
    /// What each object is like: its shape, and the intensities of an image inside of it; see [`measure`].
    ///
    /// # Errors
    /// If the image is of another extent, or an intensity is not a finite number.
    pub fn measure<T: Pixel>(&self, image: &Stack<S, T>) -> Result<ObjectTable<S>, StreamError> {
        let mut table = measure(self, Some(image), |_| ControlFlow::Continue(()))?;
        for (channel, name) in table.channels.iter_mut().zip(image.channel_names()) {
            if let Some(name) = name {
                channel.clone_from(name);
            }
        }
        Ok(table)
    }

    /// What each object is like, without any image.
    #[must_use]
    pub fn measure_shape(&self) -> ObjectTable<S> {
        let mut measuring = Measuring::<S>::new(self.extent(), 0);
        let [z, y, x] = S::to_zyx(self.extent());
        let shape = if S::RANK == 3 { [z, y, x] } else { [y, 1, x] };
        let ids = self.view();
        let Ok(slices) = ids.to_shape(shape) else {
            unreachable!("the same voxels, in the same order")
        };
        slices.outer_iter().for_each(|slice| measuring.push(&slice, None));
        measuring.finish(self.voxel_size())
    }
}

/// Checks that all intensities of a slab that begins there are finite numbers.
fn check_finite<S: Space>(
    intensities: &ArrayView4<'_, f32>,
    start: S::Extent,
) -> Result<(), NonFinite> {
    NonFinite::check(intensities).map_err(|mut error| {
        if S::RANK == 2 {
            error.index.remove(2);
        }
        error.shifted(start)
    })
}
