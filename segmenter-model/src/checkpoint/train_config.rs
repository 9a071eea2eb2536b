//! `train_config.yaml`: what CytoDL trained with, written by OmegaConf.
//!
//! Values refer to others as `${a.b}`, counted from the top, or `${.b}`, counted from where they
//! stand. `${resolver:…}` is Python to be run, and stays as it is.

use std::{fs, path::Path};

use serde_json::{Map, Value as Json};

use super::settings::Settings;
use crate::LoadError;

/// What the file is called.
pub(super) const NAME: &str = "train_config.yaml";

/// References lead to references only so often; also a circle ends here.
const DEPTH: usize = 32;

/// Values in all that references may multiply to.
const VALUES: usize = 100_000;

/// Reads the file as the settings that a checkpoint would have under `hyper_parameters`, with
/// `data` beside them.
pub(super) fn read(path: &Path) -> Result<Settings, LoadError> {
    let text = fs::read_to_string(path)
        .map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Settings, LoadError> {
    let malformed = |reason: String| LoadError::TrainConfig { path: path.to_owned(), reason };
    let root: Json = serde_saphyr::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let mut resolver = Resolver { root: &root, left: VALUES };
    let mut resolve = |key: &str| match lookup(&root, key) {
        None => Ok(Json::Null),
        Some(value) => resolver
            .resolve(value, &key.split('.').collect::<Vec<_>>(), DEPTH)
            .ok_or_else(|| malformed(format!("the references under `{key}` have no end"))),
    };
    let mut values = Map::new();
    for key in ["backbone", "inference_args", "task_heads"] {
        values.insert(key.to_owned(), resolve(&format!("model.{key}"))?);
    }
    let predict = resolve("data.transforms.predict")?;
    values.insert("data".to_owned(), serde_json::json!({"transforms": {"predict": predict}}));
    Ok(Settings::new(path, "", Json::Object(values)))
}

fn lookup<'a>(root: &'a Json, key: &str) -> Option<&'a Json> {
    key.split('.').try_fold(root, |value, part| match value {
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => value.get(part),
    })
}

struct Resolver<'a> {
    root: &'a Json,
    left: usize,
}

impl Resolver<'_> {
    /// A value without references, as far as they lead somewhere; `None` if there is no end to it.
    fn resolve(&mut self, value: &Json, at: &[&str], depth: usize) -> Option<Json> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        Some(match value {
            Json::Array(items) => {
                let each = items.iter().enumerate();
                let resolved = each.map(|(index, item)| {
                    self.resolve(item, &[at, &[index.to_string().as_str()]].concat(), depth)
                });
                Json::Array(resolved.collect::<Option<_>>()?)
            }
            Json::Object(entries) => {
                let resolved = entries.iter().map(|(key, value)| {
                    Some((
                        key.clone(),
                        self.resolve(value, &[at, &[key.as_str()]].concat(), depth)?,
                    ))
                });
                Json::Object(resolved.collect::<Option<_>>()?)
            }
            Json::String(text) => match reference(text).map(|to| absolute(to, at)) {
                None => value.clone(),
                Some(to) => match lookup(self.root, &to) {
                    None => value.clone(),
                    Some(found) => {
                        self.resolve(found, &to.split('.').collect::<Vec<_>>(), depth)?
                    }
                },
            },
            _ => value.clone(),
        })
    }
}

/// What `${a.b}` refers to. References inside longer texts make up paths and names, which nobody
/// here asks for.
fn reference(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    inside.chars().all(plain).then_some(inside)
}

/// One dot stands for the mapping that a reference is in, each further one for that around it.
fn absolute(to: &str, at: &[&str]) -> String {
    let path = to.trim_start_matches('.');
    let up = to.len() - path.len();
    if up == 0 {
        return path.to_owned();
    }
    let around = &at[..at.len().saturating_sub(up)];
    around.iter().chain([&path]).copied().collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, LoadError> {
        parse(Path::new(NAME), text)
    }

    /// As `OmegaConf.resolve` of omegaconf 2.3 has it.
    #[test]
    fn references_are_followed_from_the_top_and_from_where_they_stand() {
        let settings = settings(
            "
spatial_dims: 3
shapes: {patch: [16, 32, 32]}
model:
  backbone:
    spatial_dims: ${spatial_dims}
    filters: ${model._aux.filters}
    bottom: ${.filters}
    order: ${eval:'\"CZYX\" if ${spatial_dims}==3 else \"CYX\"'}
    lost: ${no.such}
  inference_args:
    roi_size: ${..roi}
  roi: ${shapes.patch}
  _aux:
    filters: [8, 16]
",
        )
        .unwrap();
        let get = |key: &str| settings.get(key).unwrap().to_string();
        assert_eq!(get("backbone.spatial_dims"), "3");
        assert_eq!(get("backbone.filters"), "[8,16]");
        assert_eq!(get("backbone.bottom"), "[8,16]");
        assert_eq!(get("inference_args.roi_size"), "[16,32,32]");
        assert!(get("backbone.order").contains("eval:"));
        assert_eq!(get("backbone.lost"), "\"${no.such}\"");
    }

    #[test]
    fn circles_and_references_that_multiply_are_refused() {
        let circle = settings("model: {backbone: {filters: '${model.backbone.filters}'}}");
        assert!(matches!(circle, Err(LoadError::TrainConfig { .. })));
        let mut bomb = "model: {backbone: '${l0}'}\n".to_owned();
        for level in 0..20 {
            let next = format!("'${{l{}}}'", level + 1);
            bomb += &format!("l{level}: [{next}, {next}, {next}, {next}]\n");
        }
        assert!(matches!(settings(&bomb), Err(LoadError::TrainConfig { .. })));
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        let Err(error) = settings("model: [1, 2") else { panic!("it is cut off") };
        assert!(error.to_string().contains("train_config.yaml"), "{error}");
    }
}
