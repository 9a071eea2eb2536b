# Makes segmenter-core/src/components/cases.json: masks and the ids that scipy.ndimage.label gives them.
# numpy 2.3.5, scipy 1.17.1. Run from the root of the repository.
import json
import numpy as np
from scipy import ndimage

rng = np.random.default_rng(6)
cases = []
for extent in [(1, 1), (1, 9), (9, 1), (7, 10), (12, 13), (1, 6, 7), (4, 1, 8), (3, 5, 6), (6, 6, 6)]:
    for share in [0.2, 0.45, 0.7]:
        mask = rng.random(extent) < share
        rank = len(extent)
        for step in range(1, rank + 1):
            ids, count = ndimage.label(mask, ndimage.generate_binary_structure(rank, step))
            cases.append({
                "extent": extent,
                "connectivity": step,
                "mask": "".join("#" if inside else "." for inside in mask.ravel()),
                "ids": ids.ravel().tolist(),
            })
with open("segmenter-core/src/components/cases.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
