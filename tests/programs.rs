//! The example programs, driven as others drive them: their arguments and outputs are a contract.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ndarray::Array3;
use segmenter::{
    Labels3, Mask3, Stack3, VoxelSize, Yx,
    io::{self, Axes, OpenOptions},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const EXTENT: [usize; 3] = [4, 24, 24];

/// Runs an example that `cargo test` has built beside this test.
fn run(name: &str, args: &[&str]) -> Output {
    let deps = env::current_exe().unwrap();
    let program = deps.ancestors().nth(2).unwrap().join("examples").join(name);
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    assert!(program.is_file(), "`cargo build --examples` first; `cargo test` does it by itself");
    Command::new(program).args(args).output().unwrap()
}

fn stdout(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn failure(name: &str, args: &[&str]) -> (i32, String) {
    let output = run(name, args);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A bright box in the dark, and which voxels it has.
fn volume(shift: usize) -> (Stack3<u16>, Mask3) {
    let inside = |z: usize, y: usize, x: usize| {
        z > 0 && (6..16).contains(&y) && (4 + shift..14 + shift).contains(&x)
    };
    let value = |z: usize, y: usize, x: usize| {
        let noise = u16::try_from((z * 31 + y * 17 + x * 7) % 40).unwrap();
        noise + if inside(z, y, x) { 500 } else { 100 }
    };
    let raw = Array3::from_shape_fn(EXTENT, |(z, y, x)| value(z, y, x));
    let mask = Array3::from_shape_fn(EXTENT, |(z, y, x)| inside(z, y, x));
    let size = VoxelSize::new([0.29, 0.108, 0.108]).unwrap();
    (Stack3::new(raw).with_voxel_size(size), Mask3::new(mask).with_voxel_size(size))
}

/// Images and tables as the plugin writes them, with the paths of another machine.
fn experiment() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let header = ",raw,seg1,seg2,merge_mask,exclude_mask,base_image\r\n";
    for (table, images) in [("train", 0..3), ("val", 3..4)] {
        let mut rows = header.to_owned();
        for (row, image) in images.enumerate() {
            let (raw, mask) = volume(image);
            raw.save(folder.path().join(format!("raw/im_{image}.ome.tif"))).unwrap();
            mask.save(folder.path().join(format!("seg/im_{image}.ome.tif"))).unwrap();
            let file = |kind: &str| format!("/data/elsewhere/{kind}/im_{image}.ome.tif");
            rows += &format!("{row},{},{},,,,seg1\r\n", file("raw"), file("seg"));
        }
        fs::write(folder.path().join(format!("{table}.csv")), rows).unwrap();
    }
    folder
}

/// A square of napari's, from (2, 3) to (9, 12) in (x, y).
fn shapes(folder: &Path) -> PathBuf {
    let path = folder.join("shapes.csv");
    let rows = "index,shape-type,vertex-index,axis-0,axis-1\n\
                0,polygon,0,3,2\n0,polygon,1,3,9\n0,polygon,2,12,9\n0,polygon,3,12,2\n";
    fs::write(&path, rows).unwrap();
    path
}

#[test]
fn every_program_has_a_help_text_that_names_its_arguments() {
    for (name, arguments) in [
        ("quickstart", &["--data", "--output"][..]),
        ("inspect", &["FILE"]),
        ("experiment", &["FOLDER", "--root"]),
        ("export", &["--model", "--checkpoint", "--weights", "--overwrite"]),
        ("exclude", &["--image", "--regions", "--output"]),
        (
            "curate",
            &["--root", "--raw", "--segmentations", "--script", "--log", "--who", "--sheet"],
        ),
        ("merge", &["--base", "--other", "--regions", "--output"]),
        (
            "train",
            &["--data", "--output", "--root", "--size", "--from", "--patch", "--epochs", "--seed"],
        ),
        (
            "predict",
            &[
                "--model",
                "--input",
                "--output",
                "--write",
                "--threshold",
                "--patch",
                "--overlap",
                "--autocast",
            ],
        ),
    ] {
        let help = stdout(name, &["--help"]);
        for argument in arguments {
            assert!(help.contains(argument), "{name}: {argument}");
        }
    }
}

#[test]
fn curate_follows_a_script_and_goes_on_where_it_was() {
    let folder = experiment();
    let path = |name: &str| folder.path().join(name);
    shapes(folder.path());
    let (raw, seg, script) = (path("raw"), path("seg"), path("decisions.txt"));
    let (log, plugin) = (path("session.jsonl"), path("plugin"));
    let mut args = vec!["--root", text(folder.path()), "--raw", text(&raw), "--who", "ana"];
    args.extend(["--segmentations", text(&seg), "--script", text(&script), "--log", text(&log)]);
    let sheet = path("sheet.png");
    args.extend(["--plugin", text(&plugin), "--sheet", text(&sheet)]);

    let first = "# by eye\nuse im_0\nexclude im_0 shapes.csv\ndont-use im_1 \"out of focus\"\n";
    fs::write(&script, first).unwrap();
    let told = stdout("curate", &args);
    assert!(told.starts_with("3 events added, 4 in the log\n"), "{told}");
    assert!(told.contains("4 images: 1 used, 1 not used, 2 undecided\nundecided: im_2"), "{told}");
    assert!(told.contains("to look at first:\n"), "{told}");
    assert_eq!(io::probe(&sheet).unwrap().channels, 3);
    let table = fs::read_to_string(plugin.join("data/train.csv")).unwrap();
    assert!(table.contains("im_0") && !table.contains("im_1"), "{table}");
    let lines = fs::read_to_string(&log).unwrap();
    assert!(lines.contains("out of focus"), "{lines}");

    fs::write(&script, first.to_owned() + "use im_2\nundo\nnote im_3 \"look \"\"here\"\"\"\n")
        .unwrap();
    assert!(failure("curate", &args).1.contains("already exists"), "the plugin's files");
    args.push("--overwrite");
    let told = stdout("curate", &args);
    assert!(told.starts_with("0 events added, 7 in the log\n"), "{told}");
    assert!(told.contains("im_3: look \"here\" (ana, "), "{told}");
    assert!(told.contains("1 used, 1 not used, 2 undecided"), "{told}");

    fs::write(&script, "use\nassign im_0 elsewhere\n").unwrap();
    let (code, message) = failure("curate", &args);
    assert!(code == 1 && message.contains("line 1: ") && message.contains("line 2: "), "{message}");
}

/// The hash is that of the bytes 0, 1, 2, 3 (`printf '\0\1\2\3' | sha256sum`).
#[test]
fn inspect_tells_what_a_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.ome.tif");
    let pixels = Array3::from_shape_vec((2, 1, 2), vec![0_u8, 1, 2, 3]).unwrap();
    let size = VoxelSize::new([0.5, 0.25, 0.25]).unwrap();
    let stack = Stack3::new(pixels).with_voxel_size(size);
    stack.with_channel_names([Some("DNA".to_owned())]).save(&path).unwrap();
    let report: Value = serde_json::from_str(&stdout("inspect", &[text(&path)])).unwrap();
    assert_eq!(
        report,
        json!({
            "axes": "ZYX",
            "extent": [2, 1, 2],
            "channels": 1,
            "channel_names": ["DNA"],
            "pixel_type": "u8",
            "voxel_size_um": [0.5, 0.25, 0.25],
            "min": 0.0,
            "max": 3.0,
            "sha256": "054edec1d0211f624fed0cbca9d4f9400b0e491c43742af2c5b0abebf0c990d8",
        })
    );
}

#[test]
fn exclude_draws_a_region_into_all_slices() {
    let folder = experiment();
    let (image, regions) = (folder.path().join("raw/im_0.ome.tif"), shapes(folder.path()));
    let output = folder.path().join("mask.ome.tif");
    let args = ["--image", text(&image), "--regions", text(&regions), "--output", text(&output)];
    stdout("exclude", &args);
    let mask = OpenOptions::new().open::<segmenter::Zyx, u8>(&output).unwrap();
    assert_eq!(mask.voxel_size(), VoxelSize::new([0.29, 0.108, 0.108]).ok());
    for ((z, y, x), &value) in mask.channel(0).indexed_iter() {
        let excluded = (3..=12).contains(&y) && (2..=9).contains(&x);
        assert_eq!(value, u8::from(!excluded), "at {z}, {y}, {x}");
    }
    let (code, message) = failure("exclude", &args);
    assert_eq!(code, 1);
    assert!(message.contains("already exists"), "{message}");
}

#[test]
fn merge_takes_the_other_inside_the_region_and_names_an_extent_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let regions = shapes(folder.path());
    let [base, other, small, output] =
        ["base.tif", "other.tif", "small.tif", "merged.tif"].map(|name| folder.path().join(name));
    Labels3::new(Array3::from_elem(EXTENT, 1)).save(&base).unwrap();
    Labels3::new(Array3::from_elem(EXTENT, 7)).save(&other).unwrap();
    Labels3::new(Array3::from_elem([4, 24, 23], 7)).save(&small).unwrap();
    let args = |other: &'static str| {
        [
            "--base",
            "base.tif",
            "--other",
            other,
            "--regions",
            "shapes.csv",
            "--output",
            "merged.tif",
        ]
    };
    let absolute = |args: [&str; 8]| -> Vec<String> {
        let path = |word: &str| text(&folder.path().join(word)).to_owned();
        args.iter().map(|&w| if w.starts_with("--") { w.to_owned() } else { path(w) }).collect()
    };
    let run = |args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run("merge", &args)
    };
    assert!(run(&absolute(args("other.tif"))).status.success());
    let merged = Labels3::open(&output).unwrap();
    let sevens = merged.view().iter().filter(|&&id| id == 7).count();
    assert_eq!(sevens, 4 * 10 * 8, "{}", regions.display());
    let unfit = run(&absolute(args("small.tif")));
    let message = String::from_utf8(unfit.stderr).unwrap();
    assert!(message.contains("small.tif") && message.contains("[4, 24, 23]"), "{message}");
}

