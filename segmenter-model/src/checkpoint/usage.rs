//! How a checkpoint's model is used: scaling, tiles, and what is made of its logits.

use segmenter_core::Space;
use serde_json::Value as Json;

use super::settings::Settings;
use crate::{
    Blending, DynUNetConfig, LoadError, ModelCard, Normalisation, Postprocess, Provenance,
};

/// Transforms that load, select and convert, and leave intensities as they are.
const NEUTRAL: [&str; 7] = [
    "EnsureChannelFirstd",
    "EnsureTyped",
    "LoadImaged",
    "RemoveNaNKeysd",
    "SelectItemsd",
    "ToTensord",
    "CastToTyped",
];

const TRANSFORMS: &str = "data.transforms.predict.transforms";

/// What is to know about a network besides its weights, as far as the settings tell.
pub(super) fn card<S: Space>(
    settings: &Settings,
    network: DynUNetConfig<S>,
) -> Result<ModelCard<S>, LoadError> {
    let patch = match settings.get("inference_args.roi_size") {
        Some(_) => settings.extent::<S>("inference_args.roi_size")?,
        None => network.next_patch(S::extent_from_fn(|_| 64)),
    };
    Ok(ModelCard {
        normalisation: normalisation(settings)?,
        overlap: overlap(settings)?,
        blending: blending(settings)?,
        postprocess: postprocess(settings),
        provenance: Provenance { made_by: "CytoDL".to_owned(), ..Provenance::default() },
        ..ModelCard::new(network, patch)
    })
}

/// MONAI's `sliding_window_inference` takes a quarter if nothing is said.
fn overlap(settings: &Settings) -> Result<f64, LoadError> {
    let key = "inference_args.overlap";
    if settings.get(key).is_none() {
        return Ok(0.25);
    }
    let share = |found: &Json| found.as_f64().filter(|share| (0.0..1.0).contains(share));
    settings.need(key, share, "a share of the tile from 0 to below 1")
}

/// MONAI's `sliding_window_inference` weighs all voxels alike if nothing is said.
fn blending(settings: &Settings) -> Result<Blending, LoadError> {
    let key = "inference_args.mode";
    if settings.get(key).is_none() {
        return Ok(Blending::Constant);
    }
    let mode = |found: &Json| match found.as_str() {
        Some("constant") => Some(Blending::Constant),
        Some("gaussian") => Some(Blending::Gaussian),
        _ => None,
    };
    settings.need(key, mode, "gaussian or constant")
}

/// Checkpoints say nothing of it, and then it is what CytoDL does. A `train_config.yaml` lists what
/// is done to an image.
pub(super) fn normalisation(settings: &Settings) -> Result<Normalisation, LoadError> {
    let known = "MONAI's NormalizeIntensityd(channel_wise=True), or one that keeps intensities";
    let transforms = settings.get(TRANSFORMS).and_then(Json::as_array);
    for (index, transform) in transforms.into_iter().flatten().enumerate() {
        let name = transform.get("_target_").and_then(Json::as_str).unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let z_score = name == "NormalizeIntensityd" && is_z_score(transform);
        if !z_score && !NEUTRAL.contains(&name) {
            return Err(settings.fault(&format!("{TRANSFORMS}.{index}"), transform, known));
        }
    }
    Ok(Normalisation::ZScore)
}

fn is_z_score(transform: &Json) -> bool {
    let given = |key: &str| transform.get(key).filter(|value| !value.is_null());
    let plain = |key: &str| given(key).is_none_or(|value| *value == Json::Bool(false));
    ["subtrahend", "divisor", "nonzero"].into_iter().all(plain)
        && given("channel_wise") == Some(&Json::Bool(true))
}

/// What is made of the logits of the one head, or of the one that is called `seg`.
fn postprocess(settings: &Settings) -> Option<Postprocess> {
    let heads = settings.get("task_heads")?.as_object()?;
    let head = match heads.len() {
        1 => heads.values().next()?,
        _ => heads.get("seg")?,
    };
    let prediction = head.get("postprocess")?.get("prediction").filter(|found| !found.is_null())?;
    Some(parse(prediction).unwrap_or_else(|| Postprocess::Other(prediction.to_string())))
}

