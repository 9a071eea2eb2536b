//! The metadata of a multiscale image.

use serde_json::Value;

use super::{
    super::fault::Fault,
    axes::{self, Axes},
    folder::is_plain,
};

/// What OME-Zarr says of an image.
#[derive(Debug)]
pub(super) struct Multiscale {
    pub(super) axes: Axes,
    /// The unit of each axis in µm, where it is a length.
    pub(super) units: Vec<Option<f64>>,
    /// The finest first.
    pub(super) levels: Vec<Level>,
    pub(super) channel_names: Vec<Option<String>>,
}

/// One resolution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// Where the array is, from the image's folder.
    pub(super) path: String,
    /// The distance from voxel to voxel along each axis of the array, in its unit.
    pub(super) scale: Vec<f64>,
    /// Where the first voxel is.
    pub(super) translation: Vec<f64>,
}

impl Multiscale {
    /// Reads one of the `multiscales`, and the `omero` beside it.
    pub(super) fn parse(multiscale: &Value, omero: Option<&Value>) -> Result<Self, Fault> {
        let (axes, units) = axes::parse(&multiscale["axes"])?;
        let outer = transform(&multiscale["coordinateTransformations"], axes.rank)?;
        let datasets = multiscale["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
        if datasets.is_empty() {
            return Err(Fault::malformed("a multiscale image has no `datasets`"));
        }
        let level = |dataset: &Value| {
            let path = dataset["path"].as_str();
            let path = path.ok_or_else(|| Fault::malformed("a dataset has no `path`"))?;
            check_path(path)?;
            let inner = transform(&dataset["coordinateTransformations"], axes.rank)?;
            let (scale, translation) = chain(&inner, &outer);
            Ok(Level { path: path.to_owned(), scale, translation })
        };
        let levels = datasets.iter().map(level).collect::<Result<_, Fault>>()?;
        Ok(Self {
            levels,
            channel_names: omero.map(channel_names).unwrap_or_default(),
            axes,
            units,
        })
    }
}

/// Refuses a path that leads out of its folder.
pub(super) fn check_path(path: &str) -> Result<(), Fault> {
    if path.split('/').all(is_plain) {
        return Ok(());
    }
    Err(Fault::malformed(format!("the path {path:?} does not lead to a place inside")))
}

/// What is done to positions: multiplied, then moved.
type Transform = (Vec<f64>, Vec<f64>);

/// First one, then the other.
fn chain((scale, shift): &Transform, (outer_scale, outer_shift): &Transform) -> Transform {
    let each = |f: &dyn Fn(usize) -> f64| (0..scale.len()).map(f).collect();
    (
        each(&|axis| scale[axis] * outer_scale[axis]),
        each(&|axis| shift[axis] * outer_scale[axis] + outer_shift[axis]),
    )
}

fn transform(list: &Value, rank: usize) -> Result<Transform, Fault> {
    let mut whole = (vec![1.0; rank], vec![0.0; rank]);
    let items = match list {
        Value::Null => return Ok(whole),
        Value::Array(items) => items,
        _ => return Err(Fault::malformed("`coordinateTransformations` is not a list")),
    };
    for item in items {
        let kind = item["type"].as_str().unwrap_or_default();
        let numbers = || numbers(&item[kind], kind, rank);
        let step = match kind {
            "identity" => continue,
            "scale" => (numbers()?, vec![0.0; rank]),
            "translation" => (vec![1.0; rank], numbers()?),
            other => {
                return Err(Fault::unsupported(format!(
                    "has a coordinate transformation of type {other:?}; scale and translation are read"
                )));
            }
        };
        whole = chain(&whole, &step);
    }
    Ok(whole)
}

fn numbers(value: &Value, kind: &str, rank: usize) -> Result<Vec<f64>, Fault> {
    let list = value.as_array().ok_or_else(|| {
        Fault::unsupported(format!("the numbers of a {kind} are not in the metadata itself"))
    })?;
    let numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
    if numbers.len() != rank || list.len() != rank {
        return Err(Fault::malformed(format!(
            "a {kind} has {} numbers, and there are {rank} axes",
            list.len()
        )));
    }
    Ok(numbers)
}

fn channel_names(omero: &Value) -> Vec<Option<String>> {
    let channels = omero["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |channel: &Value| {
        channel["label"].as_str().filter(|label| !label.is_empty()).map(str::to_owned)
    };
    channels.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_transformation_of_the_image_comes_after_that_of_the_level() {
        let multiscale = json!({
            "axes": [{"name": "y", "type": "space", "unit": "nanometer"}, {"name": "x", "type": "space"}],
            "datasets": [{"path": "a/0", "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 3.0]},
                {"type": "translation", "translation": [5.0, 7.0]},
            ]}],
            "coordinateTransformations": [
                {"type": "scale", "scale": [10.0, 100.0]},
                {"type": "translation", "translation": [0.5, 0.25]},
            ],
        });
        let parsed = Multiscale::parse(&multiscale, None).unwrap();
        // 10 (2 i + 5) + 0.5 and 100 (3 i + 7) + 0.25.
        assert_eq!(parsed.levels[0].scale, [20.0, 300.0]);
        assert_eq!(parsed.levels[0].translation, [50.5, 700.25]);
        assert_eq!(parsed.units, [Some(1e-3), None]);
    }

    #[test]
    fn a_level_outside_the_image_is_refused() {
        for path in ["../other.zarr/0", "/etc", "", "0/../../x", "C:\\x"] {
            let multiscale = json!({"axes": ["y", "x"], "datasets": [{"path": path}]});
            assert!(
                matches!(Multiscale::parse(&multiscale, None), Err(Fault::Malformed(_))),
                "{path}"
            );
        }
    }
}
