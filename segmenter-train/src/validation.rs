//! Scoring whole images.

use std::ops::ControlFlow;

use ndarray::Axis;
use segmenter_core::{Mask, Sample, Space, Window, metrics::Overlap};
use segmenter_model::Model;
use segmenter_predict::{Tiling, predict};

use crate::{DataError, Event, TrainError, trainer::Listener};

/// The mean Dice over whole images; `None` if there are none, or the callback says stop before all
/// are scored.
pub(crate) fn validate<S: Space>(
    model: &Model<S>,
    samples: &[Sample<S>],
    listener: &mut Listener<'_>,
) -> Result<Option<f64>, TrainError> {
    let mut sum = 0.0;
    for sample in samples {
        if listener.stop {
            return Ok(None);
        }
        let dice = score(model, sample)?;
        sum += dice;
        listener.tell(&Event::Scored { name: sample.name(), dice });
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of images")]
    let mean = (!samples.is_empty()).then(|| sum / samples.len() as f64);
    Ok(mean)
}

/// The Dice of one image, over its counted voxels, averaged over the structures.
fn score<S: Space>(model: &Model<S>, sample: &Sample<S>) -> Result<f64, TrainError> {
    let failed = |source| TrainError::Validation { name: sample.name().to_owned(), source };
    let logits = predict(model, sample.raw(), &Tiling::of(model), |_| ControlFlow::Continue(()))
        .map_err(failed)?;
    let whole = Window::whole(sample.extent());
    let read = |source| DataError::Read { name: sample.name().to_owned(), source };
    let target = sample.target().read(&whole).map_err(read)?;
    let counted = sample.counted().map(|counted| counted.read(&whole)).transpose().map_err(read)?;
    let counted = counted.map(|counted| Mask::<S>::new(counted.index_axis_move(Axis(0), 0)));
    let mut sum = 0.0;
    for structure in 0..logits.channels() {
        let found = logits.mask(structure, model.card().threshold);
        let truth = Mask::new(target.index_axis(Axis(0), structure).to_owned());
        sum += Overlap::of(&found, &truth, counted.as_ref()).map_or(0.0, |overlap| overlap.dice());
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of structures")]
    Ok(sum / logits.channels() as f64)
}
