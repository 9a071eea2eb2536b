//! Two rounds of training on the same kind of images, scored on images that neither has seen.

#![allow(clippy::print_stdout, reason = "programs print")]

use std::{ops::ControlFlow, path::Path};

use segmenter::{
    Device, DynUNetConfig, Event, Mask, Model, Sample, Space, Stack, Tiling, TrainConfig,
    TrainingData, metrics, predict, train,
};

use super::{
    AnyError, bar, pictures,
    scores::{self, Scores},
};

/// Images for two rounds of training, and unseen ones to score on.
pub(crate) struct Rounds<S: Space> {
    /// What the first round learns from.
    pub(crate) first: Vec<Sample<S>>,
    /// What the second round learns from besides.
    pub(crate) more: Vec<Sample<S>>,
    /// What tells which state of the network is best.
    pub(crate) validation: Vec<Sample<S>>,
    /// What is scored at the end.
    pub(crate) unseen: Vec<Unseen<S>>,
    /// How to train.
    pub(crate) config: TrainConfig<S>,
    /// Optimiser steps of the two rounds.
    pub(crate) steps: [usize; 2],
}

/// An image with its truth.
pub(crate) struct Unseen<S: Space> {
    pub(crate) name: String,
    pub(crate) raw: Stack<S, f32>,
    pub(crate) truth: Mask<S>,
}

impl<S: Space> Rounds<S> {
    /// Trains, predicts, fine-tunes on more images, predicts again, and tells the Dice of each. Writes
    /// models, masks and pictures.
    pub(crate) fn run(self, output: &Path) -> Result<(), AnyError> {
        let device = Device::flex();
        println!("Otsu's threshold, no learning: {}", self.otsu()?);

        let channels = self.unseen.first().map_or(1, |image| image.raw.channels());
        let network = DynUNetConfig::small().with_in_channels(channels);
        let start = Model::init(network, self.config.patch, 1, &device)?;
        let data = TrainingData::new(self.first.clone(), self.validation.clone())?;
        let model = self.round("training", start, &data, 0, &output.join("first_round"))?;
        println!("after training: {}", self.scores(&self.found(&model)?)?);

        let all = self.first.iter().chain(&self.more).cloned().collect();
        let data = TrainingData::new(all, self.validation.clone())?;
        let model = self.round("fine-tuning", model, &data, 1, &output.join("second_round"))?;
        let found = self.found(&model)?;
        let scores = self.scores(&found)?;
        println!("after fine-tuning: {scores}");
        self.show(&found, output)?;
        println!("test Dice: {scores}");
        Ok(())
    }

    fn round(
        &self,
        what: &str,
        start: Model<S>,
        data: &TrainingData<S>,
        round: usize,
        folder: &Path,
    ) -> Result<Model<S>, AnyError> {
        let config = self.config.clone().with_steps(self.steps[round], data.train().len());
        let config = config.clone().with_validate_every(config.epochs.div_ceil(8));
        // A network that has learnt already is changed with smaller steps.
        let rate = if round == 0 { config.learning_rate } else { config.learning_rate / 3.0 };
        let config = config.with_learning_rate(rate);
        let progress = bar(0, what);
        println!("{what} on {} images", data.train().len());
        let run = train(start, data, &config, Some(folder), |event| {
            match event {
                Event::Started { steps, .. } => progress.set_length(*steps as u64),
                Event::Step { step, loss, .. } => {
                    progress.set_position(*step as u64);
                    progress.set_message(format!("loss {loss:.3}"));
                }
                Event::Epoch(report) => {
                    if let Some(dice) = report.validation_dice {
                        let (step, loss) = (report.step, report.loss);
                        progress.suspend(|| {
                            println!("  step {step}: loss {loss:.3}, validation Dice {dice:.3}");
                        });
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        progress.finish_and_clear();
        Ok(run.model)
    }

    fn otsu(&self) -> Result<Scores, AnyError> {
        let found = self.unseen.iter().map(|image| scores::otsu(&image.raw));
        self.scores(&found.collect::<Result<Vec<_>, _>>()?)
    }

    /// What a model finds in each unseen image.
    fn found(&self, model: &Model<S>) -> Result<Vec<Mask<S>>, AnyError> {
        let find = |image: &Unseen<S>| -> Result<Mask<S>, AnyError> {
            let go = |_| ControlFlow::Continue(());
            let logits = predict(model, &image.raw, &Tiling::of(model), go)?;
            Ok(logits.mask(0, model.card().threshold))
        };
        self.unseen.iter().map(find).collect()
    }

    fn scores(&self, found: &[Mask<S>]) -> Result<Scores, AnyError> {
        let pairs = self.unseen.iter().zip(found);
        let dice = pairs.map(|(image, found)| metrics::dice(found, &image.truth));
        Ok(Scores::new(dice.collect::<Result<_, _>>()?))
    }

    fn show(&self, found: &[Mask<S>], output: &Path) -> Result<(), AnyError> {
        for (image, found) in self.unseen.iter().zip(found) {
            let Unseen { name, raw, truth } = image;
            found.save(output.join("predictions").join(format!("{name}_mask.ome.tif")))?;
            let picture = pictures::comparison(raw, truth, found);
            picture.save(output.join("pictures").join(format!("{name}.png")))?;
        }
        println!("models, masks and pictures are in {}", output.display());
        Ok(())
    }
}