/// CytoDL's `AutoThreshold` and `ActThreshLabel`, as far as they are used with these networks.
fn parse(prediction: &Json) -> Option<Postprocess> {
    let text = |key: &str| {
        prediction.get(key).and_then(|value| value.get("_target_").unwrap_or(value).as_str())
    };
    let ends =
        |key: &str, end: &str| text(key).and_then(|text| text.rsplit('.').next()) == Some(end);
    if ends("_target_", "AutoThreshold") {
        return (text("method") == Some("threshold_otsu")).then_some(Postprocess::OtsuOfLogits);
    }
    let plain = |key: &str| {
        prediction.get(key).is_none_or(|value| value.is_null() || *value == Json::Bool(false))
    };
    if !ends("_target_", "ActThreshLabel") || !plain("label") || !ends("activation", "Sigmoid") {
        return None;
    }
    match prediction.get("threshold").filter(|value| !value.is_null()) {
        None => ends("rescale_dtype", "uint8").then_some(Postprocess::StretchedProbability),
        #[allow(clippy::cast_possible_truncation, reason = "a probability")]
        Some(threshold) if plain("rescale_dtype") => {
            threshold.as_f64().map(|threshold| Postprocess::Threshold(threshold as f32))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(values: Json) -> Settings {
        Settings::new("train_config.yaml".as_ref(), "", values)
    }

    #[test]
    fn both_ways_in_which_the_plugins_models_end_are_known() {
        let of = |prediction: Json| {
            let heads = json!({"seg": {"postprocess": {"prediction": prediction}}});
            postprocess(&settings(json!({"task_heads": heads})))
        };
        let module = "cyto_dl.models.im2im.utils.postprocessing";
        let otsu =
            json!({"_target_": format!("{module}.AutoThreshold"), "method": "threshold_otsu"});
        assert_eq!(of(otsu), Some(Postprocess::OtsuOfLogits));
        let stretched = json!({
            "_target_": format!("{module}.ActThreshLabel"),
            "activation": {"_target_": "torch.nn.Sigmoid"},
            "rescale_dtype": "numpy.uint8",
        });
        assert_eq!(of(stretched), Some(Postprocess::StretchedProbability));
        let cut = json!({
            "_target_": format!("{module}.ActThreshLabel"),
            "activation": {"_target_": "torch.nn.Sigmoid"},
            "threshold": 0.25,
        });
        assert_eq!(of(cut), Some(Postprocess::Threshold(0.25)));
        let other =
            json!({"_target_": format!("{module}.AutoThreshold"), "method": "threshold_li"});
        assert!(matches!(of(other), Some(Postprocess::Other(text)) if text.contains("_li")));
        assert_eq!(postprocess(&settings(json!({}))), None);
    }

    #[test]
    fn a_transform_that_changes_intensities_in_another_way_is_named() {
        let of = |transforms: Json| {
            normalisation(&settings(json!({
                "data": {"transforms": {"predict": {"transforms": transforms}}}
            })))
        };
        let load = json!({"_target_": "monai.transforms.LoadImaged"});
        let scale =
            json!({"_target_": "monai.transforms.NormalizeIntensityd", "channel_wise": true});
        assert_eq!(of(json!([load, scale])).unwrap(), Normalisation::ZScore);
        let clip = json!({"_target_": "monai.transforms.ScaleIntensityd"});
        let error = of(json!([load, scale, clip])).unwrap_err().to_string();
        assert!(error.contains("transforms.2` is"), "{error}");
    }

    #[test]
    fn what_is_not_said_of_tiles_is_monais_default() {
        let none = settings(json!({}));
        assert_eq!((overlap(&none).unwrap(), blending(&none).unwrap()), (0.25, Blending::Constant));
        let all = settings(json!({"inference_args": {"overlap": 1, "mode": "gaussian"}}));
        assert_eq!(blending(&all).unwrap(), Blending::Gaussian);
        assert!(overlap(&all).is_err());
    }
}
