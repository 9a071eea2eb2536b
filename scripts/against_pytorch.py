#!/usr/bin/env python3
"""Runs PyTorch, ONNX Runtime and segmenter in turn and prints a table of medians with ratios.

    cargo bench --no-run --bench steps           # prints where the program is
    python scripts/against_pytorch.py PROGRAM [ROUNDS]

needs torch 2.15, monai 1.6, onnxruntime 1.32 and onnx. Two threads each; every round runs all of a row's
rivals one after another, each in a process of its own. Nothing else should run on the machine.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

PROGRAM, ROUNDS = sys.argv[1], int((sys.argv + ["2"])[2])
RIVALS = str(Path(__file__).with_name("torch_steps.py"))
ENVIRONMENT = {**os.environ, "RAYON_NUM_THREADS": "2"}

TRAIN = [
    "3 medium 32x64x64 1", "3 small 32x64x64 1", "3 small 16x32x32 4", "3 large 16x32x32 4",
    "2 medium 256x256 1", "2 medium 256x256 4",
]
PREDICT = [
    "3 small 64x256x256 16x64x64 0.2", "3 small 64x256x256 32x128x128 0.2",
    "3 medium 64x256x256 16x64x64 0.2", "3 medium 64x256x256 32x128x128 0.2",
    "2 small 2048x2048 64x64 0.2", "2 small 2048x2048 256x256 0.2",
]


def run(*words):
    done = subprocess.run([str(word) for word in words], env=ENVIRONMENT, capture_output=True, text=True)
    *seconds, peak = [float(line) for line in done.stdout.split()]
    return statistics.median(seconds), peak


def row(kind, words, rivals, repeats):
    found = {"ours": [], **{rival: [] for rival in rivals}}
    for _ in range(ROUNDS):
        found["ours"].append(run(PROGRAM, kind, *words, "f32", repeats))
        for rival in rivals:
            found[rival].append(run(sys.executable, RIVALS, kind, *words, rival, repeats))
    return {
        name: (statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs))
        for name, runs in found.items()
    }


def table(kind, rows, rivals, repeats):
    print(f"| {kind} | segmenter | " + " | ".join(rivals) + " | ours / best f32 | ours / best |")
    print("|---" * (len(rivals) + 4) + "|")
    for words in rows:
        medians = row(kind, words.split(), rivals, repeats)
        ours = medians["ours"][0]
        plain = min(medians[rival][0] for rival in rivals if not rival.startswith("bf16"))
        best = min(medians[rival][0] for rival in rivals)
        cells = [f"{seconds:.3f} s, {peak / 2**20:.0f} MiB" for seconds, peak in medians.values()]
        print(f"| {words} | " + " | ".join(cells) + f" | {ours / plain:.2f} | {ours / best:.2f} |", flush=True)


table("train", TRAIN, ["f32", "f32-last", "bf16"], 4)
print(flush=True)
table("predict", PREDICT, ["bf16", "f32*8", "onnx"], 1)
