//! Which axis of an array is which.

use serde_json::Value;

use super::{super::fault::Fault, units::micrometres};

/// The axes of an array, at most one of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Axes {
    pub(super) rank: usize,
    pub(super) time: Option<usize>,
    pub(super) channel: Option<usize>,
    /// z, y and x; planes have no z.
    pub(super) space: [Option<usize>; 3],
}

impl Axes {
    /// The axes by their names and, for those of OME-Zarr, types.
    pub(super) fn from_names<'a>(
        names: impl ExactSizeIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, Fault> {
        let mut axes = Self { rank: names.len(), ..Self::default() };
        let mut found = Vec::new();
        for (position, (name, kind)) in names.enumerate() {
            found.push(name);
            let place = match (name.to_lowercase().as_str(), kind) {
                ("z", None | Some("space")) => &mut axes.space[0],
                ("y", None | Some("space")) => &mut axes.space[1],
                ("x", None | Some("space")) => &mut axes.space[2],
                (_, Some("time")) | ("t", None) => &mut axes.time,
                (_, Some("channel")) | ("c", None) => &mut axes.channel,
                _ => return Err(Fault::unsupported(unknown(name))),
            };
            if place.replace(position).is_some() {
                return Err(Fault::malformed(format!("two axes are of the same kind as {name:?}")));
            }
        }
        if axes.space[1].is_none() || axes.space[2].is_none() {
            return Err(Fault::unsupported(format!("the axes are {found:?}; y and x are needed")));
        }
        Ok(axes)
    }

    /// The axes of an array without names, as far as their number tells.
    pub(super) fn from_rank(rank: usize) -> Result<Self, Fault> {
        let names: &[&str] = match rank {
            2 => &["y", "x"],
            3 => &["z", "y", "x"],
            _ => {
                return Err(Fault::unsupported(format!(
                    "is an array of {rank} axes without names; only 2, y and x, and 3, z, y and x, \
                     are read without"
                )));
            }
        };
        Self::from_names(names.iter().map(|&name| (name, None)))
    }

    /// A value for each spatial axis, by the position in the array; that of a plane's z is `none`.
    pub(super) fn zyx<T: Copy>(&self, values: &[T], none: T) -> [T; 3] {
        self.space.map(|axis| axis.map_or(none, |axis| values[axis]))
    }

    /// The axis of channels or time, of which there is one if there is no such axis.
    pub(super) fn count(axis: Option<usize>, shape: &[usize]) -> usize {
        axis.map_or(1, |axis| shape[axis])
    }
}

fn unknown(name: &str) -> String {
    format!("has an axis {name:?}; those that are read are t, c, z, y and x")
}

/// The axes of a multiscale image and the unit of each in µm, where it is a length.
pub(super) fn parse(value: &Value) -> Result<(Axes, Vec<Option<f64>>), Fault> {
    let Value::Array(items) = value else {
        // OME-Zarr 0.1 and 0.2 have none and five axes.
        if value.is_null() {
            let axes =
                Axes::from_names(["t", "c", "z", "y", "x"].map(|name| (name, None)).into_iter())?;
            return Ok((axes, vec![None; 5]));
        }
        return Err(Fault::malformed("`axes` is not a list"));
    };
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut axes = Vec::new();
    for item in items {
        // 0.3 has names alone.
        let name = item.as_str().map(str::to_owned).or_else(|| text(item, "name"));
        let name = name.ok_or_else(|| Fault::malformed("an axis has no name"))?;
        axes.push((name, text(item, "type"), text(item, "unit")));
    }
    let units = axes.iter().map(|(_, _, unit)| micrometres(unit.as_deref()?.trim())).collect();
    let names = axes.iter().map(|(name, kind, _)| (name.as_str(), kind.as_deref()));
    Ok((Axes::from_names(names)?, units))
}
