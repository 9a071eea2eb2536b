//! The walk over the tiles of an image, which hands over parts of the result as they are complete.

use std::ops::ControlFlow;

use ndarray::Array;
use segmenter_core::{Source, Space, Window};
use segmenter_model::Model;

use crate::{Plan, PredictError, Progress, blend::Blend, frame::Frame};

/// Runs a model over an image as planned. The tiles of a voxel are added in the order of
/// [`Tiling::windows`](crate::Tiling::windows) whatever the plan is, so its logits are the same bits.
///
/// `take` gets the logits of boxes of the image, column by column, and in each from its first slice on.
pub(crate) fn walk<S: Space>(
    model: &Model<S>,
    image: &dyn Source<S, f32>,
    plan: &Plan<S>,
    mut take: impl FnMut(&Window<S>, Array<f32, S::ChannelDim>) -> Result<(), PredictError>,
    on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), PredictError> {
    plan.check(model, image.extent())?;
    let frame = Frame::new(model, image, plan.tiling())?;
    let compiled = model.compile(plan.tiling().tile());
    let progress = Progress { done: 0, total: plan.tiles() };
    let mut walk = Walk { model, plan, frame, compiled, progress, on_progress };
    plan.columns().try_for_each(|column| walk.column(&column, &mut take))
}

struct Walk<'a, S: Space, F> {
    model: &'a Model<S>,
    plan: &'a Plan<S>,
    frame: Frame<'a, S>,
    compiled: segmenter_model::Compiled<'a, S>,
    progress: Progress,
    on_progress: F,
}

impl<S: Space, F: FnMut(Progress) -> ControlFlow<()>> Walk<'_, S, F> {
    fn column(
        &mut self,
        column: &Window<S>,
        take: &mut impl FnMut(&Window<S>, Array<f32, S::ChannelDim>) -> Result<(), PredictError>,
    ) -> Result<(), PredictError> {
        let layers = self.plan.layers(column);
        let (margin, slices) = (self.frame.margin.as_ref()[0], column.extent.as_ref()[0]);
        let mut done = 0;
        let mut blend = self.blend(column)?;
        for (at, layer) in layers.iter().enumerate() {
            self.layer(layer, &mut blend)?;
            let ready = match layers.get(at + 1) {
                Some(next) => self.plan.whole_blocks(next[0].range(0).start - margin),
                None => slices,
            };
            while done < ready {
                let last = ready.min(done + self.plan.slices_at_once());
                let mut window = *column;
                window.start.as_mut()[0] = done;
                window.extent.as_mut()[0] = last - done;
                take(&window, blend.take(done + margin..last + margin))?;
                done = last;
            }
        }
        Ok(())
    }

    fn blend(&self, column: &Window<S>) -> Result<Blend<S>, PredictError> {
        let channels = self.model.card().network.out_channels;
        let part = self.frame.shifted(column);
        let blend = Blend::new(channels, part, self.plan.height(), self.plan.tiling());
        let too_large = |_| PredictError::TooLarge(self.plan.extent().as_ref().to_vec());
        Ok(blend.map_err(too_large)?.with_rounding(self.model.is_autocast()))
    }

    /// The tiles that begin in the same slice.
    fn layer(&mut self, layer: &[Window<S>], blend: &mut Blend<S>) -> Result<(), PredictError> {
        for windows in layer.chunks(self.plan.at_once()) {
            let tiles = windows
                .iter()
                .map(|window| self.frame.read(window))
                .collect::<Result<Vec<_>, _>>()?;
            let views: Vec<_> = tiles.iter().map(|tile| tile.view()).collect();
            for (window, logits) in windows.iter().zip(self.compiled.logits(&views)) {
                let logits = logits.as_standard_layout();
                blend.add(window, logits.as_slice().unwrap_or_default());
                self.progress.done += 1;
                let stop = (self.on_progress)(self.progress).is_break();
                if stop && self.progress.done < self.progress.total {
                    return Err(PredictError::Stopped(self.progress));
                }
            }
        }
        Ok(())
    }
}
