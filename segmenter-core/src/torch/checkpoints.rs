//! Choosing among the checkpoints of a run.

use std::{
    cmp::Reverse,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Recorded, Score, TorchError, TorchFile};

/// The checkpoints of a run of Lightning: the `*.ckpt` files of its folder `checkpoints`.
///
/// ```no_run
/// use segmenter_core::torch::Checkpoints;
///
/// let checkpoints = Checkpoints::open("experiment/checkpoints")?;
/// if let (Some(best), Some(newest)) = (checkpoints.best(), checkpoints.newest()) {
///     if best.path != newest.path {
///         println!("the plugin would take {} for the best", newest.path.display());
///     }
/// }
/// # Ok::<(), segmenter_core::torch::CheckpointsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoints {
    all: Vec<Checkpoint>,
}

/// A checkpoint among others.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where it is.
    pub path: PathBuf,
    /// What Lightning recorded in it.
    pub recorded: Recorded,
    /// When the file was last written, if the file system tells.
    pub modified: Option<SystemTime>,
}

/// Why the checkpoints of a folder were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointsError {
    /// The folder can't be listed.
    #[error("{folder}: can't be listed")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Some of the checkpoints can't be read.
    #[error("{folder}: {} of the checkpoints can't be read: {}", .faults.len(), list(.faults))]
    Files {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with each of them.
        faults: Vec<TorchError>,
    },
}

fn list(faults: &[TorchError]) -> String {
    let with_causes = |fault: &TorchError| {
        let causes = std::iter::successors(std::error::Error::source(fault), |e| e.source());
        causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
    };
    faults.iter().map(with_causes).collect::<Vec<_>>().join("; ")
}

impl Checkpoints {
    /// Reads what is recorded in every checkpoint of a folder.
    ///
    /// # Errors
    /// If the folder can't be listed, or with every checkpoint that can't be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointsError> {
        let folder = folder.as_ref();
        let paths = paths(folder)
            .map_err(|source| CheckpointsError::Folder { folder: folder.to_owned(), source })?;
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for path in paths {
            match TorchFile::open(&path) {
                Ok(mut file) => {
                    let modified = fs::metadata(&path).and_then(|data| data.modified()).ok();
                    all.push(Checkpoint { path, recorded: file.recorded(), modified });
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            return Ok(Self { all });
        }
        Err(CheckpointsError::Files { folder: folder.to_owned(), faults })
    }

    /// All of them, by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Checkpoint> {
        self.all.iter()
    }

    /// The one with the best recorded score; of equal ones the earlier. If none has a score, or they
    /// are scores of different things, the one that was trained for longest.
    #[must_use]
    pub fn best(&self) -> Option<&Checkpoint> {
        let longest = |checkpoint: &&Checkpoint| {
            let Recorded { epoch, step, .. } = checkpoint.recorded;
            (epoch, step, Reverse(checkpoint.is_last()))
        };
        self.best_scored().or_else(|| self.all.iter().max_by_key(longest))
    }

    fn best_scored(&self) -> Option<&Checkpoint> {
        let with_score = |checkpoint| Some((Checkpoint::score(checkpoint)?, checkpoint));
        let mut scored: Vec<_> = self.all.iter().filter_map(with_score).collect();
        scored.sort_by_key(|(_, checkpoint)| checkpoint.recorded.epoch);
        let (first, _) = *scored.first()?;
        if !scored.iter().all(|(score, _)| score.is_comparable(first)) {
            return None;
        }
        let best =
            scored.into_iter().reduce(|best, next| if next.0.beats(best.0) { next } else { best });
        best.map(|(_, checkpoint)| checkpoint)
    }

    /// The one that was written last and is not called `last`: what the Allen Cell Segmenter ML
    /// plugin takes for the best. Copying a folder may change which one that is.
    #[must_use]
    pub fn newest(&self) -> Option<&Checkpoint> {
        let named = self.all.iter().filter(|checkpoint| !checkpoint.is_last());
        named.max_by_key(|checkpoint| (checkpoint.modified, &checkpoint.path))
    }
}

impl FromIterator<Checkpoint> for Checkpoints {
    fn from_iter<I: IntoIterator<Item = Checkpoint>>(checkpoints: I) -> Self {
        let mut all: Vec<Checkpoint> = checkpoints.into_iter().collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Self { all }
    }
}

impl Checkpoint {
    fn score(&self) -> Option<&Score> {
        self.recorded.score.as_ref()
    }

    /// The plugin's own rule.
    fn is_last(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.to_lowercase().contains("last")
    }
}

