//! Which patches are cut, in which order.

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use segmenter_core::{Sample, Space, Window};
use segmenter_model::{Normalisation, Scaling};

use crate::{Crop, DataError, TrainConfig, data::for_each_counted, patch::Patch};

/// Voxels of an image that patches can be placed on. More would not vary the patches noticeably.
const REMEMBERED: usize = 4096;

/// Patches drawn anywhere before one is placed on a voxel that is known to count.
const TRIES: usize = 8;

/// Random numbers for different purposes come from different streams of one generator, so that each
/// batch can be made on its own, in any order.
#[derive(Clone, Copy)]
enum Purpose {
    Order = 1,
    Batch = 2,
    Remember = 3,
}

fn random(seed: u64, purpose: Purpose, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let index = u64::try_from(index).unwrap_or(u64::MAX) & (u64::MAX >> 8);
    rng.set_stream((purpose as u64) << 56 | index);
    rng
}

/// The images with what is needed to draw patches from them.
pub(crate) struct Sampler<'a, S: Space> {
    images: Vec<Image<'a, S>>,
    config: &'a TrainConfig<S>,
}

struct Image<'a, S: Space> {
    sample: &'a Sample<S>,
    scaling: Scaling,
    foreground: Vec<S::Extent>,
    counted: Vec<S::Extent>,
}

impl<'a, S: Space> Sampler<'a, S> {
    /// Reads every image once, slice by slice.
    pub(crate) fn new(
        samples: &'a [Sample<S>],
        normalisation: &Normalisation,
        config: &'a TrainConfig<S>,
    ) -> Result<Self, DataError> {
        let prepare = |(index, sample): (usize, &'a Sample<S>)| {
            let rng = random(config.seed, Purpose::Remember, index);
            Image::new(sample, normalisation, rng)
        };
        let images = samples.iter().enumerate().map(prepare).collect::<Result<_, _>>()?;
        Ok(Self { images, config })
    }

    pub(crate) fn steps_per_epoch(&self) -> usize {
        self.config.steps_per_epoch(self.images.len())
    }

    /// The patches of one step, counted over the whole run. The same step always has the same
    /// patches.
    pub(crate) fn batch(&self, step: usize) -> Result<Vec<Patch<S>>, DataError> {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let order = self.order(epoch);
        let mut rng = random(self.config.seed, Purpose::Batch, step);
        let first = within * self.config.batch;
        (first..first + self.config.batch)
            .map(|place| self.images[order[place % order.len()]].draw(self.config, &mut rng))
            .collect()
    }

    /// Each image as often as it is cut, shuffled.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let repeats = self.config.patches_per_image;
        let mut order: Vec<usize> = (0..self.images.len() * repeats).map(|i| i / repeats).collect();
        order.shuffle(&mut random(self.config.seed, Purpose::Order, epoch));
        order
    }
}

impl<'a, S: Space> Image<'a, S> {
    fn new(
        sample: &'a Sample<S>,
        normalisation: &Normalisation,
        mut rng: ChaCha8Rng,
    ) -> Result<Self, DataError> {
        let scaling = normalisation
            .scaling(sample.raw())
            .map_err(|source| DataError::Read { name: sample.name().to_owned(), source })?;
        let (mut foreground, mut counted) = (Reservoir::default(), Reservoir::default());
        for window in Window::<S>::slices(sample.extent()) {
            for_each_counted(sample, &window, |offset, inside| {
                let place = || position::<S>(&window, offset);
                counted.offer(place, &mut rng);
                if inside {
                    foreground.offer(place, &mut rng);
                }
            })?;
        }
        Ok(Self { sample, scaling, foreground: foreground.kept, counted: counted.kept })
    }

    fn draw(&self, config: &TrainConfig<S>, rng: &mut ChaCha8Rng) -> Result<Patch<S>, DataError> {
        let mut patch = self.cut(self.start(config, rng), config)?;
        let mut tries = 1;
        while config.crop == Crop::Counted && !patch.counts() {
            let start = if tries < TRIES {
                self.anywhere(config, rng)
            } else {
                self.around(&self.counted, config.patch, rng)
            };
            patch = self.cut(start, config)?;
            tries += 1;
        }
        config.augmentation.apply(&mut patch, rng);
        Ok(patch)
    }

