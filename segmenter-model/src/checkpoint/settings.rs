//! Looking up what a file says about its model.

use std::path::{Path, PathBuf};

use segmenter_core::Space;
use serde_json::Value as Json;

use crate::LoadError;

/// What a file says about its model, by dotted keys.
pub(super) struct Settings {
    path: PathBuf,
    /// Where in the file the keys begin: `hyper_parameters` of a checkpoint, nowhere in
    /// `train_config.yaml`.
    within: &'static str,
    values: Json,
}

impl Settings {
    pub(super) fn new(path: &Path, within: &'static str, values: Json) -> Self {
        Self { path: path.to_owned(), within, values }
    }

    /// What is under a key, where a `null` counts as nothing.
    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        let mut parts = key.split('.');
        parts.try_fold(&self.values, |value, part| value.get(part)).filter(|found| !found.is_null())
    }

    /// The keys under a key.
    pub(super) fn keys(&self, key: &str) -> impl Iterator<Item = &str> {
        self.get(key).and_then(Json::as_object).into_iter().flatten().map(|(key, _)| key.as_str())
    }

    pub(super) fn number(&self, key: &str) -> Result<usize, LoadError> {
        self.need(key, size, "a whole number")
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, LoadError> {
        if self.get(key).is_none() {
            return Ok(false);
        }
        self.need(key, Json::as_bool, "true or false")
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Vec<usize>, LoadError> {
        self.need(key, |found| found.as_array()?.iter().map(size).collect(), "a list of numbers")
    }

    /// One number for all axes, or one an axis.
    pub(super) fn extent<S: Space>(&self, key: &str) -> Result<S::Extent, LoadError> {
        self.need(key, extent::<S>, "a whole number, or one an axis")
    }

    /// One extent a level.
    pub(super) fn extents<S: Space>(&self, key: &str) -> Result<Vec<S::Extent>, LoadError> {
        let extents = |found: &Json| found.as_array()?.iter().map(extent::<S>).collect();
        self.need(key, extents, "a list with a whole number, or one an axis, for each level")
    }

    pub(super) fn need<T>(
        &self,
        key: &str,
        read: impl Fn(&Json) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, LoadError> {
        let found = self.get(key).unwrap_or(&Json::Null);
        read(found).ok_or_else(|| self.fault(key, found, expected))
    }

    pub(super) fn fault(&self, key: &str, found: &Json, expected: &'static str) -> LoadError {
        let key =
            if self.within.is_empty() { key.to_owned() } else { format!("{}.{key}", self.within) };
        LoadError::Setting { path: self.path.clone(), key, found: short(found), expected }
    }
}

/// A value for a message.
fn short(value: &Json) -> String {
    const LENGTH: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn size(value: &Json) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn extent<S: Space>(value: &Json) -> Option<S::Extent> {
    if let Some(number) = size(value) {
        return Some(S::extent_from_fn(|_| number));
    }
    let numbers: Vec<usize> = value.as_array()?.iter().map(size).collect::<Option<_>>()?;
    (numbers.len() == S::RANK).then(|| S::extent_from_fn(|axis| numbers[axis]))
}
