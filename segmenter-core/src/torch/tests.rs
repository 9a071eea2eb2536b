//! The files in `tests/fixtures/torch` are made by the script there; CytoDL's own are read where
//! they are.

use std::{error::Error, fs};

use serde_json::json;

use super::*;
use crate::io::zip::ZipError;

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

pub(super) fn open(name: &str) -> TorchFile {
    TorchFile::open(fixture(name)).unwrap()
}

/// A checkpoint that CytoDL wrote, if it is there.
fn cytodl(name: &str) -> Option<TorchFile> {
    let folder = "../../shared/reference/cytodl/experiments";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(TorchFile::open(path).unwrap())
}

/// What an error and its causes say.
fn whole_message(error: &dyn Error) -> String {
    let source = error.source().map_or_else(String::new, whole_message);
    format!("{error}: {source}")
}

#[test]
fn numbers_of_every_type_are_read() {
    for (name, tensor) in open("numbers.pt").tensors().unwrap() {
        let expected = match name.as_str() {
            "Float" | "Double" | "Half" | "BFloat16" => [0.0, 1.0, -2.5],
            "Byte" => [0.0, 1.0, 254.0],
            "Bool" => [0.0, 1.0, 1.0],
            _ => [0.0, 1.0, -2.0],
        };
        assert_eq!(tensor, NamedTensor { shape: vec![3], values: expected.to_vec() }, "{name}");
    }
    let names: Vec<_> = open("numbers.pt").keys().map(str::to_owned).collect();
    assert_eq!(names.len(), 10);
}

#[test]
fn views_of_one_storage_are_made_contiguous() {
    let tensors = open("views.ckpt").tensors().unwrap();
    let found: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), &tensor.shape[..], &tensor.values[..]))
        .collect();
    let grid = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    // As torch.as_strided says of arange(6).
    let expected: [(&str, &[usize], &[f32]); 9] = [
        ("net.grid", &[2, 3], &grid),
        ("net.alias", &[2, 3], &grid),
        ("net.same", &[2, 3], &grid),
        ("net.transposed", &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("net.second_row", &[3], &[3.0, 4.0, 5.0]),
        ("net.column", &[2], &[1.0, 4.0]),
        ("net.scalar", &[], &[5.0]),
        ("net.nothing", &[0, 3], &[]),
        ("net.parameter", &[2, 3], &grid),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_beside_the_tensors_is_in_reach() {
    let file = open("views.ckpt");
    assert_eq!(file.keys().collect::<Vec<_>>(), ["epoch", "state_dict", "hyper_parameters"]);
    assert_eq!(file.entry("epoch").and_then(Value::as_int), Some(3));
    let expected = json!({
        "filters": [8, 16, 32], "spatial_dims": 3, "lr": 0.5, "name": "small", "res_block": true,
        "seed": null, "patch": [16, 32, 32], "limit": "inf", "by_rank": {"2": "plane"},
        "ordered": {"a": 1},
    });
    assert_eq!(file.hyper_parameters(), Some(expected));
    assert_eq!(open("numbers.pt").hyper_parameters(), None);
}

#[test]
fn all_tensors_that_can_not_be_read_are_named() {
    let mut file = TorchFile::open_with(fixture("faults.ckpt"), Unknown::Keep).unwrap();
    let error = file.tensors().unwrap_err();
    let TorchError::Tensors { faults, .. } = &error else { panic!("{error}") };
    let faults: Vec<_> = faults.iter().map(|f| (f.name.as_str(), f.reason.as_str())).collect();
    let no_fit = |shape, strides, from| {
        format!(
            "the shape {shape} with strides {strides} from {from} does not fit its 6 stored values"
        )
    };
    assert_eq!(
        faults,
        [
            ("beyond", no_fit("[2, 3]", "[3, 1]", 1).as_str()),
            ("expanded", &no_fit("[7]", "[0]", 0)),
            (
                "huge",
                &no_fit(&format!("{:?}", [1_u64 << 62; 2]), &format!("{:?}", [1_u64 << 62, 1]), 0)
            ),
            ("ranks", "it has 2 axes, but 1 strides"),
            ("missing", "the zip archive has no entry \"archive/data/1\""),
            ("short", "its storage \"2\" has 4 bytes instead of 2 values of 4 bytes"),
            (
                "complex",
                "its numbers are of torch.ComplexFloatStorage; \
                 real numbers, integers and booleans are read"
            ),
            ("text", "found \"no tensor\" where a tensor is needed"),
        ]
    );
}

#[test]
fn a_small_file_can_not_ask_for_much_memory() {
    let error = open("many_views.ckpt").tensors().unwrap_err();
    assert!(matches!(error, TorchError::TooLarge { .. }), "{error}");
}

/// What deflate can make of a thousandth.
#[test]
fn a_small_file_can_not_unpack_to_much() {
    let mut bytes = fs::read(fixture("views.ckpt")).unwrap();
    let record = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    // The unpacked size of the first entry in the directory.
    bytes[record + 24..record + 28].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let error = TorchFile::from_bytes("bomb.ckpt", bytes, Unknown::Refuse).unwrap_err();
    let TorchError::Archive { source: ZipError::Limit { found, limit }, .. } = error else {
        panic!("{error}")
    };
    assert!(found > 1 << 30 && limit < 65 << 20, "{found} and {limit}");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_told() {
    let mut bytes = fs::read(fixture("views.ckpt")).unwrap();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"archive/data/0") {
            bytes[at..at + 14].copy_from_slice(b"../archive/d/0");
        }
    }
    let error = TorchFile::from_bytes("slip.ckpt", bytes, Unknown::Refuse).unwrap_err();
    let message = whole_message(&error);
    assert!(message.contains("slip.ckpt") && message.contains("../archive/d/0"), "{message}");
}

#[test]
fn commands_anywhere_in_the_file_are_refused_by_name() {
    let error = TorchFile::open(fixture("command.ckpt")).unwrap_err();
    let message = whole_message(&error);
    assert!(message.contains("command.ckpt: can't be read as a checkpoint"), "{message}");
    assert!(message.contains("names posix.system, __builtin__.eval,"), "{message}");
}

#[test]
fn other_objects_are_refused_unless_they_are_to_be_kept_as_names() {
    let error = TorchFile::open(fixture("partial.ckpt")).unwrap_err();
    assert!(whole_message(&error).contains("functools.partial"), "{error}");
    let mut file = TorchFile::open_with(fixture("partial.ckpt"), Unknown::Keep).unwrap();
    let expected = json!({"optimizer": "functools.partial(…)"});
    assert_eq!(file.hyper_parameters(), Some(expected));
    assert_eq!(file.tensors().unwrap().len(), 1);
}

#[test]
fn files_without_a_state_dictionary_say_what_they_have() {
    let error = open("other.pt").tensors().unwrap_err();
    let TorchError::NoStateDict { keys, .. } = &error else { panic!("{error}") };
    assert_eq!(*keys, ["model", "epoch"]);
    let error = open("list.pt").tensors().unwrap_err();
    assert!(matches!(error, TorchError::NoStateDict { .. }), "{error}");
}

#[test]
fn other_files_are_told_apart() {
    let error = TorchFile::open(fixture("big_endian.pt")).unwrap_err();
    assert!(matches!(&error, TorchError::ByteOrder { found, .. } if found == "big"), "{error}");
    let error = TorchFile::open(fixture("no_pickle.pt")).unwrap_err();
    assert!(matches!(error, TorchError::NoPickle { found: 0, .. }), "{error}");
    let error = TorchFile::open(fixture("make_fixtures.py")).unwrap_err();
    assert!(matches!(error, TorchError::Archive { .. }), "{error}");
    let error = TorchFile::open(fixture("absent.pt")).unwrap_err();
    assert!(matches!(error, TorchError::Io { .. }), "{error}");
}

fn read(path: &Path, bytes: &[u8]) -> Result<Vec<(String, NamedTensor)>, TorchError> {
    fs::write(path, bytes).unwrap();
    TorchFile::open(path)?.tensors()
}

#[test]
fn a_checkpoint_cut_off_anywhere_or_with_a_flipped_bit_is_an_error_or_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.ckpt");
    let bytes = fs::read(fixture("views.ckpt")).unwrap();
    let whole = read(&path, &bytes).unwrap();
    for length in 0..bytes.len() {
        assert!(read(&path, &bytes[..length]).is_err(), "{length}");
    }
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        if let Ok(tensors) = read(&path, &flipped) {
            assert_eq!(tensors, whole, "byte {byte}");
        }
    }
}

