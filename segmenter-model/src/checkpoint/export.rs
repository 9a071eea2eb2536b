//! Models of ours as files that PyTorch, MONAI and CytoDL read.

use std::{collections::HashMap, io::Write, path::Path};

use segmenter_core::{
    Space,
    io::{Existing, SaveError, write_whole},
    torch::{NamedTensor, StateDict},
};
use serde_json::{Value as Json, json};

use super::{COUNTER, HYPER_PARAMETERS, names};
use crate::{
    Blending, DynUNetConfig, Model, ModelCard, Norm, NormKind, Normalisation, Postprocess, file,
    weights,
};

/// What CytoDL's module calls the network.
const BACKBONE: &str = "backbone.";

/// The version of Lightning whose layout of checkpoints this is.
const LIGHTNING: &str = "2.3.3";

impl<S: Space> Model<S> {
    /// Exports a checkpoint as CytoDL writes them: PyTorch loads its `state_dict` into MONAI's
    /// DynUNet with `strict=True`, after taking `backbone.` off the names, and
    /// `hyper_parameters.backbone` holds the arguments that make that DynUNet. It holds no state of
    /// an optimiser.
    ///
    /// [`Model::load`] takes it too. Tiles of the exported model do not grow with the image: they
    /// have the extent of [`ModelCard::tile`].
    ///
    /// # Errors
    /// If intensities are scaled by fixed numbers, which such a checkpoint can't say; or if the file
    /// exists and may not be replaced, or the file system fails.
    pub fn export_checkpoint(
        &self,
        path: impl AsRef<Path>,
        existing: Existing,
    ) -> Result<(), SaveError> {
        let (path, card) = (path.as_ref(), self.card());
        if card.normalisation != Normalisation::ZScore {
            let reason = "its intensities are scaled by fixed numbers, and a checkpoint of CytoDL's \
                          stands for z-scored ones; export the weights alone";
            let (path, reason) = (path.to_owned(), reason.to_owned());
            return Err(SaveError::Unsupported { path, reason });
        }
        let beside = json!({
            "epoch": 0,
            "global_step": card.provenance.steps,
            "pytorch-lightning_version": LIGHTNING,
            "loops": {},
            "callbacks": {},
            "optimizer_states": [],
            "lr_schedulers": [],
            HYPER_PARAMETERS: {
                "backbone": backbone(&card.network),
                "inference_args": inference(card),
                "task_heads": {"seg": {"postprocess": {"prediction": prediction(card)}}},
            },
        });
        self.state_dict().save_checkpoint(path, &beside, existing)
    }

    /// Exports the weights alone as a safetensors file, under the names that MONAI's DynUNet has for
    /// them, without the second names that its `skip_layers` give them. [`Model::load_weights`]
    /// takes it.
    ///
    /// # Errors
    /// If the file exists and may not be replaced, or the file system fails.
    pub fn export_weights(
        &self,
        path: impl AsRef<Path>,
        existing: Existing,
    ) -> Result<(), SaveError> {
        let path = path.as_ref();
        let tensors = weights::collect(self.network(), S::RANK);
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = file::serialise(&tensors, metadata).map_err(|error| {
            SaveError::Unsupported { path: path.to_owned(), reason: error.to_string() }
        })?;
        write_whole(path, existing, |file| file.write_all(&bytes))
    }

    /// All of MONAI's names, the second ones included.
    fn state_dict(&self) -> StateDict {
        let levels = self.card().network.filters.len();
        let mut tensors = weights::collect(self.network(), S::RANK);
        let counted: Vec<String> = tensors
            .keys()
            .filter_map(|name| name.strip_suffix(".running_mean"))
            .map(|norm| format!("{norm}{COUNTER}"))
            .collect();
        let zero = || NamedTensor { shape: Vec::new(), values: vec![0.0] };
        tensors.extend(counted.into_iter().map(|name| (name, zero())));
        let mut state = StateDict::default();
        let names: Vec<String> = tensors.keys().cloned().collect();
        for (name, tensor) in tensors {
            state.push(format!("{BACKBONE}{name}"), tensor);
        }
        for name in names {
            if let Some(alias) = names::alias_of(&name, levels) {
                state.push_alias(format!("{BACKBONE}{alias}"), &format!("{BACKBONE}{name}"));
            }
        }
        state
    }
}

