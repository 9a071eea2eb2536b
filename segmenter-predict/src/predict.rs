//! From an image to its logits, in memory.

use std::ops::ControlFlow;

use ndarray::{Array, Dimension};
use segmenter_core::{NonFinite, ReadError, Source, Space, Window, WriteError};
use segmenter_model::{Model, PatchError};

use crate::{Logits, Plan, Tiling, walk::walk};

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
    /// The plan is one for another image.
    #[error("the plan is for an image of {planned:?} voxels, but the image has {found:?}")]
    OtherImage {
        /// Extent of the image that the plan is for.
        planned: Vec<usize>,
        /// Extent of the image.
        found: Vec<usize>,
    },
    /// The result can't be written.
    #[error("the result can't be written")]
    Write(#[from] WriteError),
    /// The callback said stop.
    #[error("stopped after {} of {} tiles", .0.done, .0.total)]
    Stopped(Progress),
}

/// Runs a model over an image, tile by tile, and blends the logits where tiles overlap.
///
/// Tiles are weighted by a [Gaussian](crate::gaussian_weights), unless the tiling says otherwise. An
/// image that is shorter than a tile is surrounded by zeros (the mean, for z-scored images), as in
/// MONAI, and the logits are cropped back, so the result always has the image's extent; it has the
/// image's voxel size too. [`predict_into`](crate::predict_into) is for results that are larger than
/// memory.
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
    on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Logits<S>, PredictError> {
    let plan = Plan::new(model, image.extent(), tiling)?;
    let too_large = || PredictError::TooLarge(image.extent().as_ref().to_vec());
    let shape = S::channel_dim(model.card().network.out_channels, image.extent());
    let whole = segmenter_memory::zeroed(shape.size()).map_err(|_| too_large())?;
    let mut whole = Array::from_shape_vec(shape, whole).map_err(|_| too_large())?;
    let take = |window: &Window<S>, logits: Array<f32, S::ChannelDim>| {
        window.view_channels_mut(&mut whole.view_mut()).assign(&logits);
        Ok(())
    };
    walk(model, image, &plan, take, on_progress)?;
    Ok(Logits::new(whole, image.voxel_size()))
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
