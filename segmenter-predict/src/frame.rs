//! An image as the network sees it: surrounded by zeros where it is shorter than a tile, and scaled.

use ndarray::Array;
use segmenter_core::{NonFinite, Source, Space, Window};
use segmenter_model::{Model, Scaling};

use crate::{PredictError, Tiling};

/// An image in the middle of its padding, scaled for the network.
pub(crate) struct Frame<'a, S: Space> {
    image: &'a dyn Source<S, f32>,
    scaling: Scaling,
    /// Where the image starts in its padding.
    pub(crate) margin: S::Extent,
}

impl<'a, S: Space> Frame<'a, S> {
    /// Reads the image once, if its scale depends on it.
    pub(crate) fn new(
        model: &Model<S>,
        image: &'a dyn Source<S, f32>,
        tiling: &Tiling<S>,
    ) -> Result<Self, PredictError> {
        let card = model.card();
        let (found, expected) = (image.channels(), card.network.in_channels);
        if found != expected {
            return Err(PredictError::Channels { found, expected });
        }
        let (extent, padded) = (image.extent(), tiling.padded(image.extent()));
        let margin = S::extent_from_fn(|axis| (padded.as_ref()[axis] - extent.as_ref()[axis]) / 2);
        Ok(Self { image, scaling: card.normalisation.scaling(image)?, margin })
    }

    /// A box of the image, as a box of its padding.
    pub(crate) fn shifted(&self, window: &Window<S>) -> Window<S> {
        let (start, margin) = (window.start.as_ref(), self.margin.as_ref());
        Window::new(S::extent_from_fn(|axis| start[axis] + margin[axis]), window.extent)
    }

    /// A tile, with zeros where it leaves the image.
    pub(crate) fn read(
        &self,
        window: &Window<S>,
    ) -> Result<Array<f32, S::ChannelDim>, PredictError> {
        let mut tile = Array::zeros(S::channel_dim(self.image.channels(), window.extent));
        let (inside, offset) = self.inside(window);
        let mut pixels = self.image.read(&inside)?;
        NonFinite::check(&pixels.view()).map_err(|error| error.shifted(inside.start))?;
        self.scaling.apply(pixels.view_mut());
        let place = Window::<S>::new(offset, inside.extent);
        place.view_channels_mut(&mut tile.view_mut()).assign(&pixels);
        Ok(tile)
    }

    /// The part of a tile that lies in the image, and where in the tile it lies.
    fn inside(&self, window: &Window<S>) -> (Window<S>, S::Extent) {
        let (margin, extent) = (self.margin.as_ref(), self.image.extent());
        let start = |axis: usize| window.start.as_ref()[axis].saturating_sub(margin[axis]);
        let end = |axis: usize| {
            let end = window.range(axis).end.saturating_sub(margin[axis]);
            end.min(extent.as_ref()[axis])
        };
        let inside = Window::new(
            S::extent_from_fn(start),
            S::extent_from_fn(|axis| end(axis) - start(axis)),
        );
        let offset =
            S::extent_from_fn(|axis| margin[axis].saturating_sub(window.start.as_ref()[axis]));
        (inside, offset)
    }
}
