//! What a network learns from, checked.

use std::collections::BTreeSet;

use ndarray::Axis;
use segmenter_core::{NonFinite, ReadError, Sample, Space, VoxelSize, Window};

/// Images to learn from and images to score on.
#[derive(Clone, Debug)]
pub struct TrainingData<S: Space> {
    train: Vec<Sample<S>>,
    validation: Vec<Sample<S>>,
    channels: usize,
    structures: usize,
}

/// Every fault of a data set.
#[derive(Debug, thiserror::Error)]
#[error("{} faults in the training data: {}", faults.len(), list(faults))]
pub struct DataFaults {
    /// The faults, in the order of the images.
    pub faults: Vec<DataError>,
}

/// One fault of a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is nothing to learn from.
    #[error("there are no images to train on")]
    NoImages,
    /// There is nothing to find.
    #[error(
        "no voxel of any training image is foreground and counts; check that the segmentations hold \
         values above 0 and that not everything is excluded"
    )]
    NoForeground,
    /// Nothing of an image counts.
    #[error("`{name}`: all of it is excluded; leave the image out")]
    NothingCounts {
        /// The image.
        name: String,
    },
    /// An image holds NaN or an infinity.
    #[error("`{name}`: {source}")]
    NonFinite {
        /// The image.
        name: String,
        /// Where.
        source: NonFinite,
    },
    /// An image differs from the first in its number of channels or structures.
    #[error("`{name}`: has {found} {what}, the first image has {expected}")]
    Channels {
        /// The image.
        name: String,
        /// "channels" or "structures".
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many the first image has.
        expected: usize,
    },
    /// An image without voxels.
    #[error("`{name}`: has no voxels, its extent is {extent:?}")]
    Empty {
        /// The image.
        name: String,
        /// Its extent.
        extent: Vec<usize>,
    },
    /// An image is in both parts.
    #[error("`{name}`: is in the training and in the validation part; a score on it means nothing")]
    Leak {
        /// The image.
        name: String,
    },
    /// An image can't be read.
    #[error("`{name}`: can't be read")]
    Read {
        /// The image.
        name: String,
        /// Why.
        source: ReadError,
    },
}

