"""What `benches/steps.rs` measures, in PyTorch: `torch_steps.py train DIMS SIZE EXTENT BATCH HOW REPEATS`
or `predict DIMS SIZE EXTENT TILE OVERLAP HOW REPEATS`. HOW is `f32`, `f32-last` (channels last),
`bf16` or `bf16-last` (autocast), or `onnx` (prediction alone, in ONNX Runtime), with `*8` after it for 8 tiles a batch."""

import resource
import sys
import time

import numpy
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet

FILTERS = {"small": [8, 16, 32], "medium": [16, 32, 64], "large": [32, 64, 128]}


def network(dims, size):
    torch.manual_seed(0)
    return DynUNet(
        spatial_dims=dims, in_channels=1, out_channels=1, strides=[1, 2, 2], kernel_size=[3, 3, 3],
        upsample_kernel_size=[2, 2], filters=FILTERS[size], dropout=0.0, res_block=True,
    )


def layout(dims, how):
    if "last" not in how:
        return torch.contiguous_format
    return torch.channels_last_3d if dims == 3 else torch.channels_last


def autocast(how):
    return torch.autocast("cpu", torch.bfloat16, enabled=how.startswith("bf16"))


def extent(word):
    return [int(size) for size in word.split("x")]


def train(dims, size, patch, batch, how, repeats):
    net = network(dims, size).train().to(memory_format=layout(dims, how))
    shape = [batch, 1, *extent(patch)]
    image = torch.rand(shape).to(memory_format=layout(dims, how))
    target = (torch.rand(shape) > 0.5).float()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    axes = list(range(2, dims + 2))
    for step in range(2 + repeats):
        began = time.perf_counter()
        optimiser.zero_grad()
        with autocast(how):
            logits = net(image)
        found = torch.sigmoid(logits.float())
        shared = (found * target).sum(axes)
        dice = (2 * shared + 1e-5) / (found.sum(axes) + target.sum(axes) + 1e-5)
        loss = (1 - dice).mean()
        loss.backward()
        optimiser.step()
        loss.item()
        if step >= 2:
            print(time.perf_counter() - began)


def onnx(net, dims, tile, batch):
    import onnxruntime, os, tempfile
    path = os.path.join(tempfile.mkdtemp(), "net.onnx")
    torch.onnx.export(net, (torch.rand(batch, 1, *tile),), path, input_names=["x"], output_names=["y"],
                      opset_version=18, dynamo=False, dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def predict(dims, size, image, tile, overlap, how, repeats):
    how, batch = (how.split("*") + ["1"])[:2]
    net = network(dims, size).eval().to(memory_format=layout(dims, how))
    tile = extent(tile)
    image = torch.rand([1, 1, *extent(image)])
    call = onnx(net, dims, tile, int(batch)) if how == "onnx" else (
        lambda x: net(x.to(memory_format=layout(dims, how))))
    for _ in range(repeats):
        began = time.perf_counter()
        with torch.inference_mode(), autocast(how):
            sliding_window_inference(image, tile, int(batch), call, overlap=overlap, mode="gaussian")
        print(time.perf_counter() - began)


torch.set_num_threads(2)
words = sys.argv[1:]
if words[0] == "train":
    train(int(words[1]), words[2], words[3], int(words[4]), words[5], int(words[6]))
else:
    predict(int(words[1]), *words[2:5], float(words[5]), words[6], int(words[7]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
