"""The pretraining tool on a handful of pictures, as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from finegrain.models.networks import XceptionSmall

ROOT = Path(__file__).parents[2]


def pretrain(folder: Path, *flags: str) -> str:
    command = [
        sys.executable,
        str(ROOT / "tools" / "pretrain_small.py"),
        "--output",
        str(folder / "small.weights.h5"),
        "--photos",
        str(folder / "photos"),
        "--run",
        str(folder / "run"),
        "--breeds",
        "4",
        "--per-class",
        "5",
        "--valid-every",
        "5",
        "--batch-size",
        "8",
        "--width",
        "0.1",
        "--image-size",
        "72",
        "--transfer-per-class",
        "5",
        *flags,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.thorough
def test_it_trains_goes_on_and_writes_weights_that_load(tmp_path):
    first = pretrain(tmp_path, "--epochs", "1")
    assert "20 pictures of 4 breeds" in first
    assert re.search(r"epoch 1/1: breed accuracy 0\.\d+", first)
    assert re.search(r"top-1 accuracy \d\.\d{3}, untrained backbone \d\.\d{3}", first)
    before = (tmp_path / "small.weights.h5").read_bytes()
    again = pretrain(tmp_path, "--epochs", "2")
    assert "epoch 1/2" not in again and "epoch 2/2" in again
    assert (tmp_path / "small.weights.h5").read_bytes() != before
    XceptionSmall(width=0.1, weights=tmp_path / "small.weights.h5")
