//! The training loop.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::{
    module::Module,
    optim::{AdamConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig},
    tensor::{Device, Tensor},
};
use ndarray::ArrayView;
use segmenter_core::Space;
use segmenter_model::{DynUNet, Model, ModelCard, Provenance, tensor};

use crate::{
    EpochReport, Event, Run, TrainConfig, TrainError, TrainingData, folder::RunFolder,
    patch::Patch, sampling::Sampler, validation::validate,
};

/// Trains a model, starting from what it is: [`Model::init`] for a new one, [`Model::load`] to
/// fine-tune.
///
/// After each validated epoch the network is scored on whole validation images, with the predictor's
/// own tiling, so what is scored is what is shipped. With a folder, the run writes there:
///
/// | file | what |
/// |---|---|
/// | `best.safetensors` | the model at its best validation |
/// | `last.safetensors` | the model at the last validated epoch |
/// | `metrics.csv` | one row an epoch |
/// | `config.json` | the settings |
///
/// The callback hears of every [`Event`]; when it breaks, the run ends in good order after that
/// step, with its last state saved.
///
/// # Errors
/// If the settings, the data and the model do not go together, the folder already holds a run, the
/// loss stops being a number, or a file can't be read or written.
pub fn train<S: Space>(
    start: Model<S>,
    data: &TrainingData<S>,
    config: &TrainConfig<S>,
    folder: Option<&Path>,
    mut on_event: impl FnMut(&Event<'_>) -> ControlFlow<()>,
) -> Result<Run<S>, TrainError> {
    check(&start, data, config)?;
    let folder = folder.map(|path| RunFolder::create(path, config)).transpose()?;
    let mut training = Training::new(start, data, config, folder)?;
    let stopped = training.run(&mut on_event)?.is_break();
    training.finish(stopped, &mut on_event)
}

fn check<S: Space>(
    start: &Model<S>,
    data: &TrainingData<S>,
    config: &TrainConfig<S>,
) -> Result<(), TrainError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(TrainError::Config(faults));
    }
    let network = &start.card().network;
    network.check_patch(config.patch)?;
    network.check_patch(config.tile)?;
    for (what, found, expected) in [
        ("channels", data.channels(), network.in_channels),
        ("structures", data.structures(), network.out_channels),
    ] {
        if found != expected {
            return Err(TrainError::Channels { what, found, expected });
        }
    }
    Ok(())
}

pub(crate) type OnEvent<'a> = dyn FnMut(&Event<'_>) -> ControlFlow<()> + 'a;

/// A run under way.
struct Training<'a, S: Space> {
    data: &'a TrainingData<S>,
    config: &'a TrainConfig<S>,
    folder: Option<RunFolder>,
    sampler: Sampler<'a, S>,
    card: ModelCard<S>,
    /// Steps behind the network before this run.
    earlier_steps: u64,
    device: Device,
    network: DynUNet,
    optimiser: ModuleOptimizer,
    best: Option<(f64, Model<S>)>,
    history: Vec<EpochReport>,
    step: usize,
    began: Instant,
}

impl<'a, S: Space> Training<'a, S> {
    fn new(
        start: Model<S>,
        data: &'a TrainingData<S>,
        config: &'a TrainConfig<S>,
        folder: Option<RunFolder>,
    ) -> Result<Self, TrainError> {
        let sampler = Sampler::new(data.train(), &start.card().normalisation, config)?;
        let device = start.device().clone();
        let optimiser = AdamConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(Some(WeightDecayConfig::new(config.weight_decay)))
            .init();
        Ok(Self {
            data,
            config,
            folder,
            sampler,
            card: card(&start, data, config),
            earlier_steps: start.card().provenance.steps,
            network: start.into_network().train(),
            device,
            optimiser,
            best: None,
            history: Vec::new(),
            step: 0,
            began: Instant::now(),
        })
    }

    fn steps(&self) -> usize {
        self.config.epochs * self.sampler.steps_per_epoch()
    }

