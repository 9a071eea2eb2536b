//! The arguments of MONAI's DynUNet as the shape of ours.

use segmenter_core::{Space, Yx, Zyx};
use serde_json::Value as Json;

use super::settings::Settings;
use crate::{DynUNetConfig, LoadError, Norm, NormKind};

const SPATIAL_DIMS: &str = "backbone.spatial_dims";

/// The arguments that are understood, and what Hydra puts beside them.
const KNOWN: [&str; 18] = [
    "_convert_",
    "_recursive_",
    "_target_",
    "act_name",
    "deep_supervision",
    "deep_supr_num",
    "dropout",
    "filters",
    "in_channels",
    "kernel_size",
    "norm_name",
    "out_channels",
    "res_block",
    "spatial_dims",
    "strides",
    "trans_bias",
    "upsample_kernel_size",
    "_partial_",
];

/// The axes of the images that the network is for.
pub(super) fn axes(settings: &Settings) -> Result<&'static str, LoadError> {
    let axes = |found: &Json| match found.as_u64() {
        Some(2) => Some(Yx::AXES),
        Some(3) => Some(Zyx::AXES),
        _ => None,
    };
    settings.need(SPATIAL_DIMS, axes, "2 or 3")
}

/// The shape that the arguments under `backbone` describe. What is not given is MONAI's default.
pub(super) fn network<S: Space>(settings: &Settings) -> Result<DynUNetConfig<S>, LoadError> {
    check_known(settings)?;
    let strides = settings.extents::<S>("backbone.strides")?;
    Ok(DynUNetConfig {
        in_channels: settings.number("backbone.in_channels")?,
        out_channels: settings.number("backbone.out_channels")?,
        filters: filters::<S>(settings, strides.len())?,
        kernel_size: settings.extents::<S>("backbone.kernel_size")?,
        strides,
        upsample_kernel_size: settings.extents::<S>("backbone.upsample_kernel_size")?,
        res_block: settings.flag("backbone.res_block")?,
        norm: norm(settings)?,
        negative_slope: negative_slope(settings)?,
        trans_bias: settings.flag("backbone.trans_bias")?,
        deep_supervision_heads: heads(settings)?,
        dropout: dropout(settings)?,
    })
}

/// Another network, or an argument that came later, may mean another computation.
fn check_known(settings: &Settings) -> Result<(), LoadError> {
    let target = "backbone._target_";
    if settings.get(target).is_some() {
        let is_ours = |found: &Json| {
            let name = found.as_str()?.rsplit('.').next()?.to_lowercase();
            (name == "dynunet").then_some(())
        };
        settings.need(target, is_ours, "monai.networks.nets.DynUNet")?;
    }
    match settings.keys("backbone").find(|key| !KNOWN.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let key = format!("backbone.{key}");
            let found = settings.get(&key).unwrap_or(&Json::Null);
            Err(settings.fault(&key, found, "an argument of MONAI's DynUNet"))
        }
    }
}

/// MONAI's default doubles from 32, up to 512 over planes and 320 over volumes; more entries than
/// there are levels are not used.
fn filters<S: Space>(settings: &Settings, levels: usize) -> Result<Vec<usize>, LoadError> {
    let key = "backbone.filters";
    if settings.get(key).is_none() {
        let most = if S::RANK == 2 { 512 } else { 320 };
        return Ok((5..)
            .take(levels)
            .map(|power| 1 << power.min(9))
            .map(|n: usize| n.min(most))
            .collect());
    }
    let mut filters = settings.numbers(key)?;
    filters.truncate(levels);
    Ok(filters)
}

/// A name, or a name and its arguments, as MONAI's layer factories take them.
fn named(value: &Json) -> Option<(String, &Json)> {
    let (name, arguments) = match value.as_array().map(Vec::as_slice) {
        None => (value, &Json::Null),
        Some([name]) => (name, &Json::Null),
        Some([name, arguments]) => (name, arguments),
        Some(_) => return None,
    };
    Some((name.as_str()?.to_lowercase(), arguments))
}

fn norm(settings: &Settings) -> Result<Norm, LoadError> {
    let key = "backbone.norm_name";
    if settings.get(key).is_none() {
        return Ok(Norm::default());
    }
    let expected = "instance, batch or group normalisation with arguments of PyTorch's, \
                    and statistics kept for batches alone";
    settings.need(key, parse_norm, expected)
}