#[test]
fn checkpoints_of_cytodl_are_read() {
    // Names and shapes as torch.load of PyTorch 2.0.1 gives them.
    for (name, spatial, kernel) in [
        ("exp_2d_small/checkpoints/epoch_001.ckpt", 2, vec![8, 1, 3, 3]),
        ("exp_3d_small_mask/checkpoints/last.ckpt", 3, vec![8, 1, 3, 3, 3]),
    ] {
        let Some(mut file) = cytodl(name) else { return };
        let backbone = &file.hyper_parameters().unwrap()["backbone"];
        assert_eq!(backbone["filters"], json!([8, 16, 32]));
        assert_eq!(backbone["spatial_dims"], json!(spatial));
        let tensors = file.tensors().unwrap();
        assert_eq!(tensors.len(), 84);
        assert_eq!(tensors[0].0, "backbone.input_block.conv1.conv.weight");
        assert_eq!(tensors[0].1.shape, kernel);
        let own = |name: &str| !name.starts_with("backbone.skip_layers.");
        assert_eq!(tensors.iter().filter(|(name, _)| own(name)).count(), 43);
        assert!(tensors.iter().all(|(_, tensor)| tensor.values.iter().all(|v| v.is_finite())));
    }
}

#[test]
fn the_skip_layers_of_cytodl_are_aliases() {
    let Some(mut file) = cytodl("exp_3d_small_mask/checkpoints/epoch_000.ckpt") else { return };
    assert_eq!(file.entry("epoch").and_then(Value::as_int), Some(0));
    assert_eq!(file.entry("global_step").and_then(Value::as_int), Some(3));
    assert!(file.entry("callbacks").and_then(Value::entries).is_some());
    let tensors = file.tensors().unwrap();
    let get = |name: &str| &tensors.iter().find(|(found, _)| found == name).unwrap().1;
    let first = get("backbone.input_block.conv1.conv.weight");
    // numpy.frombuffer of the entry archive/data/0.
    assert_eq!(first.values[..3], [0.040_203_445, 0.065_930_374, 0.635_022_94]);
    let weight = get("backbone.upsamples.0.transp_conv.conv.weight");
    assert_eq!(weight.shape, [32, 16, 2, 2, 2]);
    let alias = get("backbone.skip_layers.next_layer.upsample.transp_conv.conv.weight");
    assert_eq!(weight, alias);
}