#[test]
fn train_and_predict_go_from_the_plugins_tables_to_masks_with_a_voxel_size() {
    let folder = experiment();
    let (root, run) = (text(folder.path()).to_owned(), folder.path().join("run"));
    let base = ["--data", &root, "--root", &root, "--patch", "4,16,16", "--epochs", "2"];
    stdout("train", &[&base[..], &["--output", text(&run), "--seed", "3"]].concat());
    let model = run.join("best.safetensors");

    let tuned = folder.path().join("tuned");
    let from = ["--output", text(&tuned), "--from", text(&model)];
    stdout("train", &[&base[..], &from].concat());

    let (input, output) = (folder.path().join("raw"), folder.path().join("found"));
    let args = [
        "--model",
        text(&model),
        "--input",
        text(&input),
        "--output",
        text(&output),
        "--write",
        "mask,probability,logits",
    ];
    stdout("predict", &args);
    for image in 0..4 {
        for kind in ["mask", "probability", "logits"] {
            let info = io::probe(output.join(format!("im_{image}_{kind}.ome.tif"))).unwrap();
            assert_eq!((info.axes, info.extent), (Axes::Zyx, EXTENT.to_vec()));
            assert_eq!(info.voxel_size, Some(vec![0.29, 0.108, 0.108]));
        }
    }
    let (code, message) = failure("predict", &args);
    assert_eq!(code, 1);
    assert!(message.contains("4 of 4 images failed"), "{message}");
}

