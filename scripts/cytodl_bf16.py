#!/usr/bin/env python3
"""Repeats CytoDL's predictions of `precision: 16` on a CPU to the bit, in float32 with explicit roundings.

    python scripts/cytodl_bf16.py CYTODL

needs torch, monai, numpy, scikit-image and tifffile; CYTODL is the folder of experiments and predictions
(../shared/reference/cytodl). Neither autocast nor a bf16 kernel is used, so that each step can be restated
elsewhere. Prints, for each image and for the arithmetic with one step changed at a time, how many voxels
of the saved masks differ and how far the saved probabilities are off, of 255. Exits with 1 unless the exact
arithmetic has no difference. The order of the sums is that of torch 2.0.1 with AVX2 and oneDNN's AVX512.
"""

import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
import torch.nn.functional as F
from monai.data.utils import compute_importance_map, dense_patch_slices
from skimage.exposure import rescale_intensity
from skimage.filters import threshold_otsu

PATCH, STEP = (16, 32, 32), (12, 25, 25)


@dataclass(frozen=True)
class Arithmetic:
    """The exact one, unless told otherwise."""

    fused_variance: bool = True  # torch 2.0.1; newer ones multiply and add apart
    fused: bool = True
    second_first: bool = True
    norm_in_f64: bool = False
    conv_in_f64: bool = False
    rounded_blend: bool = True
    rounded: bool = True


def bf16(x):
    return x.to(torch.bfloat16).float()


def fma(a, b, c):
    return (a.double() * b.double() + c.double()).float()


def spread(vector, like):
    return vector.reshape(1, -1, *[1] * (like.ndim - 2))


