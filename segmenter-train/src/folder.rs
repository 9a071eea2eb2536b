//! The folder of a run.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use segmenter_core::{
    Space,
    io::{Existing, SaveError, write_whole},
};
use segmenter_model::Model;

use crate::{EpochReport, TrainConfig};

/// Where a run keeps its models and its history.
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Begins a run in a folder that holds none yet.
    pub(crate) fn create<S: Space>(
        path: &Path,
        config: &TrainConfig<S>,
    ) -> Result<Self, SaveError> {
        let folder = Self { path: path.to_owned() };
        for name in ["best.safetensors", "last.safetensors"] {
            let path = folder.path.join(name);
            if path.exists() {
                return Err(SaveError::Exists { path });
            }
        }
        write_whole(&folder.path.join("config.json"), Existing::Refuse, |file| {
            serde_json::to_writer_pretty(&mut *file, config)?;
            writeln!(file)
        })?;
        Ok(folder)
    }

    pub(crate) fn save_best<S: Space>(&self, model: &Model<S>) -> Result<PathBuf, SaveError> {
        self.save("best.safetensors", model)
    }

    pub(crate) fn save_last<S: Space>(
        &self,
        model: &Model<S>,
        history: &[EpochReport],
    ) -> Result<PathBuf, SaveError> {
        let metrics = self.path.join("metrics.csv");
        write_whole(&metrics, Existing::Replace, |file| file.write_all(table(history).as_bytes()))?;
        self.save("last.safetensors", model)
    }

    fn save<S: Space>(&self, name: &str, model: &Model<S>) -> Result<PathBuf, SaveError> {
        let path = self.path.join(name);
        model.save_with(&path, Existing::Replace)?;
        Ok(path)
    }
}

fn table(history: &[EpochReport]) -> String {
    let mut table = "epoch,step,learning_rate,loss,validation_dice,seconds\n".to_owned();
    for row in history {
        let dice = row.validation_dice.map(|dice| dice.to_string()).unwrap_or_default();
        let EpochReport { epoch, step, learning_rate, loss, seconds, .. } = row;
        // Writing to a string can't fail.
        let _ = writeln!(table, "{epoch},{step},{learning_rate},{loss},{dice},{seconds:.1}");
    }
    table
}
