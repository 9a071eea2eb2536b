//! Model files.
//!
//! A model file is a safetensors file. Its header's `__metadata__` has three entries:
//!
//! | key | value |
//! |---|---|
//! | `format` | `segmenter-model/1` |
//! | `card` | the [`ModelCard`] as JSON, with `axes` (`YX` or `ZYX`) beside it |
//! | `sha256` | of the card and of each tensor's name, shape and bytes: safetensors itself notices no flipped bit |
//!
//! The tensors are the network's parameters under MONAI's names, and `self_test.input` and
//! `self_test.output`: logits that the network gave for an input when it was saved. A file whose
//! network gives other logits when it is loaded is refused.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    io::Write,
    path::Path,
};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use segmenter_core::{
    Space, Yx, Zyx,
    io::{Existing, SaveError, write_whole},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{LoadError, Model, ModelCard, NamedTensor, load::build, weights};

const FORMAT: &str = "segmenter-model/1";
const SELF_TEST_INPUT: &str = "self_test.input";
const SELF_TEST_OUTPUT: &str = "self_test.output";

/// How far the self-test's logits may be off. Backends differ in the last digits; a damaged or
/// mistaken network is off by far more.
const SELF_TEST_TOLERANCE: f32 = 1e-2;

impl<S: Space> Model<S> {
    /// Saves the model. An existing file is left alone; see [`save_with`](Self::save_with).
    ///
    /// # Errors
    /// If a file of that name exists, or the file system fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.save_with(path, Existing::Refuse)
    }

    /// Saves the model, saying what to do about an existing file.
    ///
    /// # Errors
    /// If a file of that name exists and may not be replaced, or the file system fails.
    pub fn save_with(&self, path: impl AsRef<Path>, existing: Existing) -> Result<(), SaveError> {
        let bytes = self
            .to_bytes()
            .map_err(|reason| SaveError::Unsupported { path: path.as_ref().to_owned(), reason })?;
        write_whole(path.as_ref(), existing, |file| file.write_all(&bytes))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut tensors = weights::collect(self.network(), S::RANK);
        let input = self_test_input(self.card());
        let output = run_self_test(self, &input);
        tensors.insert(SELF_TEST_INPUT.to_owned(), input);
        tensors.insert(SELF_TEST_OUTPUT.to_owned(), output);
        let card = StoredCard { axes: S::AXES.to_owned(), card: self.card().clone() };
        let card = serde_json::to_string(&card).map_err(|error| error.to_string())?;
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("sha256".to_owned(), checksum(&card, &tensors)),
            ("card".to_owned(), card),
        ]);
        serialise(&tensors, metadata).map_err(|error| error.to_string())
    }
}

/// A model card beside the axes it is written in.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct StoredCard<S: Space> {
    axes: String,
    card: ModelCard<S>,
}

/// A file whose content is what was written, but not yet understood.
pub(crate) struct ModelFile {
    pub(crate) axes: String,
    card: String,
    tensors: BTreeMap<String, NamedTensor>,
}

impl ModelFile {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let bytes =
            fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        let malformed = |reason: String| LoadError::Malformed { path: path.to_owned(), reason };
        let mut metadata = metadata(&bytes).map_err(malformed)?;
        let mut take = |key: &str| {
            metadata.remove(key).ok_or_else(|| malformed(format!("its metadata has no `{key}`")))
        };
        let format = take("format")?;
        if format != FORMAT {
            return Err(malformed(format!("its format is `{format}`, `{FORMAT}` is expected")));
        }
        let (card, sha256) = (take("card")?, take("sha256")?);
        let tensors = deserialise(&bytes).map_err(malformed)?;
        if checksum(&card, &tensors) != sha256 {
            return Err(LoadError::Damaged { path: path.to_owned() });
        }
        let axes = axes(&card).map_err(malformed)?;
        Ok(Self { axes, card, tensors })
    }

    pub(crate) fn into_model<S: Space>(
        mut self,
        path: &Path,
        device: &Device,
    ) -> Result<Model<S>, LoadError> {
        let input = self.tensors.remove(SELF_TEST_INPUT);
        let output = self.tensors.remove(SELF_TEST_OUTPUT);
        let stored: StoredCard<S> = serde_json::from_str(&self.card).map_err(|error| {
            LoadError::Malformed { path: path.to_owned(), reason: error.to_string() }
        })?;
        let model = build(path, stored.card, self.tensors, device)?;
        let path = path.to_owned();
        match self_test(&model, input, output) {
            Err(reason) => Err(LoadError::Malformed { path, reason }),
            Ok(difference) if difference <= SELF_TEST_TOLERANCE => Ok(model),
            Ok(difference) => Err(LoadError::SelfTest { path, difference }),
        }
    }
}

/// The smallest input that the network takes, with values spread over -1 to 1.
fn self_test_input<S: Space>(card: &ModelCard<S>) -> NamedTensor {
    let extent = card.network.next_patch(S::extent_from_fn(|_| 1));
    let mut shape = vec![card.network.in_channels];
    shape.extend_from_slice(extent.as_ref());
    let count: usize = shape.iter().product();
    // Multiples of the golden ratio modulo 1 spread evenly whatever the count.
    #[allow(clippy::cast_precision_loss, reason = "a few hundred values")]
    let value = |index: usize| ((index + 1) as f32 * 0.618_034).fract() * 2.0 - 1.0;
    NamedTensor { shape, values: (0..count).map(value).collect() }
}