    fn cut(&self, start: S::Extent, config: &TrainConfig<S>) -> Result<Patch<S>, DataError> {
        Patch::cut(self.sample, &self.scaling, start, config.patch)
    }

    fn start(&self, config: &TrainConfig<S>, rng: &mut ChaCha8Rng) -> S::Extent {
        if rng.random_bool(config.foreground_share) && !self.foreground.is_empty() {
            self.around(&self.foreground, config.patch, rng)
        } else {
            self.anywhere(config, rng)
        }
    }

    /// Any start at which the patch lies in the image; the last is one of them, but not in CytoDL.
    fn anywhere(&self, config: &TrainConfig<S>, rng: &mut ChaCha8Rng) -> S::Extent {
        let last = |axis| match config.crop {
            Crop::Counted => self.last_start(config.patch, axis),
            Crop::CytoDl => self.last_start(config.patch, axis).saturating_sub(1),
        };
        S::extent_from_fn(|axis| rng.random_range(0..=last(axis)))
    }

    /// A start at which the patch holds one of these voxels, anywhere in it.
    fn around(&self, voxels: &[S::Extent], patch: S::Extent, rng: &mut ChaCha8Rng) -> S::Extent {
        let voxel = voxels[rng.random_range(0..voxels.len())];
        S::extent_from_fn(|axis| {
            let (voxel, last) = (voxel.as_ref()[axis], self.last_start(patch, axis));
            let first = (voxel + 1).saturating_sub(patch.as_ref()[axis]);
            rng.random_range(first.min(last)..=voxel.min(last))
        })
    }

    fn last_start(&self, patch: S::Extent, axis: usize) -> usize {
        self.sample.extent().as_ref()[axis].saturating_sub(patch.as_ref()[axis])
    }
}

/// The position in the image of the voxel at this offset in a window, last axis fastest.
fn position<S: Space>(window: &Window<S>, mut offset: usize) -> S::Extent {
    let mut position = window.start;
    for (position, &size) in position.as_mut().iter_mut().zip(window.extent.as_ref()).rev() {
        *position += offset % size;
        offset /= size;
    }
    position
}

/// A uniform choice from a sequence of unknown length (Vitter 1985, algorithm R).
struct Reservoir<T> {
    kept: Vec<T>,
    offered: u64,
}

impl<T> Default for Reservoir<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), offered: 0 }
    }
}

impl<T> Reservoir<T> {
    fn offer(&mut self, item: impl Fn() -> T, rng: &mut impl Rng) {
        self.offered += 1;
        if self.kept.len() < REMEMBERED {
            self.kept.push(item());
            return;
        }
        let place = rng.random_range(0..self.offered);
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = item();
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis};
    use segmenter_core::{Mask2, Stack2, Yx};

    use super::*;
    use crate::{Augmentation, TrainingData};

    /// The raw image counts its voxels, so a patch tells where it was cut.
    fn counting(name: &str, extent: [usize; 2], target: Mask2) -> Sample<Yx> {
        let raw = Array2::from_shape_fn(extent, |(y, x)| u16::try_from(y * 100 + x).unwrap());
        Sample::new(name, Stack2::new(raw), target).unwrap()
    }

    fn corner() -> Mask2 {
        let mut target = Mask2::none([40, 40]);
        target.view_mut()[[0, 39]] = true;
        target
    }

    fn unscaled() -> Normalisation {
        Normalisation::Fixed(Scaling { mean: vec![0.0], deviation: vec![1.0] })
    }

    fn plain(patch: [usize; 2]) -> TrainConfig<Yx> {
        TrainConfig::new(patch).with_augmentation(Augmentation::none()).with_batch(4)
    }

