#!/usr/bin/env python3
"""Writes the OME-Zarr stores that segmenter-core's tests read.

zarr 3.1.6, numcodecs as it brings it, numpy 2.3. Run from the root of the repository; not part of the tests.
The voxel at [z, y, x] is 100 z + 10 y + x, and 1000 c more in channel c, wrapped to the type.
"""

import json
import pathlib
import shutil

import numpy as np
import zarr
from zarr import codecs as zc
import numcodecs

ROOT = pathlib.Path("segmenter-core/tests/fixtures/zarr")
SHAPE = (3, 5, 7)


def voxels(dtype, channels=None):
    z, y, x = np.indices(SHAPE)
    values = 100 * z + 10 * y + x
    if channels:
        values = np.stack([values + 1000 * c for c in range(channels)])
    return values.astype(dtype)


def multiscales(axes, datasets, **more):
    return {"axes": axes, "datasets": datasets, "name": "cells", **more}


def space(*names, unit="micrometer"):
    return [{"name": n, "type": "space", "unit": unit} for n in names]


def scale(*values):
    return [{"type": "scale", "scale": list(values)}]


def fresh(name):
    path = ROOT / name
    shutil.rmtree(path, ignore_errors=True)
    return path


def v3(name, data, axes, scales, chunks=(2, 3, 4), omero=None, unit="micrometer", **array):
    path = fresh(name)
    ome = {"version": "0.5", "multiscales": [multiscales(axes, [{"path": "s0", "coordinateTransformations": scales}])]}
    if omero:
        ome["omero"] = omero
    zarr.create_group(path, zarr_format=3, attributes={"ome": ome})
    chunks = (1,) * (data.ndim - 3) + chunks
    shards = array.pop("shards", None)
    a = zarr.create_array(path / "s0", shape=data.shape, dtype=data.dtype, chunks=chunks, shards=shards,
                          dimension_names=[axis["name"] for axis in axes], zarr_format=3, **array)
    a[...] = data


def v2(name, data, axes, scales, chunks=(2, 3, 4), separator="/", **array):
    path = fresh(name)
    version = {"version": "0.4"}
    attributes = {"multiscales": [multiscales(axes, [{"path": "0", "coordinateTransformations": scales}], **version)]}
    zarr.create_group(path, zarr_format=2, attributes=attributes)
    chunks = (1,) * (data.ndim - 3) + chunks
    a = zarr.create_array(path / "0", shape=data.shape, dtype=data.dtype, chunks=chunks, zarr_format=2,
                          chunk_key_encoding={"name": "v2", "configuration": {"separator": separator}}, **array)
    a[...] = data


zyx, sizes = space("z", "y", "x"), scale(0.5, 0.25, 0.125)

v3("v3_zstd_crc32c.zarr", voxels("u2"), zyx, sizes, compressors=[zc.ZstdCodec(level=3), zc.Crc32cCodec()])
v3("v3_sharded.zarr", voxels("u2"), zyx, sizes, shards=(4, 6, 8), compressors=[zc.ZstdCodec()])
v3("v3_blosc_big_endian.zarr", voxels("f4"), zyx, sizes,
   serializer=zc.BytesCodec(endian="big"), compressors=[zc.BloscCodec(cname="lz4", shuffle="bitshuffle")])
v3("v3_gzip_transpose.zarr", voxels("u4"), zyx, sizes,
   filters=[zc.TransposeCodec(order=(2, 0, 1))], compressors=[zc.GzipCodec(level=5)])
v3("v3_channels_nanometer.zarr", voxels("i2", 2), [{"name": "c", "type": "channel"}] + space("z", "y", "x", unit="nanometer"),
   scale(1, 500, 250, 125), omero={"channels": [
       {"label": "membrane", "color": "FFFFFF", "window": {"min": 0, "max": 1, "start": 0, "end": 1}},
       {"color": "FFFFFF", "window": {"min": 0, "max": 1, "start": 0, "end": 1}}]})
v2("v2_blosc_f_order.zarr", voxels("u2"), zyx, sizes, order="F",
   compressors=numcodecs.Blosc(cname="zstd", shuffle=1))
v2("v2_zlib_big_endian_dots.zarr", voxels(">u2"), zyx, sizes, separator=".", compressors=numcodecs.Zlib(level=1))
v2("v2_bz2_i1.zarr", voxels("i1"), zyx, sizes, compressors=numcodecs.BZ2())
v2("v2_time.zarr", np.stack([voxels("u1", 1), voxels("u1", 1) + np.uint8(1)]),
   [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}] + space("z", "y", "x"), scale(1, 1, 0.5, 0.25, 0.125),
   compressors=numcodecs.GZip())

# A chunk that is not there has the fill value; both levels of transformation count.
path = fresh("v3_missing_chunk.zarr")
axes = space("y", "x", unit="millimeter")
levels = [{"path": "0", "coordinateTransformations": scale(2, 2) + [{"type": "translation", "translation": [1, 0.5]}]},
          {"path": "1", "coordinateTransformations": scale(4, 4)}]
zarr.create_group(path, zarr_format=3, attributes={"ome": {"version": "0.5", "multiscales": [
    multiscales(axes, levels, coordinateTransformations=scale(0.001, 0.001))]}})
a = zarr.create_array(path / "0", shape=(4, 4), dtype="u1", chunks=(2, 2), fill_value=9, dimension_names=["y", "x"])
a[:2, :2] = 1
b = zarr.create_array(path / "1", shape=(2, 2), dtype="u1", chunks=(2, 2), fill_value=3, dimension_names=["y", "x"])
b[0, 0] = 1

# Two series as bioformats2raw writes them.
path = fresh("v2_series.zarr")
zarr.create_group(path, zarr_format=2, attributes={"bioformats2raw.layout": 3})
zarr.create_group(path / "OME", zarr_format=2, attributes={"series": ["0", "1"]})
for series in range(2):
    v2(f"v2_series.zarr/{series}", voxels("u1") + np.uint8(series), zyx, sizes, compressors=None)

# A plate with a well of two fields.
path = fresh("v3_plate.zarr")
zarr.create_group(path, zarr_format=3, attributes={"ome": {"version": "0.5", "plate": {
    "columns": [{"name": "1"}], "rows": [{"name": "A"}],
    "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}}})
zarr.create_group(path / "A", zarr_format=3)
zarr.create_group(path / "A/1", zarr_format=3, attributes={"ome": {"version": "0.5", "well": {
    "images": [{"path": "0"}, {"path": "1"}]}}})

# An array without OME's metadata.
a = zarr.create_array(fresh("v2_array.zarr"), shape=SHAPE, dtype="u2", chunks=SHAPE, zarr_format=2)
a[...] = voxels("u2")
a = zarr.create_array(fresh("v3_array_xyz.zarr"), shape=SHAPE[::-1], dtype="u2", chunks=(4, 3, 2), dimension_names=["x", "y", "z"])
a[...] = voxels("u2").T
