"""Memory and opening time when a data set is large: 20,000 photographs by default.

    python benchmarks/many_photographs.py --output runs/many

Makes pictures of coloured noise (what they show does not matter here), prepares them with
img2keras.py, trains stage 1 of the multi-loss recipe from stored embeddings, and prints the peak
memory of each process, how long the store takes to open, and how fast its rows are read in random
order. Needs 0.3 GB of disk; the same command again measures again without drawing again.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from side_by_side.noise_photos import draw_noise

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Count, ImageSize, StageEpochs, Views


@dataclass
class Settings:
    """Measure img2keras.py and froze_fine_tune.py on many photographs."""

    # folder for pictures, data set and run
    output: Path
    images: Count = 20_000
    classes: Count = 100
    # a small backbone: memory is measured here, not time
    backbone: str = "mobilenet_v2_0.35"
    image_size: ImageSize = 96
    views: Views = 1
    frozen_epochs: StageEpochs = 2


def main(settings: Settings) -> None:
    photos, data = settings.output / "photos", settings.output / "data"
    draw_noise(photos, settings.images, settings.classes)
    run = settings.output / "runs" / "many"
    subprocess.run(["rm", "-rf", run.parent], check=True)
    measured("img2keras.py", "--source", photos, "--output", data)
    measured(
        "froze_fine_tune.py",
        "--data",
        data,
        "--run",
        run,
        "--backbone",
        settings.backbone,
        "--weights",
        "none",
        "--image-size",
        settings.image_size,
        "--views",
        settings.views,
        "--frozen-epochs",
        settings.frozen_epochs,
        "--unfrozen-epochs",
        1,
        "--no-unfrozen-augmentation",
    )
    for store in sorted((run.parent / "cache").glob("embedding-*.h5")):
        open_and_read(store)


def measured(script: str, *arguments) -> None:
    """Run a script, and print its time and the most memory it held."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, script, *map(str, arguments)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"{script} ended with status {os.waitstatus_to_exitcode(status)}")
    # Linux counts in kilobytes.
    print(
        f"{script:20} {time.monotonic() - started:7.1f} s  peak {usage.ru_maxrss / 1e6:.2f} GB",
        flush=True,
    )


def open_and_read(path: Path) -> None:
    """Print how long a store takes to open and to be read in random order."""
    import json

    import h5py

    from finegrain.stores.row_store import RowStore

    with h5py.File(path, "r") as file:
        key = json.loads(file.attrs["key"])
    started = time.monotonic()
    store = RowStore(path, key)
    rows = store.splits["train"]
    opened = time.monotonic() - started
    order = np.random.default_rng(0).permutation(rows)
    started = time.monotonic()
    for start in range(0, rows, 32):
        store.read("embedding", "train", order[start : start + 32])
    print(
        f"{path.name}: opened in {opened:.3f} s; {rows} rows read in random order in "
        f"{time.monotonic() - started:.2f} s"
    )
    store.close()


if __name__ == "__main__":
    run_command(main, Settings)