/// The arguments of MONAI's DynUNet.
fn backbone<S: Space>(network: &DynUNetConfig<S>) -> Json {
    let extents =
        |extents: &[S::Extent]| extents.iter().map(AsRef::as_ref).map(Json::from).collect::<Json>();
    json!({
        "_target_": "monai.networks.nets.DynUNet",
        "spatial_dims": S::RANK,
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
        "filters": network.filters,
        "kernel_size": extents(&network.kernel_size),
        "strides": extents(&network.strides),
        "upsample_kernel_size": extents(&network.upsample_kernel_size),
        "dropout": network.dropout,
        "norm_name": norm(network.norm),
        "act_name": ["leakyrelu", {"inplace": true, "negative_slope": network.negative_slope}],
        "res_block": network.res_block,
        "trans_bias": network.trans_bias,
        "deep_supervision": network.deep_supervision_heads > 0,
        "deep_supr_num": network.deep_supervision_heads.max(1),
    })
}

/// PyTorch's group normalisation names its channels otherwise, and none of them needs to be told.
fn norm(norm: Norm) -> Json {
    let Norm { kind, affine, epsilon } = norm;
    match kind {
        NormKind::Instance => json!(["INSTANCE", {"affine": affine, "eps": epsilon}]),
        NormKind::Batch { momentum } => {
            json!(["BATCH", {"affine": affine, "eps": epsilon, "momentum": momentum}])
        }
        NormKind::Group { groups } => {
            json!(["GROUP", {"num_groups": groups, "affine": affine, "eps": epsilon}])
        }
    }
}

/// The arguments of MONAI's `sliding_window_inference`.
fn inference<S: Space>(card: &ModelCard<S>) -> Json {
    let mode = match card.blending {
        Blending::Gaussian => "gaussian",
        Blending::Constant => "constant",
    };
    json!({
        "sw_batch_size": 1,
        "roi_size": card.tile.as_ref(),
        "overlap": card.overlap,
        "mode": mode,
    })
}

/// What CytoDL is to make of the logits: what it made of them before, or the model's threshold.
fn prediction<S: Space>(card: &ModelCard<S>) -> Json {
    const MODULE: &str = "cyto_dl.models.im2im.utils.postprocessing";
    let label = format!("{MODULE}.ActThreshLabel");
    let sigmoid = json!({"_target_": "torch.nn.Sigmoid"});
    let cut =
        |threshold: f32| json!({"_target_": label, "activation": sigmoid, "threshold": threshold});
    match &card.postprocess {
        None => cut(card.threshold),
        Some(Postprocess::Threshold(threshold)) => cut(*threshold),
        Some(Postprocess::OtsuOfLogits) => {
            json!({"_target_": format!("{MODULE}.AutoThreshold"), "method": "threshold_otsu"})
        }
        Some(Postprocess::StretchedProbability) => {
            json!({"_target_": label, "activation": sigmoid, "rescale_dtype": "numpy.uint8"})
        }
        Some(Postprocess::Other(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| cut(card.threshold))
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use segmenter_core::{Yx, Zyx, torch::TorchFile};

    use super::*;

    fn flat() -> DynUNetConfig<Zyx> {
        let strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2]];
        let mut network = DynUNetConfig::new(&[2, 4, 4], &strides);
        network.norm.kind = NormKind::Batch { momentum: 0.1 };
        network.trans_bias = true;
        network.deep_supervision_heads = 1;
        network.with_in_channels(2)
    }

    #[test]
    fn an_exported_checkpoint_is_the_same_model_when_it_is_loaded() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.ckpt");
        let model = Model::init(flat(), [4, 16, 16], 3, &device).unwrap();
        model.export_checkpoint(&path, Existing::Refuse).unwrap();
        let again = Model::<Zyx>::load(&path, &device).unwrap();
        assert_eq!(again.card().network, model.card().network);
        assert_eq!(again.card().postprocess, Some(Postprocess::Threshold(0.5)));
        assert_eq!((again.card().patch, again.card().overlap), ([4, 16, 16], 0.2));
        assert_eq!(weights::collect(again.network(), 3), weights::collect(model.network(), 3));
    }

    /// MONAI gives each parameter but the two of the last block a second name: 84 for 43 tensors.
    #[test]
    fn both_names_of_every_parameter_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.ckpt");
        let model =
            Model::<Yx>::init(DynUNetConfig::small(), [16, 16], 3, &Device::flex()).unwrap();
        model.export_checkpoint(&path, Existing::Refuse).unwrap();
        assert_eq!(TorchFile::open(&path).unwrap().tensors().unwrap().len(), 84);
    }

    #[test]
    fn exported_weights_are_loaded_with_the_card() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let model = Model::init(flat(), [4, 16, 16], 3, &device).unwrap();
        model.export_weights(&path, Existing::Refuse).unwrap();
        let again = Model::load_weights(&path, model.card().clone(), &device).unwrap();
        assert_eq!(weights::collect(again.network(), 3), weights::collect(model.network(), 3));
    }
}
