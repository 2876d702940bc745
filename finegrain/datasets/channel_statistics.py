"""Mean and standard deviation of the red, green and blue of many photographs, in one pass.

A photograph adds to a table of how often each channel has each of its 256 values. Counts are whole
numbers, so the table is the same in whatever order the photographs come and over however many
threads they are spread; mean and standard deviation follow from it without rounding on the way.
They stand in `statistics.json` of a data folder, split by split.
"""

import contextlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.class_names import class_order
from finegrain.datasets.manifest import digest
from finegrain.datasets.split import SPLITS
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError
from finegrain.read_ahead import over_images
from finegrain.regular_file import read_regular
from finegrain.whole_files import written_whole

CHANNELS, VALUES = 3, 256
STATISTICS = "statistics.json"
ALL = "all"
MEASURED = (
    "every pixel of every image at full size, upright, 8-bit RGB from 0 to 255; "
    "population standard deviation; red, green, blue"
)


@dataclass(frozen=True)
class ChannelStatistics:
    """What is known about the pixels of a set of images: red, green and blue, 0 to 255."""

    images: int
    pixels: int  # each counts the same, whosever it is
    mean: tuple[float, ...]  # rounded once, to the nearest float64
    std: tuple[float, ...]  # of the population; the square root of a variance rounded once


def count_values(parts: dict[str, list[Path]], workers: int | None = None) -> dict[str, np.ndarray]:
    """How often red, green and blue have each value: name of each list -> (3, 256) int64."""
    counts = {name: np.zeros(CHANNELS * VALUES, np.int64) for name in parts}
    images = [(name, path) for name, paths in parts.items() for path in paths]
    for name, histogram in over_images(_histogram, images, "measuring pixels", workers):
        counts[name] += histogram
    return {name: table.reshape(CHANNELS, VALUES) for name, table in counts.items()}


def _histogram(image: tuple[str, Path]) -> tuple[str, list[int]]:
    name, path = image
    try:
        return name, open_rgb(path).histogram()
    except UnreadableImage as error:
        raise UserError(
            f"{path} cannot be read any more ({error}); start the same command again, which "
            "leaves it out"
        ) from error


def statistics_of(images: int, counts: np.ndarray) -> ChannelStatistics:
    """What (3, 256) int64 counts of so many images, one at least, amount to; counts add up."""
    mean, std = [], []
    for channel in counts.tolist():
        # Python's integers are exact at any size, and dividing them rounds once.
        pixels = sum(channel)
        total = sum(value * count for value, count in enumerate(channel))
        squares = sum(value * value * count for value, count in enumerate(channel))
        mean.append(total / pixels)
        std.append(math.sqrt((pixels * squares - total * total) / (pixels * pixels)))
    return ChannelStatistics(images, pixels, tuple(mean), tuple(std))


def write_statistics(
    output: Path, rows: pd.DataFrame, workers: int | None = None
) -> tuple[dict[str, ChannelStatistics], float]:
    """Measure splits that have images, and `all`; write that down, return it and the seconds."""
    started = time.monotonic()
    paths_of = dict(iter(rows.groupby("split")["path"]))
    parts = {s: [output / path for path in paths_of[s]] for s in SPLITS if s in paths_of}
    counts = count_values(parts, workers)
    measured = {split: statistics_of(len(parts[split]), counts[split]) for split in parts}
    measured[ALL] = statistics_of(len(rows), np.sum(list(counts.values()), axis=0))
    content = {
        "measured": MEASURED,
        "data": digest(rows, class_order(rows["label"])),
        **{split: asdict(statistics) for split, statistics in measured.items()},
    }
    with written_whole(output / STATISTICS) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return measured, time.monotonic() - started


def remove_outdated_statistics(output: Path, rows: pd.DataFrame) -> bool:
    """Remove a `statistics.json` of ours that describes another data set; True if there was one."""
    path = output / STATISTICS
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(read_regular(path))
        ours = isinstance(content, dict) and content.get("measured") == MEASURED
        if ours and content.get("data") != digest(rows, class_order(rows["label"])):
            path.unlink()
            return True
    return False


def statistics_table(measured: dict[str, ChannelStatistics]) -> str:
    """A line a split: images, pixels, mean and standard deviation of red, green and blue."""
    lines = [f"{'':<8}{'images':>9}{'pixels':>16}   {'mean of red, green, blue':<24}   deviation"]
    for split, found in measured.items():
        mean, std = ("".join(f"{value:8.3f}" for value in of) for of in (found.mean, found.std))
        lines.append(f"{split:<8}{found.images:>9}{found.pixels:>16}   {mean}   {std.lstrip()}")
    return "\n".join(lines)


def throughput(found: ChannelStatistics, seconds: float) -> str:
    """How fast the images were measured, in words."""
    images, pixels = found.images / seconds, found.pixels / seconds
    return f"{images:.0f} images and {pixels / 1e6:.0f} million pixels a second"
