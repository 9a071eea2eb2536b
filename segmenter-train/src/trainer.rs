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
    Crop, EpochReport, Event, Run, TrainConfig, TrainError, TrainingData, folder::RunFolder,
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
    let mut listener = Listener { on_event: &mut on_event, stop: false };
    let mut training = Training::new(start, data, config, folder)?;
    training.run(&mut listener)?;
    training.finish(&mut listener)
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
    check_extents(data, config)
}

/// CytoDL pads nothing.
fn check_extents<S: Space>(
    data: &TrainingData<S>,
    config: &TrainConfig<S>,
) -> Result<(), TrainError> {
    if config.crop == Crop::Counted {
        return Ok(());
    }
    let patch = config.patch.as_ref();
    let shorter = |extent: S::Extent| extent.as_ref().iter().zip(patch).any(|(e, p)| e < p);
    let shorter = data.train().iter().filter(|sample| shorter(sample.extent()));
    let names: Vec<String> = shorter.map(|sample| sample.name().to_owned()).collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(TrainError::Shorter { names, patch: patch.to_vec() }),
    }
}

/// The caller's callback, and whether it has said stop.
pub(crate) struct Listener<'a> {
    on_event: &'a mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    pub(crate) stop: bool,
}

impl Listener<'_> {
    pub(crate) fn tell(&mut self, event: &Event<'_>) {
        self.stop |= (self.on_event)(event).is_break();
    }
}

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
            network: start.into_network().with_precision(config.precision).train(),
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

    fn run(&mut self, listener: &mut Listener<'_>) -> Result<(), TrainError> {
        let (images, epochs, steps) = (self.data.train().len(), self.config.epochs, self.steps());
        listener.tell(&Event::Started { images, epochs, steps });
        for epoch in 1..=epochs {
            let Some(loss) = self.epoch(listener)? else { return Ok(()) };
            self.end_epoch(epoch, loss, listener)?;
        }
        Ok(())
    }

    /// The mean loss of an epoch's steps, or `None` if it was stopped.
    fn epoch(&mut self, listener: &mut Listener<'_>) -> Result<Option<f64>, TrainError> {
        let steps_per_epoch = self.sampler.steps_per_epoch();
        let mut losses = 0.0;
        for _ in 0..steps_per_epoch {
            if listener.stop {
                return Ok(None);
            }
            let loss = self.take_step()?;
            losses += f64::from(loss);
            listener.tell(&Event::Step {
                step: self.step,
                steps: self.steps(),
                loss,
                learning_rate: self.rate(self.step - 1),
                voxels_per_second: self.voxels_per_second(),
            });
        }
        #[allow(clippy::cast_precision_loss, reason = "a number of steps")]
        let mean = losses / steps_per_epoch as f64;
        Ok(Some(mean))
    }

    /// One optimiser step; its loss.
    fn take_step(&mut self) -> Result<f32, TrainError> {
        let (config, learning_rate) = (self.config, self.rate(self.step));
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
            return Err(TrainError::Diverged { step: self.step, loss, learning_rate });
        }
        self.network = self.optimiser.step(learning_rate, self.network.clone(), gradients);
        Ok(loss)
    }

    fn end_epoch(
        &mut self,
        epoch: usize,
        loss: f64,
        listener: &mut Listener<'_>,
    ) -> Result<(), TrainError> {
        let config = self.config;
        let due = epoch.is_multiple_of(config.validate_every) || epoch == config.epochs;
        let mut report = EpochReport {
            epoch,
            epochs: config.epochs,
            step: self.step,
            learning_rate: self.rate(self.step - 1),
            loss,
            validation_dice: None,
            best: false,
            seconds: 0.0,
        };
        if due {
            self.validate(&mut report, listener)?;
        }
        report.seconds = self.began.elapsed().as_secs_f64();
        self.history.push(report.clone());
        if due {
            self.save(Checkpoint::Last, &self.model(report.validation_dice), listener)?;
        }
        listener.tell(&Event::Epoch(&report));
        Ok(())
    }

    /// Scores the network, and keeps it if it is the best so far.
    fn validate(
        &mut self,
        report: &mut EpochReport,
        listener: &mut Listener<'_>,
    ) -> Result<(), TrainError> {
        let dice = validate(&self.model(None), self.data.validation(), listener)?;
        report.validation_dice = dice;
        let Some(dice) = dice else { return Ok(()) };
        report.best = self.best.as_ref().is_none_or(|(best, _)| dice > *best);
        if report.best {
            let model = self.model(Some(dice));
            self.save(Checkpoint::Best, &model, listener)?;
            self.best = Some((dice, model));
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 0.
    fn rate(&self, step: usize) -> f64 {
        let config = self.config;
        let per_epoch = self.sampler.steps_per_epoch();
        config.schedule.rate(config.learning_rate, step, self.steps(), per_epoch)
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn voxels_per_second(&self) -> f64 {
        let patch = S::voxels(self.config.patch).unwrap_or(0) * self.config.batch;
        (patch * self.step) as f64 / self.began.elapsed().as_secs_f64()
    }

    /// The network as it is now, with its score if it has one.
    fn model(&self, validation_dice: Option<f64>) -> Model<S> {
        let mut card = self.card.clone();
        card.provenance.steps = self.earlier_steps + u64::try_from(self.step).unwrap_or(u64::MAX);
        card.provenance.validation_dice = validation_dice;
        Model::from_parts(self.network.valid(), card, &self.device)
    }

    fn save(
        &self,
        which: Checkpoint,
        model: &Model<S>,
        listener: &mut Listener<'_>,
    ) -> Result<(), TrainError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path: PathBuf = match which {
            Checkpoint::Best => folder.save_best(model)?,
            Checkpoint::Last => folder.save_last(model, &self.history)?,
        };
        listener.tell(&Event::Saved { path: &path });
        Ok(())
    }

    fn finish(self, listener: &mut Listener<'_>) -> Result<Run<S>, TrainError> {
        let stopped = self.step < self.steps();
        let score = self.history.last().filter(|report| report.step == self.step);
        let last = self.model(score.and_then(|report| report.validation_dice));
        if stopped {
            self.save(Checkpoint::Last, &last, listener)?;
        }
        if self.best.is_none() {
            self.save(Checkpoint::Best, &last, listener)?;
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
            images: data.train().iter().map(|sample| file_name(sample.name())).collect(),
            steps: 0,
            validation_dice: None,
            parent,
        },
        ..before.clone()
    }
}

/// A model is passed on; where its images were on somebody's disk is nobody's business.
fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned()
}
