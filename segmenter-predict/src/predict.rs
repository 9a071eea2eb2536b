//! The walk over the tiles.

use std::ops::ControlFlow;

use ndarray::Array;
use segmenter_core::{NonFinite, ReadError, Source, Space, Window};
use segmenter_model::{Model, PatchError, Scaling};

use crate::{Logits, Tiling, blend::Blend};

/// How far a prediction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Tiles done.
    pub done: usize,
    /// Tiles in all.
    pub total: usize,
}

/// Why an image was not predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The network can't take tiles of that extent.
    #[error("the tiles don't suit the network")]
    Tile(#[from] PatchError),
    /// The image has more or fewer channels than the network takes.
    #[error("the image has {found} channels, but the model takes {expected}; choose among them")]
    Channels {
        /// Channels of the image.
        found: usize,
        /// Channels that the network takes.
        expected: usize,
    },
    /// The image holds NaN or an infinity.
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
    /// The image can't be read.
    #[error("the image can't be read")]
    Read(#[from] ReadError),
    /// The image has more voxels than this machine can address.
    #[error("an image of {0:?} voxels is larger than this machine can address")]
    TooLarge(Vec<usize>),
    /// The callback said stop.
    #[error("stopped after {} of {} tiles", .0.done, .0.total)]
    Stopped(Progress),
}

/// Runs a model over an image, tile by tile, and blends the logits where tiles overlap.
///
/// Tiles are weighted by a [Gaussian](crate::gaussian_weights), unless the tiling says otherwise. An
/// image that is shorter than a tile
/// is surrounded by zeros (the mean, for z-scored images), as in MONAI, and the logits are cropped
/// back, so the result always has the image's extent; it has the image's voxel size too.
///
/// After each tile `on_progress` is called, and can stop the prediction.
///
/// # Errors
/// If image, tiles and model do not go together, the image holds NaN or an infinity or can't be
/// read, or the callback says stop.
pub fn predict<S: Space>(
    model: &Model<S>,
    image: &dyn Source<S, f32>,
    tiling: &Tiling<S>,
    mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Logits<S>, PredictError> {
    let tiling = tiling.fitted(image.extent(), model.card().network.divisor());
    let frame = Frame::new(model, image, &tiling)?;
    let mut blend = Blend::new(model.card().network.out_channels, frame.padded, &tiling)
        .with_rounding(model.is_autocast());
    let windows: Vec<_> = tiling.windows(frame.padded).collect();
    let compiled = model.compile(tiling.tile());
    let mut progress = Progress { done: 0, total: windows.len() };
    for windows in windows.chunks(compiled.at_once()) {
        let tiles =
            windows.iter().map(|window| frame.read(window)).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = tiles.iter().map(|tile| tile.view()).collect();
        for (window, logits) in windows.iter().zip(compiled.logits(&views)) {
            blend.add(window, &logits.view());
            progress.done += 1;
            if on_progress(progress).is_break() && progress.done < progress.total {
                return Err(PredictError::Stopped(progress));
            }
        }
    }
    Ok(Logits::new(frame.crop(blend.finish()), image.voxel_size()))
}

/// An image in the middle of its padding, scaled for the network.
struct Frame<'a, S: Space> {
    image: &'a dyn Source<S, f32>,
    scaling: Scaling,
    /// Extent with padding.
    padded: S::Extent,
    /// Where the image starts in it.
    margin: S::Extent,
}

impl<'a, S: Space> Frame<'a, S> {
    fn new(
        model: &Model<S>,
        image: &'a dyn Source<S, f32>,
        tiling: &Tiling<S>,
    ) -> Result<Self, PredictError> {
        let card = model.card();
        card.network.check_patch(tiling.tile())?;
        let (found, expected) = (image.channels(), card.network.in_channels);
        if found != expected {
            return Err(PredictError::Channels { found, expected });
        }
        let (extent, padded) = (image.extent(), tiling.padded(image.extent()));
        let numbers = S::voxels(padded).and_then(|n| n.checked_mul(card.network.out_channels));
        if numbers.is_none_or(|n| n > isize::MAX as usize / size_of::<f32>()) {
            return Err(PredictError::TooLarge(extent.as_ref().to_vec()));
        }
        let margin = S::extent_from_fn(|axis| (padded.as_ref()[axis] - extent.as_ref()[axis]) / 2);
        Ok(Self { image, scaling: card.normalisation.scaling(image)?, padded, margin })
    }

    /// A tile, with zeros where it leaves the image.
    fn read(&self, window: &Window<S>) -> Result<Array<f32, S::ChannelDim>, PredictError> {
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

    fn crop(&self, padded: Array<f32, S::ChannelDim>) -> Array<f32, S::ChannelDim> {
        if self.padded == self.image.extent() {
            return padded;
        }
        let window = Window::<S>::new(self.margin, self.image.extent());
        window.view_channels(&padded.view()).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};
    use segmenter_core::{Stack2, Stack3, VoxelSize};
    use segmenter_model::{DynUNetConfig, Model2, Model3, burn::tensor::Device};

    use super::*;

    const GO: ControlFlow<()> = ControlFlow::Continue(());

    fn model() -> Model2 {
        let config = DynUNetConfig::new(&[2, 4], &[[1, 1], [2, 2]]);
        Model2::init(config, [16, 16], 1, &Device::flex()).unwrap()
    }

    #[test]
    fn the_result_has_the_images_extent_and_voxel_size_even_if_the_image_is_smaller_than_a_tile() {
        let config = DynUNetConfig::new(&[2, 4], &[[1, 1, 1], [1, 2, 2]]);
        let model = Model3::init(config, [4, 16, 16], 1, &Device::flex()).unwrap();
        let size = VoxelSize::new([0.3, 0.1, 0.1]).unwrap();
        for extent in [[1, 1, 1], [3, 20, 9], [4, 16, 16], [9, 17, 40]] {
            let image = Stack3::new(Array3::<f32>::ones(extent)).with_voxel_size(size);
            let logits = predict(&model, &image, &Tiling::of(&model), |_| GO).unwrap();
            let probability = logits.probability(0);
            assert_eq!(probability.extent(), extent);
            assert_eq!(probability.voxel_size(), Some(size));
            assert!(probability.view().iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn a_voxel_that_is_not_a_number_is_named_by_its_place_in_the_image() {
        let mut pixels = Array2::<f32>::zeros((40, 40));
        pixels[[30, 7]] = f32::NAN;
        let model = model();
        let error = predict(&model, &Stack2::new(pixels), &Tiling::of(&model), |_| GO).unwrap_err();
        let PredictError::NonFinite(error) = error else { panic!("{error}") };
        assert_eq!(error.index, [0, 30, 7]);
    }

    #[test]
    fn the_callback_hears_of_every_tile_and_can_stop() {
        let model = model();
        let image = Stack2::new(Array2::<u8>::zeros((40, 40)));
        let mut heard = Vec::new();
        predict(&model, &image, &Tiling::of(&model), |progress| {
            heard.push(progress.done);
            GO
        })
        .unwrap();
        assert_eq!(heard, (1..=9).collect::<Vec<_>>());
        let stopped = predict(&model, &image, &Tiling::of(&model), |progress| {
            if progress.done == 2 { ControlFlow::Break(()) } else { GO }
        });
        let progress = Progress { done: 2, total: 9 };
        assert!(matches!(stopped, Err(PredictError::Stopped(at)) if at == progress));
    }

    #[test]
    fn tiles_and_channels_that_the_model_cannot_take_are_refused() {
        let model = model();
        let image = Stack2::new(Array2::<u8>::zeros((40, 40)));
        let tiling = Tiling::new([16, 15]);
        let error = predict(&model, &image, &tiling, |_| GO).unwrap_err();
        assert!(matches!(error, PredictError::Tile(_)));
        let rgb = Stack2::from_channels(Array3::<u8>::zeros((3, 40, 40)));
        let error = predict(&model, &rgb, &Tiling::of(&model), |_| GO).unwrap_err();
        assert!(matches!(error, PredictError::Channels { found: 3, expected: 1 }));
    }
}
