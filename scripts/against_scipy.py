#!/usr/bin/env python3
"""Compares the time that segmenter, SciPy and scikit-image take to make objects of a mask.

    cargo bench --no-run --bench objects         # prints where the program is
    python scripts/against_scipy.py PROGRAM [REPEATS]

needs SciPy 1.17 and scikit-image 0.26. The mask is of 64x512x512 voxels, half of them inside, of
0.29x0.108x0.108 um. Figures are medians of the seconds in which processors were busy, of all threads
together: SciPy uses one.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage as ndi
from skimage.segmentation import watershed

PROGRAM, REPEATS = sys.argv[1], int((sys.argv + ["3"])[2])
SPACING = (0.29, 0.108, 0.108)


def busy(work):
    seconds = []
    for _ in range(REPEATS):
        start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        work()
        seconds.append(resource.getrusage(resource.RUSAGE_SELF).ru_utime - start)
    return statistics.median(seconds)


noise = np.random.default_rng(1).standard_normal((64, 512, 512)).astype(np.float32)
mask = ndi.gaussian_filter(noise, (2, 5, 5)) > 0
distances = ndi.distance_transform_edt(mask, sampling=SPACING)
markers = (ndi.label(ndi.maximum_filter(distances, size=9) == distances)[0] * mask).astype(np.uint32)

with tempfile.TemporaryDirectory() as folder:
    paths = [Path(folder) / "mask.npy", Path(folder) / "markers.npy"]
    for path, array in zip(paths, [mask, markers]):
        np.save(path, array)
    done = subprocess.run([PROGRAM, *paths, str(REPEATS)], capture_output=True, text=True, check=True)

theirs = {
    "distances": lambda: ndi.distance_transform_edt(mask, sampling=SPACING),
    "components, faces": lambda: ndi.label(mask),
    "components, corners": lambda: ndi.label(mask, np.ones((3, 3, 3))),
    "holes": lambda: ndi.binary_fill_holes(mask),
    "watershed": lambda: watershed(-distances, markers, mask=mask),
}
print("| | segmenter | SciPy, scikit-image | ratio |\n|---|---|---|---|")
for line in done.stdout.splitlines():
    what, ours = line.split("\t")
    if what in theirs:
        their = busy(theirs[what])
        print(f"| {what} | {ours} s | {their:.2f} s | {float(ours) / their:.2f} |")
    else:
        print(f"| {what} | {ours} s | | |")
