//! A whole experiment.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use segmenter_core::torch::{Checkpoints, CheckpointsError};

use super::{
    Channels, Metrics, MetricsError, Places, PluginError, Row, chain, gather_records, gather_rows,
    read_channels,
};
use crate::{Record, Split};

/// An experiment of the plugin: what was curated in it, and what was trained.
///
/// ```no_run
/// use segmenter_curation::plugin::Experiment;
///
/// // Its tables name files of another machine, which are below this folder now.
/// let experiment = Experiment::open("mitochondria", Some("archive".as_ref()))?;
/// println!("{} images to train on", experiment.split().train.len());
/// if let Some(best) = experiment.checkpoints().best() {
///     println!("best checkpoint: {}", best.path.display());
/// }
/// # Ok::<(), segmenter_curation::plugin::ExperimentFaults>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    split: Split<Record>,
    validation_is_test: bool,
    channels: Channels,
    checkpoints: Checkpoints,
    metrics: Vec<Metrics>,
    train_config: Option<PathBuf>,
}

/// Everything that is wrong with an experiment.
#[derive(Debug, thiserror::Error)]
#[error("{folder}: {} faults in the experiment: {}", .faults.len(), list(.faults))]
pub struct ExperimentFaults {
    /// The experiment.
    pub folder: PathBuf,
    /// The faults, file by file.
    pub faults: Vec<ExperimentFault>,
}

/// Something that is wrong with an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentFault {
    /// The folder can't be listed, or one in it.
    #[error("{folder}: can't be listed")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is neither anything curated nor anything trained.
    #[error("it has neither data/train.csv nor a folder checkpoints")]
    Empty,
    /// A table, a mask or the choice of channels is wrong.
    #[error(transparent)]
    Curation(#[from] PluginError),
    /// Checkpoints can't be read.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointsError),
    /// Losses can't be read.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

fn list(faults: &[ExperimentFault]) -> String {
    faults.iter().map(|fault| chain(fault)).collect::<Vec<_>>().join("; ")
}

impl Experiment {
    /// Opens an experiment. Files that are not there are taken for not yet written: an experiment
    /// may have data and no checkpoints, or checkpoints and no data; but it has one of them.
    ///
    /// With a root, the files that the tables name are looked for below it, by the longest ends of
    /// their paths that are there; without, where the tables say. Masks are looked for in the
    /// experiment too.
    ///
    /// # Errors
    /// With everything that is wrong in any of its files. `train_config.yaml` is not read here.
    pub fn open(folder: impl AsRef<Path>, root: Option<&Path>) -> Result<Self, ExperimentFaults> {
        let folder = folder.as_ref();
        let mut opening = Opening { folder, root, faults: Vec::new() };
        let experiment = opening.run();
        if opening.faults.is_empty() {
            return Ok(experiment);
        }
        Err(ExperimentFaults { folder: folder.to_owned(), faults: opening.faults })
    }

    /// The images, by the tables that they are in.
    ///
    /// The plugin writes the same rows to `val.csv` and `test.csv`. Where these are of the same images,
    /// the rows of `val.csv` are validation images, and there are none to test on.
    #[must_use]
    pub fn split(&self) -> &Split<Record> {
        &self.split
    }

    /// Whether the images to validate on and to test on were the same, as the plugin makes them: a
    /// score on them says little about other images.
    #[must_use]
    pub fn validation_is_test(&self) -> bool {
        self.validation_is_test
    }

    /// The channels that were chosen, which the records have too.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The checkpoints, of which the [best](Checkpoints::best) is not always the one that the plugin
    /// [takes](Checkpoints::newest).
    #[must_use]
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// The losses of each run, in the order of the runs.
    #[must_use]
    pub fn metrics(&self) -> &[Metrics] {
        &self.metrics
    }

    /// Where the settings of the training are, if they are there.
    #[must_use]
    pub fn train_config(&self) -> Option<&Path> {
        self.train_config.as_deref()
    }
}

/// An experiment while it is opened.
struct Opening<'a> {
    folder: &'a Path,
    root: Option<&'a Path>,
    faults: Vec<ExperimentFault>,
}

