"""How the training's loader grows with cores: batches read ahead and thrown away.

    python benchmarks/loader_growth.py --data data/dogs

A sink stands in place of a GPU, so what is measured is the most that a GPU could be fed. The
photographs come from a store of pixels, as from a training's second epoch on, and are augmented.
The numbers of cores take turns, epoch by epoch, so that whatever else the machine does meets all
of them; the table shows medians, and how much of a growth in step with the cores there is.
"""

import json
import os
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from loader_speed import photo_batches

from finegrain.command import run_command
from finegrain.datasets.manifest import open_data_set
from finegrain.errors import UserError
from finegrain.flags import BatchSize, Epochs, ImageSize, Threads
from finegrain.images.batches import BatchStream
from finegrain.read_ahead import usable_cores
from finegrain.whole_files import written_whole


@dataclass
class Settings:
    """Measure the loader on ever more cores."""

    # data set folder made by img2keras.py
    data: Path
    image_size: ImageSize = 299
    batch_size: BatchSize = 32
    # epochs on each number of cores
    epochs: Epochs = 5
    # numbers of cores, with as many workers each; by default 1, 2, 4, ... and all there are
    cores: tuple[Threads, ...] = ()
    # file for the photographs a second of each number of cores
    json: Path | None = None


def main(settings: Settings) -> None:
    open_data_set(settings.data)
    asked = settings.cores or powers_of_two(usable_cores())
    if max(asked) > usable_cores():
        raise UserError(f"--cores {max(asked)} is more than the {usable_cores()} there are")
    with tempfile.TemporaryDirectory() as cache:
        photos = photo_batches(settings, Path(cache))
        for step in range(photos.steps()):
            photos.batch(0, step)
        rates: dict[int, list[float]] = {cores: [] for cores in asked}
        for epoch in range(settings.epochs):
            for cores in asked:
                rates[cores].append(rate(photos, cores, epoch))
    medians = {cores: statistics.median(found) for cores, found in rates.items()}
    if settings.json:
        with written_whole(settings.json) as file:
            file.write_text(json.dumps(medians), encoding="utf-8")
    print(table(medians))


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... up to a number, and that number."""
    return [2**power for power in range(most.bit_length()) if 2**power < most] + [most]


def rate(photos, cores: int, epoch: int) -> float:
    """Photographs a second of an epoch, on so many cores."""
    free = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if free is not None:
        # The stream's threads inherit it.
        os.sched_setaffinity(0, sorted(free)[:cores])
    try:
        steps = photos.steps()
        started = time.perf_counter()
        with closing(BatchStream(photos, epoch * steps, workers=cores)) as stream:
            images = sum(len(batch) for batch, _ in islice(stream, steps))
        return images / (time.perf_counter() - started)
    finally:
        if free is not None:
            os.sched_setaffinity(0, free)


def table(medians: dict[int, float]) -> str:
    """Photographs a second by cores, as Markdown."""
    fewest = min(medians)
    lines = ["| cores | images a second | of a growth in step |", "|---|---|---|"]
    for cores, found in sorted(medians.items()):
        share = found / medians[fewest] / (cores / fewest)
        lines.append(f"| {cores} | {found:,.0f} | {share:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main, Settings)
