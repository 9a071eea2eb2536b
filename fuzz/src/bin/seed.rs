//! Fills `corpus/` with the fixtures of the crates: what the targets begin with.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use segmenter_core::{Region, io::zip::Archive};
use segmenter_curation::{CurationSet, Decision, MergeRule, Record, Session};

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let core = root.join("../segmenter-core/tests/fixtures");
    let curation = root.join("../segmenter-curation/tests/fixtures/regions");
    for folder in ["zoo", "images", "python", "python/numpy1", "torch"] {
        for file in files(&core.join(folder))? {
            let targets: &[&str] = match ending(&file) {
                "tif" => &["tiff"],
                "png" | "jpg" => &["raster"],
                "npy" => &["npy"],
                "npz" => &["npy", "zip"],
                "pt" | "ckpt" => &["torch", "zip"],
                "pkl" => &["pickle"],
                _ => &[],
            };
            targets.iter().try_for_each(|target| add(target, &file))?;
            describe(&file)?;
        }
    }
    for folder in [curation.clone(), curation.join("ours")] {
        for file in files(&folder)? {
            let targets: &[&str] = match ending(&file) {
                "roi" => &["roi"],
                "zip" => &["roi", "zip"],
                "csv" => &["csv"],
                "geojson" => &["json"],
                _ => &[],
            };
            targets.iter().try_for_each(|target| add(target, &file))?;
        }
    }
    stores(&core.join("zoo/stores.zip"))?;
    curated()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        if path.is_file() && path.metadata()?.len() < 1 << 16 {
            files.push(path);
        }
    }
    Ok(files)
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

fn add(target: &str, path: &Path) -> Done {
    put(target, &path.file_name().unwrap_or_default().to_string_lossy(), &fs::read(path)?)
}

fn put(target: &str, name: &str, bytes: &[u8]) -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

/// The OME-XML in a file, as it is.
fn describe(path: &Path) -> Done {
    let bytes = fs::read(path)?;
    let place = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
    if let (Some(start), Some(end)) = (place(b"<?xml"), place(b"</OME>")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        put("ome_xml", &name, bytes.get(start..end + 6).unwrap_or_default())?;
    }
    Ok(())
}

/// Each store of one level as one input.
fn stores(path: &Path) -> Done {
    let mut archive = Archive::new(fs::File::open(path)?, 1 << 28)?;
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    for (group, array, chunk) in
        [("zarr.json", "0/zarr.json", "0/c/0/0/0"), (".zattrs", "0/.zarray", "0/0/0/0")]
    {
        for root in names.iter().filter_map(|name| name.strip_suffix(group)?.strip_suffix(".zarr/"))
        {
            let part = |archive: &mut Archive<fs::File>, place: &str| {
                archive.read(&format!("{root}.zarr/{place}")).unwrap_or_default()
            };
            let parts = [group, array, chunk].map(|place| part(&mut archive, place));
            put("zarr", root, &parts.join(&[0, 0][..]))?;
        }
    }
    Ok(())
}

/// A session and a set of every kind of decision.
fn curated() -> Done {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("a.tif");
    fs::write(&image, b"image")?;
    let record = Record::new("a", &image, &image).with_segmentation(&image);
    let region = Region::polygon([(1.0, 1.0), (5.0, 1.0), (5.0, 5.0)])?;
    let log = folder.path().join("session.jsonl");
    let mut session = Session::create(&log, folder.path(), "somebody", [record.clone()])?;
    session.because("sharp").decide("a", Decision::Use)?;
    let id = session.exclude("a", region.clone())?;
    session.merge("a", 1, MergeRule::default(), region.clone())?;
    session.edit("a", &id, region)?;
    session.set_base("a", 1)?;
    session.note("a", "a note")?;
    session.undo()?;
    session.redo()?;
    drop(session);
    add("session", &log)?;
    let set = folder.path().join("set.json");
    CurationSet::new([record]).save(&set, folder.path())?;
    add("json", &set)?;
    put("json", "channels", br#"{"raw": 1, "seg1": 0, "seg2": null}"#)?;
    put(
        "csv",
        "rows",
        b",raw,seg1,seg2,merge_mask,exclude_mask,base_image\r\n0,/a/r.tif,/a/s.tif,,,,seg1\r\n",
    )
}
