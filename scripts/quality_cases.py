# Makes segmenter-curation/src/quality/cases.json: an image, its segmentation and what SciPy says of them.
# numpy 2.3.5, scipy 1.17.1, scikit-image 0.26.0. Run from the root of the repository.
import json
import numpy as np
from scipy import ndimage, stats
from skimage.filters import threshold_otsu

rng = np.random.default_rng(7)
y, x = np.mgrid[:30, :26]
mask = ((y - 9) ** 2 + (x - 8) ** 2 < 30) | ((y - 20) ** 2 + (x - 18) ** 2 < 22) | ((y > 26) & (x < 2))
raw = np.clip(60 + 60 * ndimage.gaussian_filter(mask.astype(float), 0.7) + rng.normal(0, 16, mask.shape), 0, 255)
raw = raw.round()

inner = np.s_[1:-1, 1:-1]
laplacian = ndimage.laplace(raw)[inner]
response = np.abs(ndimage.convolve(raw, np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])))[inner]
background = ~ndimage.binary_dilation(mask, np.ones((3, 3)))[inner]
noise = np.sqrt(np.pi / 2) / 6 * response[background].mean()
gradient = (np.hypot(ndimage.sobel(raw, 0), ndimage.sobel(raw, 1)) / 8)[inner]
cross = ndimage.generate_binary_structure(2, 1)
beside = (ndimage.binary_dilation(mask, cross) & ~ndimage.binary_erosion(mask, cross, border_value=1))[inner]
low, high = np.percentile(raw, [1, 99.8], method="inverted_cdf")
first = np.concatenate([raw[:-1].ravel(), raw[:, :-1].ravel()])
second = np.concatenate([raw[1:].ravel(), raw[:, 1:].ravel()])
inside, outside = raw[mask], raw[~mask]
median = lambda values: np.percentile(values, 50, method="inverted_cdf")

with open("segmenter-curation/src/quality/cases.json", "w") as file:
    json.dump({
        "extent": raw.shape,
        "raw": raw.ravel().tolist(),
        "mask": mask.ravel().tolist(),
        "focus": laplacian.var() / raw.var(),
        "noise": noise,
        "signal_to_noise": (median(inside) - median(outside)) / noise,
        "separability": stats.mannwhitneyu(inside, outside).statistic / (inside.size * outside.size),
        "agreement": stats.pointbiserialr(mask.ravel(), np.clip(raw, low, high).ravel()).statistic,
        "edge": gradient[beside].mean() / gradient[~beside].mean(),
        "structure": np.corrcoef(first, second)[0, 1],
        "saturated": (raw == raw.max()).mean(),
        "otsu": threshold_otsu(raw.astype(np.uint8)).item(),
    }, file, separators=(",", ":"))
    file.write("\n")