#[test]
fn one_bad_image_does_not_stop_the_others() {
    let folder = experiment();
    let (root, run) = (text(folder.path()).to_owned(), folder.path().join("run"));
    let args = ["--data", &root, "--root", &root, "--patch", "4,16,16", "--epochs", "1"];
    stdout("train", &[&args[..], &["--output", text(&run)]].concat());
    fs::write(folder.path().join("raw/broken.tif"), b"II*\0").unwrap();
    let (model, output) = (run.join("best.safetensors"), folder.path().join("found"));
    let (input, model) = (folder.path().join("raw"), text(&model).to_owned());
    let args = ["--model", &model, "--input", text(&input), "--output", text(&output)];
    let (code, message) = failure("predict", &args);
    assert_eq!(code, 1);
    assert!(message.contains("1 of 5") && message.contains("broken.tif"), "{message}");
    assert_eq!(fs::read_dir(output).unwrap().count(), 4);
}

#[test]
fn bad_arguments_and_missing_files_are_named() {
    let folder = experiment();
    let root = text(folder.path());
    let (code, message) = failure("inspect", &[]);
    assert_eq!((code, message.contains("FILE")), (2, true), "{message}");
    let (code, message) = failure("inspect", &["nowhere.tif"]);
    assert_eq!((code, message.contains("nowhere.tif")), (1, true), "{message}");
    let run = folder.path().join("run");
    let args = ["--data", root, "--output", text(&run), "--epochs", "1"];
    let (code, message) = failure("train", &args);
    assert_eq!(
        (code, message.contains("/data/elsewhere/raw/im_0.ome.tif")),
        (1, true),
        "{message}"
    );
    let (code, message) =
        failure("train", &[&args[..], &["--root", root, "--patch", "4,16"]].concat());
    assert_eq!((code, message.contains("Z,Y,X")), (2, true), "{message}");
    let (code, message) =
        failure("train", &[&args[..], &["--root", root, "--patch", "4,16,15"]].concat());
    assert_eq!((code, message.contains("[4, 16, 16]")), (1, true), "{message}");
    let missing = folder.path().join("missing");
    let (code, message) =
        failure("quickstart", &["--data", text(&missing), "--output", text(&run)]);
    assert_eq!((code, message.contains("missing")), (1, true), "{message}");
}