fn run_self_test<S: Space>(model: &Model<S>, input: &NamedTensor) -> NamedTensor {
    let [z, y, x] = S::to_zyx(S::extent_from_fn(|axis| input.shape[axis + 1]));
    let data = TensorData::new(input.values.clone(), [1, input.shape[0], z, y, x]);
    let logits = model.forward(Tensor::from_data(data, model.device()));
    let mut shape = input.shape.clone();
    shape[0] = logits.dims()[1];
    let values = logits.into_data().convert::<f32>().try_to_vec().unwrap_or_default();
    NamedTensor { shape, values }
}

/// The largest difference between the logits saved and those computed now.
fn self_test<S: Space>(
    model: &Model<S>,
    input: Option<NamedTensor>,
    output: Option<NamedTensor>,
) -> Result<f32, String> {
    let (Some(input), Some(output)) = (input, output) else {
        return Err(format!("`{SELF_TEST_INPUT}` or `{SELF_TEST_OUTPUT}` is missing"));
    };
    let expected = self_test_input(model.card()).shape;
    if input.shape != expected {
        return Err(format!(
            "`{SELF_TEST_INPUT}` has shape {:?}, {expected:?} is expected",
            input.shape
        ));
    }
    let found = run_self_test(model, &input);
    if found.shape != output.shape {
        return Err(format!(
            "`{SELF_TEST_OUTPUT}` has shape {:?}, {:?} is expected",
            output.shape, found.shape
        ));
    }
    let differences = found.values.iter().zip(&output.values).map(|(a, b)| (a - b).abs());
    Ok(differences.fold(0.0, |largest, difference| {
        // A NaN must not pass for a small difference.
        if difference > largest || difference.is_nan() { difference } else { largest }
    }))
}

/// The tensors of any safetensors file.
pub(crate) fn read_tensors(path: &Path) -> Result<Vec<(String, NamedTensor)>, LoadError> {
    let bytes = fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    let tensors = deserialise(&bytes);
    let tensors =
        tensors.map_err(|reason| LoadError::Malformed { path: path.to_owned(), reason })?;
    Ok(tensors.into_iter().collect())
}

fn metadata(bytes: &[u8]) -> Result<HashMap<String, String>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    header.metadata().clone().ok_or_else(|| "it has no metadata".to_owned())
}

fn deserialise(bytes: &[u8]) -> Result<BTreeMap<String, NamedTensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    file.iter().map(|(name, view)| Ok((name.to_owned(), to_named(name, &view)?))).collect()
}

fn to_named(name: &str, view: &TensorView<'_>) -> Result<NamedTensor, String> {
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` holds {:?}, F32 is expected", view.dtype()));
    }
    let (words, _) = view.data().as_chunks::<4>();
    let values = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    Ok(NamedTensor { shape: view.shape().to_vec(), values })
}

pub(crate) fn serialise(
    tensors: &BTreeMap<String, NamedTensor>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, t)| (name, &t.shape, le_bytes(&t.values))).collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, Some(metadata))
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn axes(card: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Axes {
        axes: String,
    }
    let Axes { axes } = serde_json::from_str(card).map_err(|error| error.to_string())?;
    match axes.as_str() {
        Yx::AXES | Zyx::AXES => Ok(axes),
        _ => Err(format!("its axes are `{axes}`, `{}` or `{}` is expected", Yx::AXES, Zyx::AXES)),
    }
}

fn checksum(card: &str, tensors: &BTreeMap<String, NamedTensor>) -> String {
    let mut hash = Sha256::new();
    hash.update(card);
    for (name, tensor) in tensors {
        hash.update(name);
        hash.update(format!("{:?}", tensor.shape));
        hash.update(le_bytes(&tensor.values));
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{AnyModel, DynUNetConfig};

    fn saved(folder: &Path) -> (PathBuf, Model<Yx>) {
        let config = DynUNetConfig::<Yx>::new(&[2, 4], &[[1, 1], [2, 2]]).with_in_channels(2);
        let model = Model::init(config, [8, 8], 3, &Device::flex()).unwrap();
        let path = folder.join("model.safetensors");
        model.save(&path).unwrap();
        (path, model)
    }

    #[test]
    fn a_saved_model_loads_with_the_same_weights_and_card() {
        let folder = tempfile::tempdir().unwrap();
        let (path, model) = saved(folder.path());
        let AnyModel::Yx(loaded) = AnyModel::load(&path, &Device::flex()).unwrap() else {
            panic!("a model over planes")
        };
        assert_eq!(loaded.card(), model.card());
        assert_eq!(weights::collect(loaded.network(), 2), weights::collect(model.network(), 2));
    }

    #[test]
    fn kernels_over_planes_are_saved_with_two_axes_as_in_pytorch() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path());
        let tensors = deserialise(&fs::read(path).unwrap()).unwrap();
        assert_eq!(tensors["bottleneck.conv1.conv.weight"].shape, [4, 2, 3, 3]);
        assert_eq!(tensors["upsamples.0.transp_conv.conv.weight"].shape, [4, 2, 2, 2]);
        assert_eq!(tensors["output_block.conv.conv.bias"].shape, [1]);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path());
        let bytes = fs::read(&path).unwrap();
        for position in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << (position % 8);
            fs::write(&path, damaged).unwrap();
            assert!(Model::<Yx>::load(&path, &Device::flex()).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_file_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path());
        let bytes = fs::read(&path).unwrap();
        for length in (0..bytes.len()).step_by(101) {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = Model::<Yx>::load(&path, &Device::flex()).unwrap_err();
            assert!(matches!(error, LoadError::Malformed { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn the_wrong_rank_and_a_missing_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path());
        let error = Model::<Zyx>::load(&path, &Device::flex()).unwrap_err();
        assert!(matches!(error, LoadError::Axes { expected: "ZYX", .. }));
        let error = Model::<Zyx>::load(folder.path().join("none"), &Device::flex()).unwrap_err();
        assert!(matches!(error, LoadError::Io { .. }));
    }
}