    #[test]
    fn a_step_has_the_same_patches_whenever_it_is_asked_for() {
        let samples =
            [counting("a", [40, 40], corner()), counting("b", [30, 50], Mask2::none([30, 50]))];
        let config = TrainConfig::<Yx>::new([16, 16]);
        let sampler = Sampler::new(&samples, &Normalisation::ZScore, &config).unwrap();
        let again = Sampler::new(&samples, &Normalisation::ZScore, &config).unwrap();
        sampler.batch(0).unwrap();
        let raws = |s: &Sampler<'_, Yx>| -> Vec<_> {
            s.batch(3).unwrap().into_iter().map(|patch| patch.raw).collect()
        };
        assert_eq!(raws(&sampler), raws(&again));
        let other = sampler.batch(2).unwrap().into_iter().map(|patch| patch.raw);
        assert_ne!(raws(&again), other.collect::<Vec<_>>());
    }

    #[test]
    fn patches_on_the_foreground_hold_it_even_in_a_corner() {
        let samples = [counting("a", [40, 40], corner())];
        let mut config = plain([8, 8]);
        config.foreground_share = 1.0;
        let sampler = Sampler::new(&samples, &unscaled(), &config).unwrap();
        for patch in sampler.batch(0).unwrap() {
            assert_eq!(patch.target.sum(), 1.0);
            assert_eq!(patch.raw[[0, 0, 7]], 39.0);
        }
    }

    #[test]
    fn every_start_is_drawn_the_last_included() {
        let samples = [counting("a", [10, 9], Mask2::all([10, 9]))];
        let mut config = plain([8, 8]);
        config.foreground_share = 0.0;
        let sampler = Sampler::new(&samples, &unscaled(), &config).unwrap();
        let patches = (0..40).flat_map(|step| sampler.batch(step).unwrap());
        let starts: std::collections::BTreeSet<String> =
            patches.map(|patch| patch.raw[[0, 0, 0]].to_string()).collect();
        assert_eq!(starts.into_iter().collect::<Vec<_>>(), ["0", "1", "100", "101", "200", "201"]);
    }

    #[test]
    fn an_image_smaller_than_the_patch_lies_in_its_middle_and_the_padding_does_not_count() {
        let samples = [counting("a", [3, 40], Mask2::all([3, 40]))];
        let config = plain([8, 8]);
        let sampler = Sampler::new(&samples, &unscaled(), &config).unwrap();
        let patch = sampler.batch(0).unwrap().remove(0);
        let rows = patch.counted.sum_axis(Axis(2));
        assert_eq!(rows.as_slice().unwrap(), [0.0, 0.0, 8.0, 8.0, 8.0, 0.0, 0.0, 0.0]);
        assert_eq!(patch.raw[[0, 0, 0]], 0.0);
        assert!(patch.raw[[0, 4, 0]] >= 200.0);
    }

    #[test]
    fn a_patch_without_a_counted_voxel_is_never_drawn() {
        let one = counting("a", [40, 40], corner()).with_counted(corner()).unwrap();
        let config = plain([8, 8]);
        let data = TrainingData::new(vec![one], Vec::new()).unwrap();
        let sampler = Sampler::new(data.train(), &unscaled(), &config).unwrap();
        for step in 0..20 {
            assert!(sampler.batch(step).unwrap().iter().all(Patch::counts));
        }
    }

    #[test]
    fn image_target_and_counted_voxels_are_flipped_and_turned_together() {
        let mut target = Mask2::none([40, 40]);
        target
            .view_mut()
            .indexed_iter_mut()
            .for_each(|((y, x), inside)| *inside = (y * 100 + x).is_multiple_of(3));
        let sample = counting("a", [40, 40], target.clone()).with_counted(target).unwrap();
        let augmentation = Augmentation { flip: 0.5, turn: 0.5, ..Augmentation::none() };
        let config = TrainConfig::<Yx>::new([8, 8]).with_augmentation(augmentation);
        let samples = [sample];
        let sampler = Sampler::new(&samples, &unscaled(), &config).unwrap();
        let mut moved = 0;
        for patch in (0..10).flat_map(|step| sampler.batch(step).unwrap()) {
            for ((&raw, &target), &counted) in
                patch.raw.iter().zip(&patch.target).zip(&patch.counted)
            {
                assert_eq!(raw.rem_euclid(3.0) == 0.0, target == 1.0);
                assert_eq!(target, counted);
            }
            moved += usize::from(patch.raw[[0, 0, 1]] - patch.raw[[0, 0, 0]] != 1.0);
        }
        assert!(moved > 20, "{moved} of 80 were moved");
    }
}