/// What is not given is PyTorch's default, by which an instance normalisation has no parameters.
fn parse_norm(value: &Json) -> Option<Norm> {
    let (name, arguments) = named(value)?;
    let argument = |key: &str| arguments.get(key);
    let number = |key: &str, default: f64| match argument(key) {
        None => Some(default),
        Some(found) => found.as_f64(),
    };
    let flag = |key: &str, default: bool| argument(key).map_or(Some(default), Json::as_bool);
    let epsilon = number("eps", 1e-5)?;
    let (kind, affine, keeps) = match name.as_str() {
        "instance" | "instance_nvfuser" => (NormKind::Instance, false, false),
        "batch" | "syncbatch" => {
            (NormKind::Batch { momentum: number("momentum", 0.1)? }, true, true)
        }
        "group" => {
            let groups = usize::try_from(argument("num_groups")?.as_u64()?).ok()?;
            (NormKind::Group { groups }, true, false)
        }
        _ => return None,
    };
    let affine = flag("affine", affine)?;
    (flag("track_running_stats", keeps)? == keeps).then_some(Norm { kind, affine, epsilon })
}

fn negative_slope(settings: &Settings) -> Result<f64, LoadError> {
    let key = "backbone.act_name";
    if settings.get(key).is_none() {
        return Ok(0.01);
    }
    let slope = |value: &Json| {
        let (name, arguments) = named(value)?;
        match name.as_str() {
            "leakyrelu" => arguments.get("negative_slope").map_or(Some(0.01), Json::as_f64),
            "relu" => Some(0.0),
            _ => None,
        }
    };
    settings.need(key, slope, "leakyrelu or relu")
}

fn heads(settings: &Settings) -> Result<usize, LoadError> {
    let count = "backbone.deep_supr_num";
    match settings.flag("backbone.deep_supervision")? {
        false => Ok(0),
        true if settings.get(count).is_none() => Ok(1),
        true => settings.number(count),
    }
}

/// A share, or a name with a share `p`, of which PyTorch's default is ½.
fn dropout(settings: &Settings) -> Result<f64, LoadError> {
    let key = "backbone.dropout";
    if settings.get(key).is_none() {
        return Ok(0.0);
    }
    let share = |value: &Json| match value.as_f64() {
        Some(share) => Some(share),
        None => named(value)?.1.get("p").map_or(Some(0.5), Json::as_f64),
    };
    settings.need(key, share, "a share from 0 to 1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// PyTorch's defaults: `InstanceNorm3d(affine=False)`, `BatchNorm3d(affine=True, momentum=0.1)`,
    /// `GroupNorm(affine=True)`.
    #[test]
    fn norms_are_named_as_monais_factories_name_them() {
        let batch = NormKind::Batch { momentum: 0.1 };
        for (value, kind, affine) in [
            (json!("INSTANCE"), NormKind::Instance, false),
            (json!(["instance", {"affine": true}]), NormKind::Instance, true),
            (json!("Batch"), batch, true),
            (json!(["BATCH", {"affine": false}]), batch, false),
            (json!(["GROUP", {"num_groups": 4}]), NormKind::Group { groups: 4 }, true),
        ] {
            assert_eq!(parse_norm(&value), Some(Norm { kind, affine, epsilon: 1e-5 }), "{value}");
        }
        for value in [
            json!("group"),
            json!("layer"),
            json!(["instance", {"track_running_stats": true}]),
            json!(["batch", {"track_running_stats": false}]),
        ] {
            assert_eq!(parse_norm(&value), None, "{value}");
        }
    }

    #[test]
    fn another_network_and_an_unknown_argument_are_refused_by_their_keys() {
        let settings = |backbone: Json| {
            Settings::new("x.ckpt".as_ref(), "hyper_parameters", json!({"backbone": backbone}))
        };
        let message = |backbone| network::<Yx>(&settings(backbone)).unwrap_err().to_string();
        let other = message(json!({"_target_": "monai.networks.nets.UNet"}));
        assert!(other.contains("`hyper_parameters.backbone._target_`"), "{other}");
        let later = message(json!({"attention": true}));
        assert!(later.contains("`hyper_parameters.backbone.attention`"), "{later}");
    }

    /// `monai.networks.nets.DynUNet` without `filters`, seven levels.
    #[test]
    fn filters_that_are_not_given_are_monais() {
        let none = Settings::new("x.ckpt".as_ref(), "", json!({}));
        assert_eq!(filters::<Yx>(&none, 7).unwrap(), [32, 64, 128, 256, 512, 512, 512]);
        assert_eq!(filters::<Zyx>(&none, 5).unwrap(), [32, 64, 128, 256, 320]);
    }
}
