//! Patches: what one training step sees.

use ndarray::{Array, Axis};
use segmenter_core::{Sample, Source, Space, Window};
use segmenter_model::Scaling;

use crate::DataError;

/// A box cut from an image, padded where it leaves it.
pub(crate) struct Patch<S: Space> {
    /// Scaled intensities, `[c, z, y, x]` or `[c, y, x]`; 0, the mean, in the padding.
    pub(crate) raw: Array<f32, S::ChannelDim>,
    /// 1 in the foreground, one channel a structure.
    pub(crate) target: Array<f32, S::ChannelDim>,
    /// 1 where a voxel counts, one channel; 0 in the padding.
    pub(crate) counted: Array<f32, S::ChannelDim>,
}

impl<S: Space> Patch<S> {
    /// Cuts a patch whose first voxel is at `start` of the image that is padded to the patch: an
    /// image shorter than the patch lies in its middle.
    pub(crate) fn cut(
        sample: &Sample<S>,
        scaling: &Scaling,
        start: S::Extent,
        patch: S::Extent,
    ) -> Result<Self, DataError> {
        let (image, fits) = (sample.extent(), Fit::new(sample.extent(), start, patch));
        debug_assert!(fits.inside.fits(image), "a patch lies in its image");
        let mut raw = fits.read(sample.raw(), sample)?;
        scaling.apply(raw.view_mut());
        let target = fits.read(sample.target(), sample)?.mapv(f32::from);
        let counted = match sample.counted() {
            Some(counted) => fits.read(counted, sample)?.mapv(f32::from),
            None => Array::ones(S::channel_dim(1, fits.inside.extent)),
        };
        Ok(Self {
            raw: fits.pad(&raw, patch),
            target: fits.pad(&target, patch),
            counted: fits.pad(&counted, patch),
        })
    }

    pub(crate) fn extent(&self) -> S::Extent {
        S::extent_from_fn(|axis| self.raw.len_of(Axis(axis + 1)))
    }

    /// Whether any voxel of the patch counts.
    pub(crate) fn counts(&self) -> bool {
        self.counted.iter().any(|&counts| counts > 0.0)
    }

    /// Does the same to the three arrays.
    pub(crate) fn each(&mut self, change: impl Fn(&mut Array<f32, S::ChannelDim>)) {
        for array in [&mut self.raw, &mut self.target, &mut self.counted] {
            change(array);
        }
    }

    /// Flips and turns only change how an array is walked; this lays it out so.
    pub(crate) fn make_contiguous(&mut self) {
        self.each(|array| *array = array.as_standard_layout().into_owned());
    }
}

/// Where a patch and an image overlap.
struct Fit<S: Space> {
    /// The part of the image.
    inside: Window<S>,
    /// Where in the patch it lies.
    offset: S::Extent,
}

impl<S: Space> Fit<S> {
    fn new(image: S::Extent, start: S::Extent, patch: S::Extent) -> Self {
        let size = |axis: usize| patch.as_ref()[axis].min(image.as_ref()[axis]);
        let inside = Window::new(start, S::extent_from_fn(size));
        let offset = S::extent_from_fn(|axis| (patch.as_ref()[axis] - size(axis)) / 2);
        Self { inside, offset }
    }

    fn read<T>(
        &self,
        source: &dyn Source<S, T>,
        sample: &Sample<S>,
    ) -> Result<Array<T, S::ChannelDim>, DataError> {
        source
            .read(&self.inside)
            .map_err(|source| DataError::Read { name: sample.name().to_owned(), source })
    }

    fn pad(
        &self,
        inside: &Array<f32, S::ChannelDim>,
        patch: S::Extent,
    ) -> Array<f32, S::ChannelDim> {
        let mut padded = Array::zeros(S::channel_dim(inside.len_of(Axis(0)), patch));
        let place = Window::<S>::new(self.offset, self.inside.extent);
        place.view_channels_mut(&mut padded.view_mut()).assign(inside);
        padded
    }
}
