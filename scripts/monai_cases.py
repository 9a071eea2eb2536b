#!/usr/bin/env python3
"""Makes checkpoints of MONAI's DynUNet in CytoDL's form, each with the logits that MONAI gives.

    python scripts/monai_cases.py FOLDER

needs torch, monai and numpy. For each case FOLDER receives `<case>.ckpt` and `<case>.npz`:

    raw     an image, [c, (z,) y, x]
    x, y    a patch of it, z-scored, and the network's logits of that
    logits  sliding_window_inference over the z-scored image, by the file's inference_args

and besides `experiment/`, a state dictionary beside a train_config.yaml that refers to itself;
`archive.zip`, as the plugin downloads models; and `alias.ckpt`, whose two paths to one block differ.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet

PLANE = dict(
    spatial_dims=2, in_channels=1, out_channels=1, filters=[2, 4, 6], kernel_size=[3, 3, 3],
    strides=[1, 2, 2], upsample_kernel_size=[2, 2], res_block=True, dropout=0.0,
)
VOLUME = dict(PLANE, spatial_dims=3)
DEEP = dict(
    PLANE, filters=[2, 3, 4, 5, 6], kernel_size=[3] * 5, strides=[1, 2, 2, 2, 2],
    upsample_kernel_size=[2] * 4,
)
FLAT = dict(
    VOLUME, filters=[2, 4, 4, 6],
    kernel_size=[[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 5, 3]],
    strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]],
    upsample_kernel_size=[[1, 2, 2], [2, 2, 2], [1, 2, 2]],
)
LONG_PLANE, LONG_VOLUME = [24, 32], [4, 16, 16]
TALL = [8, 16, 16]

# Name: the network, the patch, the image, and the inference_args that are not the plugin's.
CASES = {
    "plane_deep": (DEEP, [32, 48], [40, 91], {}),
    "plane_deep_plain": (dict(DEEP, res_block=False), [32, 48], [91, 40], {"overlap": 0.5}),
    "plane_thin": (PLANE, LONG_PLANE, [7, 50], {}),
    "plane_exact": (PLANE, LONG_PLANE, LONG_PLANE, {}),
    "plane_channels": (dict(PLANE, in_channels=2, out_channels=3), LONG_PLANE, [30, 33], {}),
    "plane_constant": (PLANE, LONG_PLANE, [50, 61], {"mode": "constant", "overlap": 0.25}),
    "plane_default_inference": (PLANE, LONG_PLANE, [50, 61], {"mode": None, "overlap": None}),
    "volume_flat": (FLAT, [4, 24, 16], [7, 30, 41], {}),
    "volume_flat_plain": (dict(FLAT, res_block=False), [4, 24, 16], [3, 30, 41], {}),
    "volume_thin": (VOLUME, TALL, [3, 20, 9], {}),
    "volume_channels": (dict(VOLUME, in_channels=3, out_channels=2), TALL, [9, 17, 18], {}),
    "instance_bare": (dict(VOLUME, norm_name="INSTANCE"), TALL, [9, 17, 18], {}),
    "instance_affine": (
        dict(VOLUME, norm_name=("INSTANCE", {"affine": True, "eps": 1e-3})), TALL, [9, 17, 18], {},
    ),
    "batch": (dict(VOLUME, norm_name=("BATCH", {"affine": True})), TALL, [9, 17, 18], {}),
    "batch_bare": (dict(PLANE, norm_name="batch"), LONG_PLANE, [30, 33], {}),
    "group": (dict(VOLUME, norm_name=("GROUP", {"num_groups": 2})), TALL, [9, 17, 18], {}),
    "group_plain": (
        dict(PLANE, norm_name=("group", {"num_groups": 2, "affine": False})),
        LONG_PLANE, [30, 33], {},
    ),
    "supervised": (dict(DEEP, deep_supervision=True, deep_supr_num=2), [32, 48], [40, 91], {}),
    "supervised_once": (dict(VOLUME, deep_supervision=True), TALL, [9, 17, 18], {}),
    "dropout": (dict(VOLUME, dropout=0.1), TALL, [9, 17, 18], {}),
    "trans_bias": (dict(VOLUME, trans_bias=True), TALL, [9, 17, 18], {}),
    "relu": (dict(PLANE, act_name="relu"), LONG_PLANE, [30, 33], {}),
    "slope": (
        dict(PLANE, act_name=("leakyrelu", {"negative_slope": 0.1})), LONG_PLANE, [30, 33], {},
    ),
    "same_width": (
        dict(PLANE, filters=[4, 4, 4], strides=[1, 1, 2], upsample_kernel_size=[1, 2], in_channels=4),
        LONG_PLANE, [30, 33], {},
    ),
    "default_filters": (
        {k: v for k, v in PLANE.items() if k != "filters"}, [16, 16], [20, 21], {},
    ),
}

TRAIN_CONFIG = """\
model:
  backbone:
    _target_: monai.networks.nets.DynUNet
    spatial_dims: ${spatial_dims}
    in_channels: ${raw_im_channels}
    out_channels: 1
    filters: ${model._aux.filters}
    kernel_size: [3, 3, 3]
    strides: [1, 2, 2]
    upsample_kernel_size: [2, 2]
    dropout: 0.0
    res_block: true
  task_heads:
    seg:
      postprocess:
        prediction:
          _target_: cyto_dl.models.im2im.utils.postprocessing.AutoThreshold
          method: threshold_otsu
  inference_args:
    sw_batch_size: 1
    roi_size: ${data._aux.patch_shape}
    overlap: ${model._aux.overlap}
    mode: gaussian
  _aux: {filters: [2, 4, 6], overlap: 0.2}
