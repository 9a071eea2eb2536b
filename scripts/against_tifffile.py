#!/usr/bin/env python3
"""Runs tifffile and segmenter in turn on a volume of Poisson noise and prints a table of medians with ratios.

    cargo bench --no-run --bench images          # prints where the program is
    python scripts/against_tifffile.py PROGRAM [ROUNDS [FOLDER]]

needs numpy 2.3, tifffile 2026.3.3 and imagecodecs 2026.3.6. Two threads each; every round runs both one after the
other, each in a process of its own. What is read was written by tifffile in tiles of 256 x 256 pixels, and is in the
system's cache. We write until the file is on disk; tifffile does not by itself, so it is measured as it is called
and followed by fsync. Nothing else should run on the machine.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import tifffile

SHAPE, TILE, THREADS, REPEATS = (64, 1024, 1024), (256, 256), 2, 3
CODECS = {"none": None, "zstd": "zstd", "deflate": "zlib"}


def peak():
    """Linux counts it for each process; what `resource` tells is inherited."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def timed(work):
    work()
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        print(time.perf_counter() - began)
    print(peak())


def write(codec, source, path, sync=False):
    volume = numpy.load(source)
    def work():
        with open(path, "wb") as file:
            tifffile.imwrite(file, volume, ome=True, tile=TILE, compression=CODECS[codec], maxworkers=THREADS, photometric="minisblack", metadata={"axes": "ZYX"})
            if sync:
                file.flush()
                os.fsync(file.fileno())
    return work


def rival(kind, *words):
    if kind == "read":
        timed(lambda: tifffile.imread(words[0], maxworkers=THREADS))
    else:
        timed(write(*words[:3], sync=words[3] == "sync"))


def run(*words):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
    done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True, check=True)
    *seconds, peak = [float(line) for line in done.stdout.split()]
    return statistics.median(seconds), peak


def row(name, rounds, ways):
    found = {way: [] for way in ways}
    for _ in range(rounds):
        for way, words in ways.items():
            found[way].append(run(*words))
    cells = [(statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs)) for runs in found.values()]
    ratio = " | ".join(f"{cells[0][0] / seconds:.2f}" for seconds, _ in cells[1:])
    cells = " | ".join(f"{seconds:.3f} s, {peak / 2**20:.0f} MiB" for seconds, peak in cells)
    print(f"| {name} | {cells} | {ratio} |", flush=True)


def main():
    program, rounds = sys.argv[1], int((sys.argv + ["5"])[2])
    folder = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp())
    source, again = folder / "noise.npy", [sys.executable, __file__, "rival"]
    numpy.save(source, numpy.random.default_rng(0).poisson(100, SHAPE).astype("uint16"))
    print("| read | segmenter | tifffile | ours / tifffile |\n|---|---|---|---|")
    for codec in CODECS:
        path = folder / f"read_{codec}.ome.tif"
        write(codec, source, path)()
        row(codec, rounds, {"ours": [program, "read", path, REPEATS], "tifffile": [*again, "read", path]})
    print("\n| write | segmenter | tifffile | tifffile and fsync | ours / tifffile | ours / tifffile and fsync |\n|---|---|---|---|---|---|")
    for codec in CODECS:
        ours, theirs = folder / f"ours_{codec}.ome.tif", folder / f"theirs_{codec}.ome.tif"
        row(codec, rounds, {
            "ours": [program, "write", codec, source, ours, REPEATS],
            "tifffile": [*again, "write", codec, source, theirs, "no"],
            "synced": [*again, "write", codec, source, theirs, "sync"],
        })
        assert numpy.array_equal(tifffile.imread(ours), numpy.load(source)), codec
        print(f"{codec}: {ours.stat().st_size} bytes by segmenter, {theirs.stat().st_size} by tifffile", file=sys.stderr)


if sys.argv[1:2] == ["rival"]:
    rival(*sys.argv[2:])
else:
    main()
