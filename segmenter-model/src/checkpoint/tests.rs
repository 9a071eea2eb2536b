//! Checkpoints that describe themselves wrongly.

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segmenter_core::{Yx, io::Existing, torch::StateDict};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::{AnyModel, DynUNetConfig};

/// An exported checkpoint, taken apart.
struct Parts {
    folder: TempDir,
    hyper_parameters: Json,
    tensors: Vec<(String, NamedTensor)>,
}

impl Parts {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("good.ckpt");
        let network = DynUNetConfig::<Yx>::new(&[2, 4, 4], &[[1, 1], [2, 2], [1, 2]]);
        let model = Model::init(network, [16, 16], 3, &Device::flex()).unwrap();
        model.export_checkpoint(&path, Existing::Refuse).unwrap();
        let mut file = TorchFile::open(&path).unwrap();
        let (hyper_parameters, tensors) = (file.hyper_parameters().unwrap(), file.tensors());
        Self { folder, hyper_parameters, tensors: tensors.unwrap() }
    }

    fn load(&self) -> Result<AnyModel, LoadError> {
        let path = self.folder.path().join("changed.ckpt");
        let mut state = StateDict::default();
        for (name, tensor) in &self.tensors {
            state.push(name.clone(), tensor.clone());
        }
        let beside = json!({HYPER_PARAMETERS: self.hyper_parameters});
        state.save_checkpoint(&path, &beside, Existing::Replace).unwrap();
        AnyModel::load(&path, &Device::flex())
    }

    fn backbone(&mut self, key: &str) -> &mut Json {
        &mut self.hyper_parameters["backbone"][key]
    }
}

#[test]
fn a_tensor_that_disagrees_with_the_settings_is_named() {
    let mut parts = Parts::new();
    *parts.backbone("in_channels") = json!(3);
    let error = parts.load().unwrap_err();
    let LoadError::Weights { source, .. } = &error else { panic!("{error}") };
    let text = source.to_string();
    assert!(text.contains("`input_block.conv1.conv.weight` has shape [2, 1, 3, 3]"), "{text}");
    assert!(text.contains("needs [2, 3, 3, 3]"), "{text}");
}

#[test]
fn a_small_file_can_not_ask_for_a_large_network() {
    let mut parts = Parts::new();
    *parts.backbone("filters") = json!([1_u64 << 30, 1_u64 << 30, 4]);
    let error = parts.load().unwrap_err();
    assert!(matches!(error, LoadError::TooFewWeights { .. }), "{error}");
}

/// Every value in the settings, and what it could be instead.
#[test]
fn settings_of_every_kind_are_taken_or_refused_and_nothing_panics() {
    let odd = [
        json!(null),
        json!(0),
        json!(-1),
        json!(3),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!("text"),
        json!(true),
        json!([]),
        json!({}),
        json!([[1, 2, 3]]),
        json!([0, 0, 0]),
        json!([1_u64 << 40, 1_u64 << 40, 1_u64 << 40]),
        json!([u32::MAX, 1, u32::MAX]),
        json!(0.5),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let good = Parts::new();
    for number in 0..600 {
        let mut parts = Parts {
            folder: tempfile::tempdir().unwrap(),
            hyper_parameters: good.hyper_parameters.clone(),
            tensors: good.tensors.clone(),
        };
        for _ in 0..=number % 3 {
            let odd = odd[rng.random_range(0..odd.len())].clone();
            replace_one(&mut parts.hyper_parameters, odd, &mut rng);
        }
        let _: Result<AnyModel, LoadError> = parts.load();
    }
}

/// Puts something in the place of a value that is somewhere inside.
fn replace_one(value: &mut Json, odd: Json, rng: &mut ChaCha8Rng) {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            let chosen = rng.random_range(0..entries.len());
            entries.values_mut().skip(chosen).take(1).for_each(|inner| {
                replace_one(inner, odd.clone(), rng);
            });
        }
        Json::Array(items) if !items.is_empty() && rng.random_bool(0.5) => {
            let chosen = rng.random_range(0..items.len());
            replace_one(&mut items[chosen], odd, rng);
        }
        _ => *value = odd,
    }
}