    fn run(&mut self, on_event: &mut OnEvent<'_>) -> Result<ControlFlow<()>, TrainError> {
        let (images, epochs, steps) = (self.data.train().len(), self.config.epochs, self.steps());
        if on_event(&Event::Started { images, epochs, steps }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for epoch in 1..=epochs {
            if self.epoch(epoch, on_event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn epoch(
        &mut self,
        epoch: usize,
        on_event: &mut OnEvent<'_>,
    ) -> Result<ControlFlow<()>, TrainError> {
        let mut losses = 0.0;
        for _ in 0..self.sampler.steps_per_epoch() {
            let (loss, learning_rate) = self.take_step()?;
            losses += f64::from(loss);
            let (step, steps) = (self.step, self.steps());
            let voxels_per_second = self.voxels_per_second();
            let event = Event::Step { step, steps, loss, learning_rate, voxels_per_second };
            if on_event(&event).is_break() && step < steps {
                return Ok(ControlFlow::Break(()));
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a number of steps")]
        let loss = losses / self.sampler.steps_per_epoch() as f64;
        self.end_epoch(epoch, loss, on_event)
    }

    /// One optimiser step; its loss and learning rate.
    fn take_step(&mut self) -> Result<(f32, f64), TrainError> {
        let config = self.config;
        let rate = config.schedule.rate(
            config.learning_rate,
            self.step,
            self.steps(),
            self.sampler.steps_per_epoch(),
        );
        let patches = self.sampler.batch(self.step)?;
        let device = self.device.clone().autodiff();
        let stack = |part: fn(&Patch<S>) -> ArrayView<'_, f32, S::ChannelDim>| -> Tensor<5> {
            tensor::batch::<S>(&patches.iter().map(part).collect::<Vec<_>>(), &device)
        };
        let logits = self.network.forward(stack(|patch| patch.raw.view()));
        let (target, counted) = (stack(|patch| patch.target.view()), stack(|p| p.counted.view()));
        let loss = config.loss.forward(logits, target, counted);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        let loss = loss.into_scalar::<f32>();
        self.step += 1;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step: self.step, loss, learning_rate: rate });
        }
        self.network = self.optimiser.step(rate, self.network.clone(), gradients);
        Ok((loss, rate))
    }

    fn end_epoch(
        &mut self,
        epoch: usize,
        loss: f64,
        on_event: &mut OnEvent<'_>,
    ) -> Result<ControlFlow<()>, TrainError> {
        let config = self.config;
        let due = epoch.is_multiple_of(config.validate_every) || epoch == config.epochs;
        let model = self.model();
        let samples = if due { self.data.validation() } else { &[] };
        let (validation_dice, scored) = validate(&model, samples, on_event)?;
        let best = validation_dice
            .is_some_and(|dice| self.best.as_ref().is_none_or(|(best, _)| dice > *best));
        let model = with_dice(&model, validation_dice);
        let report = EpochReport {
            epoch,
            epochs: config.epochs,
            step: self.step,
            learning_rate: self.rate_of_last_step(),
            loss,
            validation_dice,
            best,
            seconds: self.began.elapsed().as_secs_f64(),
        };
        self.history.push(report);
        if let (true, Some(dice)) = (best, validation_dice) {
            self.save(Checkpoint::Best, &model, on_event)?;
            self.best = Some((dice, model.clone()));
        }
        if due {
            self.save(Checkpoint::Last, &model, on_event)?;
        }
        let told = self
            .history
            .last()
            .map_or(ControlFlow::Continue(()), |report| on_event(&Event::Epoch(report)));
        let stop = (scored.is_break() || told.is_break()) && epoch < config.epochs;
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn rate_of_last_step(&self) -> f64 {
        let config = self.config;
        let step = self.step.saturating_sub(1);
        let per_epoch = self.sampler.steps_per_epoch();
        config.schedule.rate(config.learning_rate, step, self.steps(), per_epoch)
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn voxels_per_second(&self) -> f64 {
        let patch = S::voxels(self.config.patch).unwrap_or(0) * self.config.batch;
        (patch * self.step) as f64 / self.began.elapsed().as_secs_f64()
    }

    /// The network as it is now.
    fn model(&self) -> Model<S> {
        let mut card = self.card.clone();
        card.provenance.steps = self.earlier_steps + u64::try_from(self.step).unwrap_or(u64::MAX);
        Model::from_parts(self.network.valid(), card, &self.device)
    }

    fn save(
        &self,
        which: Checkpoint,
        model: &Model<S>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), TrainError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path: PathBuf = match which {
            Checkpoint::Best => folder.save_best(model)?,
            Checkpoint::Last => folder.save_last(model, &self.history)?,
        };
        // Stopping is for steps and epochs; a file that was written is only told.
        let _ = on_event(&Event::Saved { path: &path });
        Ok(())
    }

    fn finish(self, stopped: bool, on_event: &mut OnEvent<'_>) -> Result<Run<S>, TrainError> {
        let last = self.model();
        if stopped {
            self.save(Checkpoint::Last, &last, on_event)?;
        }
        if self.best.is_none() {
            self.save(Checkpoint::Best, &last, on_event)?;
        }
        let model = self.best.map_or_else(|| last.clone(), |(_, model)| model);
        Ok(Run { model, last, history: self.history, stopped })
    }
}

#[derive(Clone, Copy)]
enum Checkpoint {
    Best,
    Last,
}

/// What the trained model will say about itself.
fn card<S: Space>(
    start: &Model<S>,
    data: &TrainingData<S>,
    config: &TrainConfig<S>,
) -> ModelCard<S> {
    let before = start.card();
    let parent =
        (before.provenance != Provenance::default()).then(|| Box::new(before.provenance.clone()));
    ModelCard {
        patch: config.patch,
        tile: config.tile,
        voxel_size: data.voxel_size(),
        provenance: Provenance {
            made_by: concat!("segmenter ", env!("CARGO_PKG_VERSION")).to_owned(),
            images: data.train().iter().map(|sample| sample.name().to_owned()).collect(),
            steps: 0,
            validation_dice: None,
            parent,
        },
        ..before.clone()
    }
}

fn with_dice<S: Space>(model: &Model<S>, dice: Option<f64>) -> Model<S> {
    let mut card = model.card().clone();
    card.provenance.validation_dice = dice;
    Model::from_parts(model.network().clone(), card, model.device())
}