#[test]
fn an_exported_checkpoint_predicts_what_the_model_does() {
    let folder = experiment();
    let file = |name: &str| text(&folder.path().join(name)).to_owned();
    let network = segmenter::DynUNetConfig::new(&[2, 4], &[[1, 1, 1], [2, 2, 2]]);
    let device = segmenter::Device::flex();
    let model = segmenter::Model3::init(network, [4, 8, 8], 0, &device).unwrap();
    model.save(file("model.safetensors")).unwrap();
    let checkpoint = file("checkpoints/epoch_000.ckpt");
    let weights = file("weights.safetensors");
    let from = file("model.safetensors");
    let args = ["--model", &from, "--checkpoint", &checkpoint, "--weights", &weights];
    stdout("export", &args);
    assert_eq!(failure("export", &args).0, 1, "nothing is overwritten unasked");

    let [before, after] =
        [("model.safetensors", "before"), ("checkpoints/epoch_000.ckpt", "after")].map(
            |(model, found)| {
                let (model, found) = (file(model), file(found));
                let input = file("raw/im_0.ome.tif");
                let args = ["--model", &model, "--input", &input, "--output", &found];
                stdout("predict", &[&args[..], &["--write", "logits"]].concat());
                fs::read(Path::new(&found).join("im_0_logits.ome.tif")).unwrap()
            },
        );
    assert!(before == after, "the logits differ");

    let told = stdout("experiment", &[text(folder.path())]);
    assert!(told.contains("best checkpoint: "), "{told}");
}

#[test]
fn a_plane_of_another_rank_than_the_model_is_refused() {
    let folder = experiment();
    let plane = folder.path().join("plane.png");
    segmenter::Stack2::new(ndarray::Array2::<u8>::zeros((32, 32))).save(&plane).unwrap();
    let model = folder.path().join("model.safetensors");
    let network = segmenter::DynUNetConfig::new(&[2, 4], &[[1, 1, 1], [2, 2, 2]]);
    let device = segmenter::Device::flex();
    segmenter::Model3::init(network, [4, 8, 8], 0, &device).unwrap().save(&model).unwrap();
    let output = folder.path().join("found");
    let args = ["--model", text(&model), "--input", text(&plane), "--output", text(&output)];
    let (code, message) = failure("predict", &args);
    assert_eq!((code, message.contains("YX")), (1, true), "{message}");
    assert!(segmenter::Model::<Yx>::load(&model, &device).is_err());
}