data:
  transforms:
    predict:
      _target_: monai.transforms.Compose
      transforms:
      - _target_: monai.transforms.LoadImaged
        keys: ${source_col}
        reader:
        - dimension_order_out: ${eval:'"CZYX" if ${spatial_dims}==3 else "CYX"'}
      - _target_: monai.transforms.NormalizeIntensityd
        keys: ${source_col}
        channel_wise: true
  _aux: {patch_shape: [8, 16, 16]}
source_col: raw
spatial_dims: 3
raw_im_channels: 1
"""


def network(arguments):
    """A network whose weights are all other than at its start."""
    net = DynUNet(**arguments)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        net.train()
        extent = [32] * arguments["spatial_dims"]
        for _ in range(3):
            net(1.5 * torch.randn(2, arguments["in_channels"], *extent) + 0.5)
    return net.eval()


def z_scored(raw):
    axes = tuple(range(1, raw.ndim))
    return (raw - raw.mean(axes, keepdims=True)) / raw.std(axes, keepdims=True)


def checkpoint(net, arguments, inference):
    backbone = {"_target_": "monai.networks.nets.DynUNet", **arguments}
    head = {
        "_target_": "cyto_dl.models.im2im.utils.postprocessing.AutoThreshold",
        "method": "threshold_otsu",
    }
    return {
        "epoch": 1,
        "global_step": 6,
        "pytorch-lightning_version": "2.3.3",
        "state_dict": {f"backbone.{name}": value for name, value in net.state_dict().items()},
        "hyper_parameters": {
            "backbone": backbone,
            "inference_args": inference,
            "task_heads": {"seg": {"postprocess": {"prediction": head}}},
        },
    }


def save(folder, name, net, arguments, patch, extent, changes):
    inference = {"sw_batch_size": 1, "roi_size": patch, "overlap": 0.2, "mode": "gaussian"}
    inference = {k: v for k, v in {**inference, **changes}.items() if v is not None}
    generator = np.random.default_rng(len(name))
    raw = generator.gamma(2.0, 50.0, (arguments["in_channels"], *extent)).astype(np.float32)
    image = torch.from_numpy(z_scored(raw))[None]
    x = torch.from_numpy(
        generator.standard_normal((1, arguments["in_channels"], *patch)).astype(np.float32)
    )
    with torch.no_grad():
        logits = sliding_window_inference(image, predictor=net, **inference)
        np.savez(folder / f"{name}.npz", raw=raw, x=x[0], y=net(x)[0], logits=logits[0])
    torch.save(checkpoint(net, arguments, inference), folder / f"{name}.ckpt")


def experiment(folder):
    net = network(VOLUME)
    folder.mkdir(exist_ok=True)
    save(folder, "described", net, VOLUME, TALL, [9, 17, 18], {})
    torch.save(net.state_dict(), folder / "state_dict.pt")
    (folder / "train_config.yaml").write_text(TRAIN_CONFIG)
    unpacked = folder / "unpacked" / "archive"
    (unpacked / "checkpoints").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "described.ckpt", unpacked / "checkpoints" / "epoch_001.ckpt")
    shutil.copy(folder / "train_config.yaml", unpacked)
    shutil.make_archive(folder.parent / "archive", "zip", folder / "unpacked", "archive")
    shutil.rmtree(folder / "unpacked")


def disagreeing(path):
    net = network(PLANE)
    whole = checkpoint(net, PLANE, {"roi_size": LONG_PLANE})
    name = "backbone.skip_layers.downsample.conv1.conv.weight"
    whole["state_dict"][name] = whole["state_dict"][name].clone() + 1
    torch.save(whole, path)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for seed, (name, (arguments, patch, extent, changes)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        save(folder, name, network(arguments), arguments, patch, extent, changes)
    torch.manual_seed(len(CASES))
    experiment(folder / "experiment")
    disagreeing(folder / "alias.ckpt")


if __name__ == "__main__":
    main()