/// The `*.ckpt` files of a folder that are not hidden, by name.
fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let named = path.extension().is_some_and(|ending| ending == "ckpt");
        // Lightning writes folders of that name when it trains on several machines.
        if named && !hidden && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::torch::tests::fixture;

    fn checkpoint(name: &str, epoch: u64, score: Option<f64>, seconds: u64) -> Checkpoint {
        let score = score.map(|value| Score {
            monitor: "val/loss".to_owned(),
            more_is_better: false,
            value,
        });
        Checkpoint {
            path: PathBuf::from(name),
            recorded: Recorded { epoch: Some(epoch), step: None, score },
            modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    fn name(checkpoint: Option<&Checkpoint>) -> &str {
        checkpoint.and_then(|checkpoint| checkpoint.path.to_str()).unwrap_or("none")
    }

    #[test]
    fn the_best_score_wins_and_the_newest_file_is_another_matter() {
        let checkpoints: Checkpoints = [
            checkpoint("epoch_003.ckpt", 3, Some(0.5), 10),
            checkpoint("epoch_007.ckpt", 7, Some(0.3), 20),
            checkpoint("epoch_009.ckpt", 9, Some(0.3), 15),
            checkpoint("epoch_011.ckpt", 11, Some(0.6), 30),
            checkpoint("last.ckpt", 12, None, 40),
        ]
        .into_iter()
        .collect();
        assert_eq!(name(checkpoints.best()), "epoch_007.ckpt");
        assert_eq!(name(checkpoints.newest()), "epoch_011.ckpt");
    }

    #[test]
    fn without_scores_the_longest_training_wins_and_a_copy_of_it_called_last_does_not() {
        let checkpoints: Checkpoints = [
            checkpoint("last.ckpt", 4, None, 2),
            checkpoint("mine.ckpt", 4, None, 1),
            checkpoint("early.ckpt", 2, None, 3),
        ]
        .into_iter()
        .collect();
        assert_eq!(name(checkpoints.best()), "mine.ckpt");
        assert_eq!(Checkpoints::default().best(), None);
        let only_last: Checkpoints = [checkpoint("last.ckpt", 4, None, 2)].into_iter().collect();
        assert_eq!((name(only_last.best()), only_last.newest()), ("last.ckpt", None));
    }

    #[test]
    fn of_a_run_that_watched_dice_the_highest_wins() {
        let checkpoints = Checkpoints::open(fixture("dice")).unwrap();
        assert!(checkpoints.best().unwrap().path.ends_with("epoch_001.ckpt"));
    }

    #[test]
    fn scores_of_different_things_are_not_compared() {
        let mut other = checkpoint("dice.ckpt", 5, Some(0.9), 1);
        let score = other.recorded.score.as_mut().unwrap();
        (score.monitor, score.more_is_better) = ("dice".to_owned(), true);
        let loss = checkpoint("loss.ckpt", 8, Some(0.2), 2);
        for newest in [4, 12] {
            let last = checkpoint("last.ckpt", newest, None, 3);
            let expected = if newest == 12 { "last.ckpt" } else { "loss.ckpt" };
            let all: Checkpoints = [other.clone(), loss.clone(), last].into_iter().collect();
            assert_eq!(name(all.best()), expected);
        }
    }

    #[test]
    fn hidden_files_folders_and_what_is_called_last_in_capitals_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("shards.ckpt")).unwrap();
        fs::write(folder.path().join(".a.ckpt"), "nothing").unwrap();
        fs::copy(fixture("dice/last.ckpt"), folder.path().join("Last-v1.ckpt")).unwrap();
        let checkpoints = Checkpoints::open(folder.path()).unwrap();
        assert_eq!((checkpoints.iter().len(), checkpoints.newest()), (1, None));
    }

    #[test]
    fn more_may_be_better() {
        let dice = |value| Score { monitor: "dice".to_owned(), more_is_better: true, value };
        assert!(dice(0.9).beats(&dice(0.8)));
        assert!(!dice(0.8).beats(&dice(0.8)));
    }

    #[test]
    fn every_checkpoint_that_can_not_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.ckpt", "b.ckpt", ".hidden.ckpt", "notes.txt"] {
            fs::write(folder.path().join(name), "nothing").unwrap();
        }
        let error = Checkpoints::open(folder.path()).unwrap_err();
        let CheckpointsError::Files { faults, .. } = &error else { panic!("{error}") };
        assert_eq!(faults.len(), 2);
        let absent = Checkpoints::open(folder.path().join("absent")).unwrap_err();
        assert!(matches!(absent, CheckpointsError::Folder { .. }));
    }

    /// The scores are the `val/loss_epoch` of each experiment's `metrics.csv`.
    #[test]
    fn cytodls_scores_are_read() {
        let folder = "../../shared/reference/cytodl/experiments";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for (experiment, best, score) in [
            ("exp_3d_small_mask", "epoch_000.ckpt", 0.829_218_506_813_049_3),
            ("exp_2d_small", "epoch_001.ckpt", 0.600_944_638_252_258_3),
        ] {
            let folder = folder.join(experiment).join("checkpoints");
            if !folder.is_dir() {
                println!("skipped: {} is not there", folder.display());
                return;
            }
            let checkpoints = Checkpoints::open(folder).unwrap();
            let found = checkpoints.best().unwrap();
            assert!(found.path.ends_with(best), "{found:?}");
            let found = found.recorded.score.as_ref().unwrap();
            assert_eq!((found.value, found.more_is_better), (score, false));
            let last = checkpoints.iter().find(|checkpoint| checkpoint.is_last()).unwrap();
            assert_eq!((last.recorded.step, last.recorded.score.as_ref()), (Some(6), None));
        }
    }
}