impl Opening<'_> {
    fn run(&mut self) -> Experiment {
        let data = self.folder.join("data");
        let checkpoints = self.folder.join("checkpoints");
        if !data.join("train.csv").is_file() && !checkpoints.is_dir() {
            self.faults.push(ExperimentFault::Empty);
        }
        let channels = self.channels(&data.join("selected_channels.json"));
        let [train, validation, test] =
            ["train.csv", "val.csv", "test.csv"].map(|name| self.rows(&data.join(name)));
        let validation_is_test = same_images(&validation, &test);
        let test = if validation_is_test { Vec::new() } else { test };
        let [train, validation, test] =
            [train, validation, test].map(|rows| self.records(rows, channels));
        let config = self.folder.join("train_config.yaml");
        Experiment {
            split: Split { train, validation, test },
            validation_is_test,
            channels,
            checkpoints: self.checkpoints(&checkpoints),
            metrics: self.metrics(),
            train_config: Some(config).filter(|config| config.is_file()),
        }
    }

    fn channels(&mut self, path: &Path) -> Channels {
        if !path.exists() {
            return Channels::default();
        }
        let read = read_channels(path);
        read.map_err(|fault| self.faults.push(fault.into())).unwrap_or_default()
    }

    fn rows(&mut self, table: &Path) -> Vec<Row> {
        if !table.exists() {
            return Vec::new();
        }
        let places = Places { root: self.root, experiment: Some(self.folder) };
        let (rows, faults) = gather_rows(table, places);
        self.faults.extend(faults.into_iter().map(ExperimentFault::from));
        rows
    }

    fn records(&mut self, rows: Vec<Row>, channels: Channels) -> Vec<Record> {
        let (records, fault) = gather_records(rows);
        self.faults.extend(fault.map(ExperimentFault::from));
        records.into_iter().map(|record| channels.choose(record)).collect()
    }

    fn checkpoints(&mut self, folder: &Path) -> Checkpoints {
        if !folder.exists() {
            return Checkpoints::default();
        }
        Checkpoints::open(folder)
            .map_err(|fault| self.faults.push(fault.into()))
            .unwrap_or_default()
    }

    fn metrics(&mut self) -> Vec<Metrics> {
        let folder = self.folder.join("csv");
        let versions = versions(&folder).unwrap_or_else(|source| {
            self.faults.push(ExperimentFault::Folder { folder, source });
            Vec::new()
        });
        let mut metrics = Vec::new();
        for (version, path) in versions {
            match Metrics::read(&path, version) {
                Ok(run) => metrics.push(run),
                Err(fault) => self.faults.push(fault.into()),
            }
        }
        metrics
    }
}

/// Whether there are images and they are the same, in whatever order.
fn same_images(rows: &[Row], others: &[Row]) -> bool {
    fn images(rows: &[Row]) -> BTreeSet<&Path> {
        rows.iter().map(|row| row.raw.as_path()).collect()
    }
    !rows.is_empty() && images(rows) == images(others)
}

