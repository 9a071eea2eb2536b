//! Writing the checkpoints of PyTorch.

use std::{
    collections::{BTreeMap, HashMap},
    io::BufWriter,
    path::Path,
};

use serde_json::{Map, Value as Json};

use super::NamedTensor;
use crate::io::{Existing, SaveError, write_whole, zip::ArchiveWriter};

/// Tensors by name, as PyTorch's modules keep them, to be written to a file that `torch.load`
/// reads, with `weights_only=True` too.
///
/// ```
/// use segmenter_core::{
///     io::Existing,
///     torch::{NamedTensor, StateDict, TorchFile},
/// };
/// use serde_json::json;
///
/// let weight = NamedTensor { shape: vec![2, 1], values: vec![0.5, -1.0] };
/// let mut state = StateDict::default();
/// state.push("conv.weight", weight);
/// state.push_alias("same.weight", "conv.weight");
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("epoch_003.ckpt");
/// state.save_checkpoint(&path, &json!({"epoch": 3}), Existing::Refuse)?;
/// let mut file = TorchFile::open(&path)?;
/// assert_eq!(file.entry("epoch").and_then(|epoch| epoch.as_int()), Some(3));
/// assert_eq!(file.tensors()?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    tensors: Vec<NamedTensor>,
    /// Names with the places of their tensors.
    names: Vec<(String, usize)>,
    places: HashMap<String, usize>,
}

impl StateDict {
    /// Adds a tensor under a name.
    ///
    /// # Panics
    /// If there is a tensor of that name, or the shape does not have as many values.
    pub fn push(&mut self, name: impl Into<String>, tensor: NamedTensor) {
        let count: usize = tensor.shape.iter().product();
        assert_eq!(count, tensor.values.len(), "a tensor has as many values as its shape");
        self.tensors.push(tensor);
        self.insert(name.into(), self.tensors.len() - 1);
    }

    /// Adds another name for the tensor of a name. The file holds its values once, and PyTorch makes
    /// of both names one tensor.
    ///
    /// # Panics
    /// If there is a tensor of that alias, or none of that name.
    pub fn push_alias(&mut self, alias: impl Into<String>, name: &str) {
        let place = self.places.get(name).copied();
        self.insert(alias.into(), place.unwrap_or_else(|| panic!("no tensor is called {name:?}")));
    }

    fn insert(&mut self, name: String, place: usize) {
        let before = self.places.insert(name.clone(), place);
        assert!(before.is_none(), "two tensors are called {name:?}");
        self.names.push((name, place));
    }

    /// Writes a dictionary as Lightning's checkpoints are: what is `beside`, and the tensors under
    /// `state_dict`. Objects become dictionaries and arrays lists.
    ///
    /// # Errors
    /// If the file exists and may not be replaced, would be 4 GiB or larger, or the file system
    /// fails.
    ///
    /// # Panics
    /// If what is beside is no object.
    pub fn save_checkpoint(
        &self,
        path: impl AsRef<Path>,
        beside: &Json,
        existing: Existing,
    ) -> Result<(), SaveError> {
        let Json::Object(beside) = beside else { panic!("what is beside is no object: {beside}") };
        let mut pickle = Pickle::new();
        pickle.dict(|pickle| {
            for (key, value) in in_order(beside) {
                pickle.text(key);
                pickle.json(value);
            }
            pickle.text("state_dict");
            pickle.state(self);
        });
        self.write(path.as_ref(), pickle, existing)
    }

    fn write(&self, path: &Path, pickle: Pickle, existing: Existing) -> Result<(), SaveError> {
        let pickle = pickle.finish();
        write_whole(path, existing, |file| {
            let mut archive = ArchiveWriter::new(BufWriter::new(file));
            archive.add("archive/data.pkl", &pickle)?;
            archive.add("archive/byteorder", b"little")?;
            for (index, tensor) in self.tensors.iter().enumerate() {
                let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
                archive.add(&format!("archive/data/{index}"), &bytes)?;
            }
            archive.add("archive/version", b"3\n")?;
            archive.finish()
        })
    }
}

/// The entries by their keys. In which order an object hands them out depends on whether any crate turns
/// on the feature `preserve_order` of `serde_json`, and bytes must not.
fn in_order(object: &Map<String, Json>) -> BTreeMap<&String, &Json> {
    object.iter().collect()
}

/// A pickle of protocol 2, which is what `torch.save` writes. Nothing is kept in its memo: what is
/// said twice is written twice.
struct Pickle {
    bytes: Vec<u8>,
}