class Network:
    """DynUNet with residual blocks, two levels, instance norm and leaky ReLU."""

    def __init__(self, weights, how):
        self.weights, self.how = weights, how

    def __call__(self, x):
        first = self.residual(self.round(x), "input_block", 1)
        second = self.residual(first, "downsamples.0", 2)
        x = self.residual(second, "bottleneck", 2)
        x = self.up(self.up(x, second, "upsamples.0"), first, "upsamples.1")
        head = "output_block.conv.conv"
        return self.conv(x, self.weights[f"{head}.weight"], 1, self.weights[f"{head}.bias"])

    def residual(self, x, name, stride):
        y = self.relu(self.conv_norm(x, name, 1, stride))
        y = self.conv_norm(y, name, 2, 1)
        return self.relu(self.round(y + self.conv_norm(x, name, 3, stride)))

    def up(self, x, skip, name):
        x = torch.cat([self.transposed(x, self.weights[f"{name}.transp_conv.conv.weight"]), skip], 1)
        for number in (1, 2):
            x = self.relu(self.conv_norm(x, f"{name}.conv_block", number, 1))
        return x

    def conv_norm(self, x, name, number, stride):
        x = self.conv(x, self.weights[f"{name}.conv{number}.conv.weight"], stride)
        return self.norm(x, *(self.weights[f"{name}.norm{number}.{part}"] for part in ("weight", "bias")))

    def round(self, x):
        return bf16(x) if self.how.rounded else x

    def channels(self, count):
        """Blocks of 16, in them pairs, in those the second channel first."""
        if not self.how.second_first:
            return [range(count)]
        pairs = lambda block: (
            channel
            for low in range(block, min(block + 16, count), 2)
            for channel in reversed(range(low, min(low + 2, count)))
        )
        return [list(pairs(block)) for block in range(0, count, 16)]

    def conv(self, x, weight, stride, bias=None):
        """Blocks of channels outermost, then the kernel's positions, then the channels of the block.

        Products of two bf16 are exact in float32, so it is the same with fused multiply-adds.
        """
        weight, kernel = self.round(weight), weight.shape[2:]
        padding = kernel[0] // 2
        if self.how.conv_in_f64 or not self.how.rounded:
            kind = torch.float64 if self.how.conv_in_f64 else torch.float32
            y = F.conv3d(x.to(kind), weight.to(kind), stride=stride, padding=padding).float()
        else:
            extent = [(size + 2 * padding - kernel[0]) // stride + 1 for size in x.shape[2:]]
            x = F.pad(x, [padding] * 6)
            y = torch.zeros(1, weight.shape[0], *extent)
            for block in self.channels(x.shape[1]):
                for at in itertools.product(*map(range, kernel)):
                    window = tuple(slice(a, a + (n - 1) * stride + 1, stride) for a, n in zip(at, extent))
                    for c in block:
                        y += x[(slice(None), slice(c, c + 1), *window)] * spread(weight[(slice(None), c, *at)], y)
        return self.round(y if bias is None else y + spread(self.round(bias), y))

    def transposed(self, x, weight):
        """The stride is the kernel, so an output has one position of it."""
        weight, kernel = self.round(weight), weight.shape[2:]
        if self.how.conv_in_f64 or not self.how.rounded:
            kind = torch.float64 if self.how.conv_in_f64 else torch.float32
            return self.round(F.conv_transpose3d(x.to(kind), weight.to(kind), stride=kernel).float())
        out = torch.zeros(1, weight.shape[1], *(n * k for n, k in zip(x.shape[2:], kernel)))
        for at in itertools.product(*map(range, kernel)):
            y = torch.zeros(1, weight.shape[1], *x.shape[2:])
            for block in self.channels(x.shape[1]):
                for c in block:
                    y += x[:, c : c + 1] * spread(weight[(c, slice(None), *at)], y)
            out[(..., *(slice(a, None, k) for a, k in zip(at, kernel)))] = y
        return self.round(out)

    def norm(self, x, weight, bias):
        """Weight and bias aren't rounded. x is bf16, the rest float32 but for the square root."""
        voxels = x[0].flatten(1)
        count = voxels.shape[1]
        multiply_add = fma if self.how.fused else lambda a, b, c: a * b + c
        mean = self.total(voxels) / count
        variance = self.total(voxels - mean[:, None], square=True) / count
        inverse = (1 / torch.sqrt(variance.double() + 1e-5)).float()
        scale = inverse * weight
        shift = multiply_add(-mean, scale, bias)
        return self.round(multiply_add(voxels, scale[:, None], shift[:, None]).reshape(x.shape))

    def total(self, values, square=False):
        """Eight sums, value i into sum i mod 8, and then those in turn; a rest of n mod 16 is summed apart."""
        if self.how.norm_in_f64:
            return (values.double() ** 2 if square else values.double()).sum(1).float()
        fused = self.how.fused and self.how.fused_variance
        if square:
            add = (lambda s, v: fma(v, v, s)) if fused else (lambda s, v: s + v * v)
        else:
            add = lambda s, v: s + v
        whole = values.shape[1] // 16 * 16
        sums, rest = torch.zeros(values.shape[0], 8), torch.zeros(values.shape[0])
        for start in range(0, whole, 8):
            sums = add(sums, values[:, start : start + 8])
        for column in values[:, whole:].T:
            rest = add(rest, column)
        whole = sums[:, 0]
        for lane in range(1, 8):
            whole = whole + sums[:, lane]
        return rest + whole

    def relu(self, x):
        return self.round(torch.where(x > 0, x, x * torch.tensor(0.01)))


def blend(image, network, how):
    """MONAI weights a tile in place, so that the product is bf16 as the tile is; all else is float32."""
    weight = compute_importance_map(PATCH, mode="gaussian", sigma_scale=0.125)
    total, count = torch.zeros_like(image), torch.zeros_like(image)
    for window in dense_patch_slices(image.shape[2:], PATCH, STEP):
        window = (..., *window)
        tile = network(image[window]) * weight
        total[window] += bf16(tile) if how.rounded and how.rounded_blend else tile
        count[window] += weight
    return (total / count)[0].numpy()


def differences(folder, network, how, index):
    raw = torch.from_numpy(
        tifffile.imread(folder / f"experiments/imgs/raw_3d/im_{index}.ome.tiff").astype(np.float32)
    )
    image = ((raw - raw.mean()) / raw.std(unbiased=False))[None, None]
    with torch.no_grad():
        logits = blend(image, network, how)
    saved = lambda kind: tifffile.imread(
        folder / f"predictions/exp_3d_small_mask_{kind}/im_{index}.ome.tif"
    )
    mask = (logits > threshold_otsu(logits)).astype(np.uint8)[0]
    probability = torch.sigmoid(torch.from_numpy(logits)).numpy()
    probability = rescale_intensity(probability, out_range=np.uint8).astype(np.uint8)[0]
    apart = np.abs(probability.astype(int) - saved("probability"))
    return int((mask != saved("otsu")).sum()), int(apart.max()), int((apart > 0).sum())


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    checkpoint = folder / "experiments/exp_3d_small_mask/checkpoints/epoch_000.ckpt"
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    weights = {name.removeprefix("backbone."): value for name, value in state.items()}
    exact = Arithmetic()
    rows = {
        "exact": exact,
        "variance not fused": replace(exact, fused_variance=False),
        "nothing fused": replace(exact, fused=False),
        "blend not rounded": replace(exact, rounded_blend=False),
        "channels in order": replace(exact, second_first=False),
        "norm sums in float64": replace(exact, norm_in_f64=True),
        "convolutions in float64": replace(exact, conv_in_f64=True),
        "both in float64": replace(exact, conv_in_f64=True, norm_in_f64=True),
        "float32 throughout": replace(exact, rounded=False),
    }
    good = True
    print(f"PyTorch {torch.__version__}; for each image: voxels of the mask, largest and number of differences")
    for name, how in rows.items():
        found = [differences(folder, Network(weights, how), how, index) for index in (0, 1)]
        print(f"{name:<26}", *(f"{mask:>5} {largest:>3} {number:>6}" for mask, largest, number in found), flush=True)
        if name == "exact":
            good = not any(itertools.chain(*found))
    sys.exit(not good)


if __name__ == "__main__":
    main()
