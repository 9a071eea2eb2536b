"""The part of scripts/pytorch-round-trip that runs in Python.

    python scripts/pytorch_round_trip.py FOLDER

takes the checkpoints of scripts/monai_cases.py in FOLDER/cases, and one model that segmenter trains
itself. Each is exported by segmenter, loaded into MONAI's DynUNet with strict=True, and run there and
here on the same image.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
import torch
from monai.networks.nets import DynUNet
from safetensors.torch import load_file

TOLERANCE = 1e-4


def segmenter(example, **options):
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [f"target/release/examples/{example}", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout.split()


def trained(folder):
    """A model of segmenter's own, after a few steps on blobs of its own making."""
    rng = np.random.default_rng(0)
    data = folder / "data"
    data.mkdir()
    rows = [",raw,seg1,seg2,merge_mask,exclude_mask,base_image"]
    for index in range(4):
        y, x = np.mgrid[:48, :48]
        cy, cx = rng.integers(12, 36, 2)
        seg = ((y - cy) ** 2 + (x - cx) ** 2 < 81).astype(np.uint8)
        raw = (1000.0 * seg + rng.normal(500, 100, seg.shape)).astype(np.uint16)
        for name, image in (("raw", raw), ("seg", seg)):
            tifffile.imwrite(data / f"{name}{index}.tif", image)
        rows.append(f"{index},{data}/raw{index}.tif,{data}/seg{index}.tif,,,,seg1")
    for table, part in (("train", rows[1:4]), ("val", rows[4:])):
        (data / f"{table}.csv").write_text("\r\n".join([rows[0], *part, ""]))
    run = folder / "run"
    segmenter("train", data=data, output=run, patch="32,32", epochs=5)
    return run / "best.safetensors"


def image(path, channels, extent):
    raw = np.random.default_rng(1).gamma(2.0, 50.0, (channels, *extent)).astype(np.float32)
    axes = "CYX" if len(extent) == 2 else "CZYX"
    tifffile.imwrite(path, raw, metadata={"axes": axes}, ome=True)
    return raw


def z_scored(raw):
    axes = tuple(range(1, raw.ndim))
    return (raw - raw.mean(axes, keepdims=True)) / raw.std(axes, keepdims=True)


def check(model, work):
    """How many keys there are, how many weights changed, and how far the logits are apart."""
    work.mkdir()
    checkpoint, weights = work / "out.ckpt", work / "out.safetensors"
    segmenter("export", model=model, checkpoint=checkpoint, weights=weights)
    whole = torch.load(checkpoint, weights_only=True)
    arguments = dict(whole["hyper_parameters"]["backbone"])
    arguments.pop("_target_")
    state = {k.removeprefix("backbone."): v for k, v in whole["state_dict"].items()}
    net = DynUNet(**arguments).eval()
    net.load_state_dict(state, strict=True)

    own = load_file(weights)
    missing, unexpected = DynUNet(**arguments).load_state_dict(own, strict=False)
    counters = [k for k in missing if k.endswith("num_batches_tracked")]
    aliases = [k for k in missing if k.startswith("skip_layers.")]
    assert not unexpected and set(missing) == {*counters, *aliases}, (missing, unexpected)
    assert all(torch.equal(own[name], state[name]) for name in own)

    changed = 0
    if model.suffix == ".ckpt":
        before = torch.load(model, weights_only=False)["state_dict"]
        assert before.keys() == whole["state_dict"].keys()
        changed = sum(
            not torch.equal(value.float(), whole["state_dict"][name])
            for name, value in before.items()
            if not name.endswith("num_batches_tracked")
        )

    patch = whole["hyper_parameters"]["inference_args"]["roi_size"]
    raw = image(work / "image.ome.tif", arguments["in_channels"], patch)
    [path] = segmenter(
        "predict", model=model, input=work / "image.ome.tif", output=work, write="logits"
    )
    found = tifffile.imread(path).reshape(arguments["out_channels"], *patch)
    with torch.no_grad():
        expected = net(torch.from_numpy(z_scored(raw))[None])[0].numpy()
    return len(state), changed, np.abs(found - expected).max(), np.abs(expected).max()


def main():
    folder = Path(sys.argv[1])
    models = sorted((folder / "cases").glob("*.ckpt"))
    models = [model for model in models if model.with_suffix(".npz").exists()]
    failed = False
    print(f"PyTorch {torch.__version__}")
    print(f"{'model':<24} {'keys':>5} {'changed':>8} {'difference':>11} {'largest logit':>14}")
    for model in [trained(folder), *models]:
        keys, changed, apart, largest = check(model, folder / f"out-{model.stem}")
        good = changed == 0 and apart <= TOLERANCE * max(1.0, largest)
        failed |= not good
        print(f"{model.stem:<24} {keys:>5} {changed:>8} {apart:>11.1e} {largest:>14.2f}", "" if good else "  FAILED")
    sys.exit(failed)


if __name__ == "__main__":
    main()