impl Pickle {
    fn new() -> Self {
        Self { bytes: b"\x80\x02".to_vec() }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A dictionary of the keys and values that are written inside.
    fn dict(&mut self, inside: impl FnOnce(&mut Self)) {
        self.emit(b"}(");
        inside(self);
        self.emit(b"u");
    }

    fn json(&mut self, value: &Json) {
        match value {
            Json::Null => self.emit(b"N"),
            Json::Bool(true) => self.emit(b"\x88"),
            Json::Bool(false) => self.emit(b"\x89"),
            Json::String(text) => self.text(text),
            Json::Number(number) => match number.as_i64() {
                Some(number) => self.integer(number),
                None => self.float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::Array(items) => {
                self.emit(b"](");
                items.iter().for_each(|item| self.json(item));
                self.emit(b"e");
            }
            Json::Object(entries) => self.dict(|pickle| {
                for (key, value) in in_order(entries) {
                    pickle.text(key);
                    pickle.json(value);
                }
            }),
        }
    }

    /// # Panics
    /// If the text is 4 GiB or longer.
    fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or_else(|_| panic!("a text of 4 GiB"));
        self.emit(b"X");
        self.emit(&length.to_le_bytes());
        self.emit(text.as_bytes());
    }

    /// As a number of 32 bits if it is one, else with its length before it.
    fn integer(&mut self, number: i64) {
        match i32::try_from(number) {
            Ok(number) => {
                self.emit(b"J");
                self.emit(&number.to_le_bytes());
            }
            Err(_) => {
                self.emit(b"\x8a\x08");
                self.emit(&number.to_le_bytes());
            }
        }
    }

    fn size(&mut self, size: usize) {
        self.integer(i64::try_from(size).unwrap_or(i64::MAX));
    }

    fn float(&mut self, number: f64) {
        self.emit(b"G");
        self.emit(&number.to_be_bytes());
    }

    fn ordered_dict(&mut self) {
        self.emit(b"ccollections\nOrderedDict\n)R");
    }

    fn state(&mut self, state: &StateDict) {
        self.ordered_dict();
        self.emit(b"(");
        for (name, place) in &state.names {
            self.text(name);
            self.tensor(&state.tensors[*place], *place);
        }
        self.emit(b"u");
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`.
    fn tensor(&mut self, tensor: &NamedTensor, storage: usize) {
        self.emit(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.emit(b"ctorch\nFloatStorage\n");
        self.text(&storage.to_string());
        self.text("cpu");
        self.size(tensor.values.len());
        self.emit(b"tQ");
        self.size(0);
        self.sizes(&tensor.shape);
        self.sizes(&strides(&tensor.shape));
        self.emit(b"\x89");
        self.ordered_dict();
        self.emit(b"tR");
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.emit(b"(");
        sizes.iter().for_each(|&size| self.size(size));
        self.emit(b"t");
    }
}

/// How far neighbours along each axis are apart where the last axis is the fastest.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::torch::{TorchFile, to_json};

    fn state() -> StateDict {
        let mut state = StateDict::default();
        let values: Vec<f32> = (0_u8..6).map(|value| f32::from(value) - 2.5).collect();
        state.push("net.grid", NamedTensor { shape: vec![2, 3], values });
        state.push("net.scalar", NamedTensor { shape: vec![], values: vec![-0.0] });
        state.push("net.nothing", NamedTensor { shape: vec![0, 3], values: vec![] });
        state.push_alias("skip.grid", "net.grid");
        state
    }

    fn beside() -> Json {
        json!({
            "epoch": 3, "large": 1_u64 << 40, "negative": -70_000,
            "hyper_parameters": {
                "filters": [8, 16], "lr": 1e-4, "name": "größe", "flag": true, "none": null,
                "empty": [], "nested": {"a": {"b": [false, [1, 2.5]]}},
            },
            "callbacks": {},
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.ckpt");
        state().save_checkpoint(&path, &beside(), Existing::Refuse).unwrap();
        let mut file = TorchFile::open(&path).unwrap();
        for (key, value) in beside().as_object().unwrap() {
            assert_eq!(to_json(file.entry(key).unwrap()), *value, "{key}");
        }
        let tensors = file.tensors().unwrap();
        let names: Vec<_> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["net.grid", "net.scalar", "net.nothing", "skip.grid"]);
        assert_eq!(tensors[0].1, tensors[3].1);
        assert_eq!(tensors[0].1.values, [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
        let error = state().save_checkpoint(&path, &beside(), Existing::Refuse).unwrap_err();
        assert!(matches!(error, SaveError::Exists { .. }), "{error}");
    }

    /// `tests/fixtures/torch/check_written.py` says what PyTorch reads from this file.
    #[test]
    fn the_bytes_are_those_that_pytorch_was_seen_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.ckpt");
        state().save_checkpoint(&path, &beside(), Existing::Refuse).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch");
        let fixture = fixture.join("written.ckpt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::copy(&path, &fixture).unwrap();
        }
        assert_eq!(fs::read(path).unwrap(), fs::read(fixture).unwrap());
    }
}