/// The `version_<k>/metrics.csv` that are there, by their numbers.
fn versions(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut versions = Vec::new();
    if !folder.exists() {
        return Ok(versions);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let version = name.strip_prefix("version_").and_then(|version| version.parse().ok());
        let path = entry.path().join("metrics.csv");
        versions.extend(version.filter(|_| path.is_file()).map(|version| (version, path)));
    }
    versions.sort();
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use segmenter_core::io::Existing;
    use tempfile::TempDir;

    use super::*;
    use crate::plugin::export;

    fn reference(name: &str) -> Option<PathBuf> {
        let folder = "../../shared/reference/cytodl/experiments";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
        if !path.is_dir() {
            println!("skipped: {} is not there", path.display());
            return None;
        }
        Some(path)
    }

    /// Read off the files with Python.
    #[test]
    fn an_experiment_of_cytodl_opens_whole_where_it_is_now() {
        let Some(folder) = reference("exp_3d_small_mask") else { return };
        let experiment = Experiment::open(&folder, folder.parent()).unwrap();
        let split = experiment.split();
        assert_eq!([split.train.len(), split.validation.len(), split.test.len()], [3, 2, 0]);
        assert!(experiment.validation_is_test());
        assert!(split.train.iter().all(|record| record.base() == 0));
        assert!(split.train.iter().all(|record| !record.exclude_regions().is_empty()));
        let [metrics] = experiment.metrics() else { panic!("{:?}", experiment.metrics()) };
        assert_eq!(metrics.best().unwrap().validation_loss, Some(0.829_218_506_813_049_3));
        assert_eq!(metrics.epochs[1].train_loss, Some(0.821_651_279_926_3));
        let best = experiment.checkpoints().best().unwrap();
        assert!(best.path.ends_with("epoch_000.ckpt"), "{best:?}");
        assert!(experiment.train_config().is_some());
    }

    #[test]
    fn masks_are_found_in_the_experiment_when_the_root_has_only_images() {
        let Some(folder) = reference("exp_3d_small_mask") else { return };
        let images = folder.with_file_name("imgs");
        let experiment = Experiment::open(&folder, Some(&images)).unwrap();
        assert!(!experiment.split().train[0].merges().is_empty());
    }

    #[test]
    fn an_experiment_written_here_opens_with_the_same_records() {
        let Some(folder) = reference("exp_3d_small_mask") else { return };
        let experiment = Experiment::open(&folder, folder.parent()).unwrap();
        let again = tempfile::tempdir().unwrap();
        export(again.path(), experiment.split(), Existing::Refuse).unwrap();
        let again = Experiment::open(again.path(), None).unwrap();
        let parts = |experiment: &Experiment| -> Vec<Record> {
            let split = experiment.split();
            split.train.iter().chain(&split.validation).cloned().collect()
        };
        let same = |a: &Record, b: &Record| {
            (a.name(), a.base(), a.merges(), a.exclude_regions())
                == (b.name(), b.base(), b.merges(), b.exclude_regions())
        };
        let (before, after) = (parts(&experiment), parts(&again));
        assert_eq!(before.len(), after.len());
        assert!(before.iter().zip(&after).all(|(a, b)| same(a, b)));
    }

    const HEADER: &str = ",raw,seg1,seg2,merge_mask,exclude_mask,base_image\r\n";

    /// An experiment of these files, with the images and the mask that tables may name.
    fn experiment(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let images = ["raw/a.tif", "raw/b.tif", "seg/a.tif", "seg/b.tif", "masks/broken.npy"];
        for (name, text) in images.map(|name| (name, "")).iter().chain(files) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    /// A table of images, all with a mask or none.
    fn table(images: &[&str], mask: &str) -> String {
        let row = |image| format!("0,/x/raw/{image}.tif,/x/seg/{image}.tif,,,{mask},seg1\r\n");
        HEADER.to_owned() + &images.iter().map(row).collect::<String>()
    }

    fn open(folder: &TempDir) -> Result<Experiment, ExperimentFaults> {
        Experiment::open(folder.path(), Some(folder.path()))
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let row = "0,/x/raw/a.tif,/x/seg/c.tif,,,/x/masks/broken.npy,seg3\r\n";
        let folder = experiment(&[
            ("data/train.csv", &(HEADER.to_owned() + row)),
            ("data/val.csv", "name,file\r\n"),
            ("data/test.csv", &table(&["d"], "/x/masks/none.npy")),
            ("data/selected_channels.json", "{\"raw\": \"one\"}"),
            ("checkpoints/epoch_000.ckpt", "no checkpoint"),
            ("csv/version_0/metrics.csv", "epoch,val/loss_epoch\n0,x\n"),
            ("csv/version_1/metrics.csv", "epoch,val/loss_epoch\n0\n1,1\n2\n"),
        ]);
        let error = open(&folder).unwrap_err();
        let text = error.to_string();
        for part in [
            "selected_channels.json: not the plugin's choice",
            "line 2: base_image is `seg3`",
            "[\"/x/seg/c.tif\"]",
            "val.csv: the columns [\"raw\", ",
            "[\"/x/masks/none.npy\", \"/x/raw/d.tif\", \"/x/seg/d.tif\"]",
            "broken.npy: ",
            "epoch_000.ckpt: not a checkpoint",
            "line 2: val/loss_epoch is `x`",
            "line 2 has 1 cells, but the header has 2; line 4 has 1 cells",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(error.faults.len(), 9);
    }

    #[test]
    fn a_mask_that_validation_and_test_share_is_told_of_once() {
        let rows = table(&["a", "b"], "/x/masks/broken.npy");
        let train = table(&[], "");
        let folder = experiment(&[
            ("data/train.csv", &train),
            ("data/val.csv", &rows),
            ("data/test.csv", &rows),
        ]);
        let error = open(&folder).unwrap_err();
        let [ExperimentFault::Curation(PluginError::Masks { faults })] = &error.faults[..] else {
            panic!("{error}")
        };
        assert_eq!(faults.len(), 2, "one for each row of val.csv");
    }

    #[test]
    fn the_same_images_in_another_order_are_not_tested_on() {
        let (train, rows) = (table(&[], ""), table(&["a", "b"], ""));
        for (test, same) in [(table(&["b", "a"], ""), true), (table(&["b"], ""), false)] {
            let folder = experiment(&[
                ("data/train.csv", &train),
                ("data/val.csv", &rows),
                ("data/test.csv", &test),
            ]);
            let experiment = open(&folder).unwrap();
            assert_eq!(experiment.validation_is_test(), same);
            assert_eq!(experiment.split().test.is_empty(), same);
            assert_eq!(experiment.split().validation[1].name(), "b");
        }
    }

    #[test]
    fn an_experiment_may_hold_a_trained_model_alone_or_curated_images_alone() {
        let folder = experiment(&[]);
        fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let trained = open(&folder).unwrap();
        assert!(trained.split().train.is_empty() && !trained.validation_is_test());
        assert_eq!((trained.checkpoints().best(), trained.train_config()), (None, None));
        let curated = open(&experiment(&[("data/train.csv", &table(&["a"], ""))])).unwrap();
        assert_eq!(curated.split().train.len(), 1);
    }

    #[test]
    fn runs_are_in_the_order_of_their_numbers() {
        let losses = "epoch,val/loss_epoch\n0,1\n";
        let folder = experiment(&[
            ("data/train.csv", &table(&["a"], "")),
            ("csv/version_10/metrics.csv", losses),
            ("csv/version_2/metrics.csv", losses),
            ("csv/version_11/hparams.yaml", ""),
            ("csv/other/metrics.csv", "no table"),
        ]);
        let experiment = open(&folder).unwrap();
        let versions: Vec<u64> = experiment.metrics().iter().map(|run| run.version).collect();
        assert_eq!(versions, [2, 10]);
    }

    #[test]
    fn a_folder_of_something_else_is_no_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let error = Experiment::open(folder.path(), None).unwrap_err();
        assert!(matches!(error.faults[..], [ExperimentFault::Empty]), "{error}");
    }
}
