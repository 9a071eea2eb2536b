#!/usr/bin/env python3
"""Opens the OME-Zarr stores of `segmenter-core/tests/zarr.rs` with other programs and compares every voxel and length.

zarr 3.1.6, ome-zarr 0.18.0, ome-zarr-models 1.7, numpy 2.3. Not part of the tests:

    ZARR_WRITTEN=FOLDER cargo test --package segmenter-core --features zarr --test zarr
    scripts/zarr_round_trip.py FOLDER
"""

import pathlib
import sys

import numpy as np
import ome_zarr_models
import ome_zarr.io
import ome_zarr.reader
import zarr

SHAPE = (40, 150, 300)
SIZE = (0.4, 0.1, 0.1)


def value(channels):
    place = np.arange(channels * np.prod(SHAPE), dtype=np.uint64).reshape(channels, *SHAPE)
    return (place * 2654435761 % 2**32 >> 7).astype(np.uint32)


def halved(data, factors, mean):
    """The next level by hand: the mean of what there is, rounded half up, or the first."""
    first = data[tuple(slice(None, None, f) for f in factors)]
    if not mean:
        return first
    total = np.zeros(first.shape, np.float64)
    count = np.zeros(first.shape, np.float64)
    for offset in np.ndindex(*factors):
        part = data[tuple(slice(o, None, f) for o, f in zip(offset, factors))]
        place = tuple(slice(0, n) for n in part.shape)
        total[place] += part
        count[place] += 1
    return np.floor(total / count + 0.5).astype(data.dtype)


def check_levels(group, metadata, expected, mean):
    """Every level's voxels, and where they lie."""
    array, shifts = None, np.zeros(3)
    for number, dataset in enumerate(metadata.datasets):
        found = group[dataset.path][...]
        transforms = dataset.coordinateTransformations
        scale = np.array(transforms[0].scale[-3:])
        if array is None:
            array = expected
            np.testing.assert_allclose(scale, SIZE, rtol=0)
        else:
            factors = np.round(scale / before).astype(int)
            array = halved(array, (1,) * (array.ndim - 3) + tuple(factors), mean)
            shifts = shifts + (factors - 1) * before / 2
            np.testing.assert_allclose(transforms[1].translation[-3:], shifts, rtol=1e-12, atol=1e-12)
        before = scale
        assert found.dtype == expected.dtype and np.array_equal(found, array), (dataset.path, found.shape)
        if group.metadata.zarr_format == 3:
            assert list(group[dataset.path].metadata.dimension_names) == [axis.name for axis in metadata.axes]
    return len(metadata.datasets)


def main(folder):
    print(f"zarr {zarr.__version__}, ome-zarr-models {ome_zarr_models.__version__}")
    stores = sorted(pathlib.Path(folder).glob("*.zarr"))
    assert len(stores) == 7
    for path in stores:
        group = zarr.open_group(path, mode="r")
        image = ome_zarr_models.open_ome_zarr(group)
        attributes = getattr(image.attributes, "ome", image.attributes)
        multiscale = attributes.multiscales[0]
        assert [(axis.name, axis.unit) for axis in multiscale.axes] == [
            ("c", None), ("z", "micrometer"), ("y", "micrometer"), ("x", "micrometer")]
        expected = (value(2) & 0xFFFF).astype(np.uint16)
        levels = check_levels(group, multiscale, expected, True)
        raw = group.attrs.get("ome", group.attrs)["omero"]["channels"]
        assert raw[0]["label"] == 'nuclei "µ"' and "label" not in raw[1] and len(raw) == 2
        assert [raw[0]["window"][k] for k in ("start", "end")] == [int(expected[0].min()), int(expected[0].max())]

        labels = image.labels
        listed = getattr(labels.attributes, "ome", labels.attributes)
        assert list(listed.labels) == ["nuclei"]
        label = ome_zarr_models.open_ome_zarr(group["labels/nuclei"])
        assert type(label).__name__ == "ImageLabel", type(label)
        attributes = getattr(label.attributes, "ome", label.attributes)
        same = check_levels(group["labels/nuclei"], attributes.multiscales[0], value(1)[0], False)
        assert same == levels

        nodes = list(ome_zarr.reader.Reader(ome_zarr.io.parse_url(str(path)))())
        assert np.array_equal(np.asarray(nodes[0].data[0]), expected)
        assert len(nodes[0].data) == levels
        print(f"{path.name}: {levels} level(s), image and labels equal; {type(image).__module__} valid")


main(sys.argv[1])
