//! From an image to a result that is written as it comes.

use std::ops::ControlFlow;

use ndarray::Array;
use segmenter_core::{Sink, Source, Space, Window};
use segmenter_model::Model;

use crate::{Plan, PredictError, Progress, walk::walk};

/// Runs a model over an image and writes what comes out box by box, so that neither has to fit in
/// memory.
///
/// What is written is `value` of each logit: [`probability`](crate::probability),
/// [`probability_byte`](crate::probability_byte), [`mask`](crate::mask), or any other function of it.
/// The logits are those of [`predict`](crate::predict), bit for bit, whatever the plan is.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use burn::tensor::Device;
/// use ndarray::Array3;
/// use segmenter_core::{Mask3, NewImage, Sink, Stack3, io::SaveOptions};
/// use segmenter_model::{DynUNetConfig, Model3};
/// use segmenter_predict::{Plan, Tiling, mask, predict_into};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("mask.ome.tiff");
/// let model = Model3::init(DynUNetConfig::small(), [8, 32, 32], 7, &Device::flex())?;
/// let image = Stack3::new(Array3::<u16>::from_shape_fn((20, 90, 90), |(z, y, x)| (z * y + x) as u16));
/// let found = NewImage::mask(image.extent()).with_voxel_size(image.voxel_size());
/// let sink = SaveOptions::new().create(&found, &path)?;
/// let plan = Plan::new(&model, image.extent(), &Tiling::of(&model))?.with_block(sink.block());
/// let plan = plan.within(1 << 30)?;
/// let value = mask(model.card().threshold);
/// predict_into(&model, &image, &plan, value, Box::new(sink), |progress| {
///     eprint!("\r{} of {}", progress.done, progress.total);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(Mask3::open(&path)?.extent(), [20, 90, 90]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`predict`](crate::predict), and if the plan is for another image, the sink has another extent,
/// number of channels or [block](Plan::with_block), or can't be written. Nothing appears under the
/// final name then.
pub fn predict_into<S: Space, T>(
    model: &Model<S>,
    image: &dyn Source<S, f32>,
    plan: &Plan<S>,
    value: impl Fn(f32) -> T,
    sink: Box<dyn Sink<S, T> + '_>,
    on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), PredictError> {
    plan.check(model, sink.extent())?;
    let take = |window: &Window<S>, logits: Array<f32, S::ChannelDim>| {
        let values = logits.map(|&logit| value(logit));
        Ok(sink.write(window, &values.view())?)
    };
    walk(model, image, plan, take, on_progress)?;
    Ok(sink.finish()?)
}
