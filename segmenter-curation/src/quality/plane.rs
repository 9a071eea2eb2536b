//! A sample, slice by slice.

use ndarray::{Array, Array2, Axis};
use segmenter_core::{Sample, Source, Space, Window};

use super::QualityError;

/// One slice of a sample; a plane is one slice.
pub(crate) struct Plane {
    /// The intensities; of several channels, their mean.
    pub(crate) raw: Array2<f32>,
    /// Foreground that counts.
    pub(crate) inside: Array2<bool>,
    /// Voxels that count.
    pub(crate) counted: Array2<bool>,
}

/// The windows of the slices of a volume, or the one window of a plane.
pub(crate) fn windows<S: Space>(extent: S::Extent) -> impl Iterator<Item = Window<S>> {
    let whole = (S::RANK == 2).then(|| Window::whole(extent));
    let slices = (S::RANK == 3).then(|| Window::slices(extent));
    whole.into_iter().chain(slices.into_iter().flatten())
}

/// The slices of a sample.
pub(crate) fn planes<S: Space>(
    sample: &Sample<S>,
) -> impl Iterator<Item = Result<Plane, QualityError>> {
    let read = |window: &Window<S>| {
        let raw = mean_of_channels::<S>(sample.raw().read(window)?);
        let mut inside = first_channel::<S, _>(sample.target().read(window)?);
        let counted = match sample.counted() {
            Some(counted) => first_channel::<S, _>(counted.read(window)?),
            None => Array2::from_elem(raw.raw_dim(), true),
        };
        inside.zip_mut_with(&counted, |inside, &counted| *inside &= counted);
        Ok(Plane { raw, inside, counted })
    };
    windows::<S>(sample.extent()).map(move |window| {
        read(&window)
            .map_err(|source| QualityError::Read { name: sample.name().to_owned(), source })
    })
}

/// One slice of a source of one channel.
pub(crate) fn slice<S: Space, T: Clone>(
    source: &dyn Source<S, T>,
    window: &Window<S>,
) -> Result<Array2<T>, segmenter_core::ReadError> {
    Ok(first_channel::<S, T>(source.read(window)?))
}

fn first_channel<S: Space, T: Clone>(voxels: Array<T, S::ChannelDim>) -> Array2<T> {
    flat::<S, T>(voxels.index_axis_move(Axis(0), 0))
}

/// The mean of the channels of one slice.
pub(crate) fn mean_of_channels<S: Space>(voxels: Array<f32, S::ChannelDim>) -> Array2<f32> {
    if voxels.len_of(Axis(0)) == 1 {
        return first_channel::<S, _>(voxels);
    }
    let dim = S::dim(S::extent_from_fn(|axis| voxels.len_of(Axis(axis + 1))));
    flat::<S, _>(voxels.mean_axis(Axis(0)).unwrap_or_else(|| Array::zeros(dim)))
}

/// The voxels of one slice as a plane.
pub(crate) fn flat<S: Space, T: Clone>(voxels: Array<T, S::Dim>) -> Array2<T> {
    let [slices, rows, columns] = S::to_zyx(S::extent_of(&voxels.raw_dim()));
    let voxels =
        if voxels.is_standard_layout() { voxels } else { voxels.as_standard_layout().into_owned() };
    voxels
        .into_shape_with_order((slices * rows, columns))
        .unwrap_or_else(|_| unreachable!("as many voxels as before, in the same order"))
}