fn list(faults: &[DataError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl<S: Space> TrainingData<S> {
    /// Images to train on, and images to score on while training. There may be none of the latter;
    /// then the last state of the network is taken for its best.
    ///
    /// Every image is read once, slice by slice.
    ///
    /// # Errors
    /// With every fault found in any image.
    pub fn new(train: Vec<Sample<S>>, validation: Vec<Sample<S>>) -> Result<Self, DataFaults> {
        let Some(first) = train.first() else {
            return Err(DataFaults { faults: vec![DataError::NoImages] });
        };
        let (channels, structures) = (first.raw().channels(), first.target().channels());
        let data = Self { train, validation, channels, structures };
        let faults = data.faults();
        if faults.is_empty() { Ok(data) } else { Err(DataFaults { faults }) }
    }

    /// The images to train on.
    #[must_use]
    pub fn train(&self) -> &[Sample<S>] {
        &self.train
    }

    /// The images to score on.
    #[must_use]
    pub fn validation(&self) -> &[Sample<S>] {
        &self.validation
    }

    /// Channels of the raw images.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Structures that are segmented.
    #[must_use]
    pub fn structures(&self) -> usize {
        self.structures
    }

    /// The voxel size of the images to train on, if they agree on one.
    #[must_use]
    pub fn voxel_size(&self) -> Option<VoxelSize<S>> {
        let first = self.train.first()?.raw().voxel_size()?;
        let same = |sample: &Sample<S>| sample.raw().voxel_size() == Some(first);
        self.train.iter().all(same).then_some(first)
    }

    fn faults(&self) -> Vec<DataError> {
        let mut faults = Vec::new();
        let mut foreground = false;
        for (index, sample) in self.train.iter().chain(&self.validation).enumerate() {
            faults.extend(self.channel_faults(sample));
            match counted_foreground(sample) {
                Ok(voxels) => foreground |= index < self.train.len() && voxels > 0,
                Err(fault) => faults.push(fault),
            }
        }
        if !foreground && faults.is_empty() {
            faults.push(DataError::NoForeground);
        }
        faults.extend(self.leaks());
        faults
    }

    fn channel_faults(&self, sample: &Sample<S>) -> Vec<DataError> {
        let counts = [
            ("channels", sample.raw().channels(), self.channels),
            ("structures", sample.target().channels(), self.structures),
        ];
        let differ = counts.into_iter().filter(|(_, found, expected)| found != expected);
        differ
            .map(|(what, found, expected)| {
                let name = sample.name().to_owned();
                DataError::Channels { name, what, found, expected }
            })
            .collect()
    }

    fn leaks(&self) -> Vec<DataError> {
        let train: BTreeSet<&str> = self.train.iter().map(Sample::name).collect();
        let both = self.validation.iter().filter(|sample| train.contains(sample.name()));
        both.map(|sample| DataError::Leak { name: sample.name().to_owned() }).collect()
    }
}

/// The foreground voxels that count, found in one pass over an image that also checks it.
fn counted_foreground<S: Space>(sample: &Sample<S>) -> Result<u64, DataError> {
    let name = || sample.name().to_owned();
    if sample.extent().as_ref().contains(&0) {
        return Err(DataError::Empty { name: name(), extent: sample.extent().as_ref().to_vec() });
    }
    let (mut foreground, mut counted) = (0, 0);
    for window in Window::<S>::slices(sample.extent()) {
        let read = |source| DataError::Read { name: name(), source };
        let raw = sample.raw().read(&window).map_err(read)?;
        NonFinite::check(&raw.view()).map_err(|source| DataError::NonFinite {
            name: name(),
            source: source.shifted(window.start),
        })?;
        for_each_counted(sample, &window, |_, inside| {
            counted += 1;
            foreground += u64::from(inside);
        })?;
    }
    if counted == 0 {
        return Err(DataError::NothingCounts { name: name() });
    }
    Ok(foreground)
}

/// Calls back for each counted voxel of a window with its offset there, last axis fastest, and
/// whether it is foreground of any structure.
pub(crate) fn for_each_counted<S: Space>(
    sample: &Sample<S>,
    window: &Window<S>,
    mut each: impl FnMut(usize, bool),
) -> Result<(), DataError> {
    let read = |source| DataError::Read { name: sample.name().to_owned(), source };
    let target = sample.target().read(window).map_err(read)?;
    let counted = sample.counted().map(|counted| counted.read(window)).transpose().map_err(read)?;
    let any = target.fold_axis(Axis(0), false, |&any, &inside| any || inside);
    match counted {
        None => any.iter().enumerate().for_each(|(offset, &inside)| each(offset, inside)),
        Some(counted) => {
            let pairs = any.iter().zip(counted.iter()).enumerate();
            pairs.filter(|(_, (_, counts))| **counts).for_each(|(offset, (&inside, _))| {
                each(offset, inside);
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use segmenter_core::{Mask2, Stack2, Yx};

    use super::*;

    fn sample(name: &str, raw: Array2<f32>, target: Mask2) -> Sample<Yx> {
        Sample::new(name, Stack2::new(raw), target).unwrap()
    }

    fn zeros() -> Array2<f32> {
        Array2::zeros((4, 4))
    }

    #[test]
    fn every_fault_of_every_image_is_listed() {
        let mut bad = zeros();
        bad[[2, 3]] = f32::INFINITY;
        let excluded = sample("excluded", zeros(), Mask2::all([4, 4]))
            .with_counted(Mask2::none([4, 4]))
            .unwrap();
        let train = vec![sample("good", zeros(), Mask2::all([4, 4])), excluded];
        let validation = vec![
            sample("bad", bad, Mask2::none([4, 4])),
            sample("good", zeros(), Mask2::all([4, 4])),
        ];
        let faults = TrainingData::new(train, validation).unwrap_err().faults;
        let [DataError::NothingCounts { name }, DataError::NonFinite { source, .. }, leak] =
            faults.as_slice()
        else {
            panic!("{faults:?}")
        };
        assert_eq!(name, "excluded");
        assert_eq!(source.index, [0, 2, 3]);
        assert!(matches!(leak, DataError::Leak { name } if name == "good"));
    }

    #[test]
    fn masks_that_are_empty_everywhere_are_refused_but_one_empty_image_is_not() {
        let empty = || sample("empty", zeros(), Mask2::none([4, 4]));
        let faults = TrainingData::new(vec![empty()], Vec::new()).unwrap_err().faults;
        assert!(matches!(faults[..], [DataError::NoForeground]));
        let full = sample("full", zeros(), Mask2::all([4, 4]));
        assert!(TrainingData::new(vec![empty(), full], Vec::new()).is_ok());
    }

    #[test]
    fn foreground_that_is_all_excluded_is_no_foreground() {
        let mut target = Mask2::none([4, 4]);
        target.view_mut()[[0, 0]] = true;
        let sample = sample("one", zeros(), target.clone());
        let sample = sample.with_counted(target.inverted()).unwrap();
        let faults = TrainingData::new(vec![sample], Vec::new()).unwrap_err().faults;
        assert!(matches!(faults[..], [DataError::NoForeground]));
    }
}
