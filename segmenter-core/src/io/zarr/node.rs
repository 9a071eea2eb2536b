//! Groups and arrays, and which image is meant.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    super::{OpenError, fault::Fault, format::choose_scene},
    description::check_path,
};

/// Bytes of metadata that are read from one file.
const METADATA: u64 = 16 << 20;

/// A folder that Zarr knows: a group or an array.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) folder: PathBuf,
    /// The file that says what it is.
    pub(super) file: PathBuf,
    /// The metadata, if it is an array.
    pub(super) array: Option<Value>,
    /// What Zarr 2 calls `.zattrs`.
    attributes: Value,
}

/// One image of a store.
#[derive(Debug)]
pub(super) enum Image {
    /// With OME's metadata: the group, and which of its `multiscales`.
    Multiscale(Node, usize),
    /// An array without it.
    Array(Node),
}

/// Whether a folder says that it is of Zarr.
fn is_zarr(folder: &Path) -> bool {
    ["zarr.json", ".zgroup", ".zarray", ".zattrs"].iter().any(|name| folder.join(name).is_file())
}

impl Node {
    /// Reads what a folder says of itself. Zarr 3 counts where both are there.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let node = |file: &str, array, attributes| {
            let (folder, file) = (folder.to_owned(), folder.join(file));
            Self { folder, file, array, attributes }
        };
        if let Some(json) = read(&folder.join("zarr.json"))? {
            let attributes = json["attributes"].clone();
            return match json["node_type"].as_str() {
                Some("group") => Ok(node("zarr.json", None, attributes)),
                Some("array") => Ok(node("zarr.json", Some(json), attributes)),
                _ => Err(Fault::malformed("`node_type` is neither group nor array")
                    .at(&folder.join("zarr.json"))),
            };
        }
        let attributes = read(&folder.join(".zattrs"))?;
        if let Some(json) = read(&folder.join(".zarray"))? {
            return Ok(node(".zarray", Some(json), attributes.unwrap_or_default()));
        }
        let group = read(&folder.join(".zgroup"))?;
        match attributes.or_else(|| group.map(|_| Value::Null)) {
            Some(attributes) => Ok(node(".zattrs", None, attributes)),
            None => Err(OpenError::NotAnImage {
                path: folder.to_owned(),
                found: "is a folder without zarr.json, .zgroup, .zattrs or .zarray",
            }),
        }
    }

    /// OME's part of the attributes.
    pub(super) fn ome(&self) -> &Value {
        self.attributes.get("ome").filter(|ome| ome.is_object()).unwrap_or(&self.attributes)
    }

    /// The names in a list of the attributes, which is empty if it is not there.
    pub(super) fn names(&self, list: &str) -> Result<Vec<String>, OpenError> {
        let list = match &self.ome()[list] {
            Value::Null => return Ok(Vec::new()),
            Value::Array(names) => names.as_slice(),
            _ => return Err(Fault::malformed(format!("`{list}` is not a list")).at(&self.file)),
        };
        let name = |value: &Value| {
            let path = value.as_str().or_else(|| value["path"].as_str());
            let path = path.ok_or_else(|| Fault::malformed("a path is not a string"))?;
            check_path(path.trim_end_matches('/')).map(|()| path.trim_end_matches('/').to_owned())
        };
        list.iter().map(name).collect::<Result<_, _>>().map_err(|fault| fault.at(&self.file))
    }

    fn multiscales(&self) -> Result<usize, OpenError> {
        match &self.ome()["multiscales"] {
            Value::Null => Ok(0),
            Value::Array(list) => Ok(list.len()),
            _ => Err(Fault::malformed("`multiscales` is not a list").at(&self.file)),
        }
    }

    fn fault(&self, reason: String) -> OpenError {
        Fault::unsupported(reason).at(&self.folder)
    }
}

/// The image that a path means, the only one of a store or this scene of it, and how many there are.
pub(super) fn find(path: &Path, scene: Option<usize>) -> Result<(Image, usize), OpenError> {
    let node = Node::open(path)?;
    if node.array.is_some() {
        choose(path, scene, 1)?;
        return Ok((Image::Array(node), 1));
    }
    let count = node.multiscales()?;
    if count > 0 {
        let scene = choose(path, scene, count)?;
        return Ok((Image::Multiscale(node, scene), count));
    }
    let ome = node.ome();
    if !ome["bioformats2raw.layout"].is_null() {
        let series = series(&node)?;
        let scene = choose(path, scene, series.len())?;
        let (image, _) = find(&path.join(&series[scene]), None)?;
        return Ok((image, series.len()));
    }
    if !ome["plate"].is_null() {
        return Err(node.fault(plate(&node)));
    }
    for (list, what) in [("labels", "label images"), ("well", "the fields of a well")] {
        let names = match list {
            "well" => images(&ome["well"]["images"]),
            _ => node.names(list)?,
        };
        if !names.is_empty() {
            return Err(node.fault(format!("holds {what}; open one of {}", inside(path, &names))));
        }
    }
    Err(node.fault("is a group without `multiscales`: no OME-Zarr image".to_owned()))
}

fn choose(path: &Path, scene: Option<usize>, scenes: usize) -> Result<usize, OpenError> {
    choose_scene(scene, scenes).map_err(|fault| fault.at(path))
}

/// The series that bioformats2raw wrote: those it lists, or those whose names are numbers.
fn series(node: &Node) -> Result<Vec<String>, OpenError> {
    let listed = match Node::open(&node.folder.join("OME")) {
        Ok(ome) => ome.names("series")?,
        Err(OpenError::NotAnImage { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    if !listed.is_empty() {
        return Ok(listed);
    }
    let is_series = |name: &String| is_zarr(&node.folder.join(name));
    Ok((0..).map(|index: usize| index.to_string()).take_while(is_series).collect())
}

fn plate(node: &Node) -> String {
    let wells = images(&node.ome()["plate"]["wells"]);
    let fields: Vec<String> = wells
        .iter()
        .take(2)
        .filter(|well| check_path(well).is_ok())
        .filter_map(|well| Some((well, Node::open(&node.folder.join(well)).ok()?)))
        .flat_map(|(well, node)| {
            let fields = images(&node.ome()["well"]["images"]);
            fields.into_iter().map(move |field| format!("{well}/{field}"))
        })
        .collect();
    let fields = if fields.is_empty() { wells.clone() } else { fields };
    format!(
        "is a plate of {} wells; open one field of a well, such as {}",
        wells.len(),
        inside(&node.folder, &fields)
    )
}

fn images(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item["path"].as_str()).map(str::to_owned).collect()
}

/// The first few of some names, as paths that can be opened.
fn inside(path: &Path, names: &[String]) -> String {
    let shown = names.iter().take(4).map(|name| path.join(name).display().to_string());
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > 4 {
        text.push_str(", …");
    }
    text
}

/// The JSON in a file, or `None` if it is not there.
fn read(path: &Path) -> Result<Option<Value>, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) && fs::metadata(path).is_err() => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(METADATA + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > METADATA {
        return Err(Fault::Limit { needed: u64::MAX, limit: METADATA }.at(path));
    }
    let malformed =
        |error: serde_json::Error| Fault::malformed(format!("is no JSON: {error}")).at(path);
    serde_json::from_slice(&bytes).map(Some).map_err(malformed)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
