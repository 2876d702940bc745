"""Exports in shards at scale: time and memory a row of exporting, reading, merging, comparing.

    python benchmarks/shard_scale.py --output runs/shards
    python benchmarks/shard_scale.py --output runs/shards --rows 10000 --ray-photos 5000
    python benchmarks/shard_scale.py --output runs/shards --rows 10000 --source PHOTOS
    python benchmarks/shard_scale.py --output runs/shards --search

Rows are made up: two backbones in shards, as export_features.py would write them. For each number
of rows a process reads all of them in order (joined as merge_features.py joins them), one runs
merge_features.py for one epoch, streamed from disk, and one looks for the neighbours of 100 rows.
Pictures of noise are exported by a small backbone, a shard of the same length of data sets of
different sizes; with `--ray-photos`, as many by the plain command and by one Ray worker of all
cores, in turns. Microseconds and bytes a row are what a process took more than the last of its
kind, by the rows that it had more. The same command again measures again without making files
again.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from side_by_side.child import Cost, run_script
from side_by_side.commands import command
from side_by_side.made_up_shards import BLOCK, CLASSES, CLUSTERED, open_shards, write_shards
from side_by_side.neighbour_search import measure_search
from side_by_side.noise_photos import draw_noise

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Count, CountOrZero, ImageSize

BACKBONES, QUERIES, NEIGHBOURS = ("first", "second"), 100, 10
DECODED = 500
SAID = "said.json"


@dataclass
class Settings:
    """Measure what exports in shards take."""

    # folder for files, pictures and what the processes say
    output: Path
    # numbers of made-up rows
    rows: tuple[Count, ...] = (10_000, 100_000, 1_000_000)
    # shards of each
    shards: Count = 20
    # numbers an embedding
    width: Count = 128
    # numbers of pictures in the data sets of which one shard of `shard_photos` is exported
    photos: tuple[Count, ...] = (10_000, 100_000)
    shard_photos: Count = 10_000
    # pictures exported by the plain command and on Ray; 0 leaves that out
    ray_photos: CountOrZero = 0
    # folder of real photographs, to tell what decoding takes
    source: Path | None = None
    # of the pictures' export
    backbone: str = "mobilenet_v2_0.35"
    image_size: ImageSize = 96
    # so often the plain command and Ray take turns
    repeats: Count = 3
    # what a process started from here does with the first of `rows`
    step: Literal["all", "read", "nearest", "index", "exact", "approximate"] = "all"
    # compare the exact search with an approximate index, on clustered rows, and nothing else
    search: bool = False


def main(settings: Settings) -> None:
    if settings.step in ("index", "exact", "approximate"):
        rows = open_shards(settings, CLUSTERED, settings.rows[0])
        measure_search(rows, settings.step, settings.output / SAID)
        return
    if settings.step != "all":
        files = [open_shards(settings, name, settings.rows[0]) for name in BACKBONES]
        (read if settings.step == "read" else look_for_neighbours)(files)
        return
    if settings.search:
        compare_searches(settings)
        return
    print("| rows | what | process, s | CPU, s | CPU microseconds a row | peak, MB | bytes a row |")
    print("|---|---|---|---|---|---|---|")
    lasts: dict[str, tuple[int, Cost]] = {}
    for rows in settings.rows:
        files = [path for name in BACKBONES for path in write_shards(settings, name, rows)]
        for step in ("read", "nearest"):
            words = command(
                "benchmarks/shard_scale.py",
                output=settings.output,
                rows=rows,
                shards=settings.shards,
                step=step,
            )
            tell(lasts, step, rows, measured(settings, words))
        merge = {"leave_one_out": False, "epochs": 1, "memory_gb": 0}
        words = command("recipes/merge_features.py", features=files, **merge)
        tell(lasts, "merge_features.py", rows, measured(settings, words))
    for count in settings.photos:
        data = data_set(settings, count)
        parts = max(1, count // settings.shard_photos)
        output = settings.output / "exports" / f"{count}"
        words = export_words(settings, data, output, shard=f"1/{parts}")
        tell(lasts, f"export, shard 1/{parts}", count, measured(settings, words, output))
    if settings.ray_photos:
        compare_with_ray(settings)
    if settings.source is not None:
        decode(settings.source)


def compare_searches(settings: Settings) -> None:
    """The index of the training rows, made and opened, beside reading all rows."""
    print(
        "| rows | what | process, s | CPU, s | peak, MB | 1 query, ms | of 100, ms each | recall |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for rows in settings.rows:
        folder = write_shards(settings, CLUSTERED, rows)[0].parent
        for file in folder.glob(f"{CLUSTERED}*.usearch*"):
            file.unlink()
        for step in ("index", "exact", "approximate"):
            flags = {"rows": rows, "shards": settings.shards, "step": step}
            words = command("benchmarks/shard_scale.py", output=settings.output, **flags)
            cost = run_script(words, settings.output / "log.txt")
            said = json.loads((settings.output / SAID).read_text())
            took = f"{cost.wall_seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_bytes / 1e6:.0f}"
            print(f"| {rows:,} | {step} | {took} | {' | '.join(said)} |", flush=True)


def measured(settings: Settings, words: list[str], fresh: Path | None = None) -> Cost:
    """What a process takes; a folder that it would go on with is removed."""
    for file in sorted(fresh.glob("*.h5")) if fresh is not None else ():
        file.unlink()
    return run_script(words, settings.output / "log.txt")


def tell(lasts: dict[str, tuple[int, Cost]], what: str, rows: int, cost: Cost) -> None:
    """A row of the table, beside the last of its kind."""
    kind = what.partition(",")[0]
    each, more = "", ""
    if kind in lasts:
        before, last = lasts[kind]
        each = f"{(cost.cpu_seconds - last.cpu_seconds) / (rows - before) * 1e6:.1f}"
        more = f"{(cost.peak_bytes - last.peak_bytes) / (rows - before):.0f}"
    lasts[kind] = rows, cost
    took = f"{cost.wall_seconds:.1f} | {cost.cpu_seconds:.1f} | {each}"
    print(f"| {rows:,} | {what} | {took} | {cost.peak_bytes / 1e6:.0f} | {more} |", flush=True)


def read(files) -> None:
    """Join the files and read all rows in order."""
    from finegrain.merging.joined import join_features

    joined = join_features(files)
    for split, rows in joined.splits.items():
        for start in range(0, len(rows.paths), BLOCK):
            some = np.arange(start, min(start + BLOCK, len(rows.paths)))
            joined.read([file.name for file in files], split, some)


def look_for_neighbours(files) -> None:
    """The nearest of all training rows to the first validation rows, exactly."""
    from finegrain.embeddings.nearest import nearest, unit_rows

    file, rows = files[0], len(files[0].splits["train"].paths)
    blocks = (
        unit_rows(file.read("train", np.arange(start, min(start + BLOCK, rows))))
        for start in range(0, rows, BLOCK)
    )
    nearest(blocks, unit_rows(file.read("valid", np.arange(QUERIES))), NEIGHBOURS)


def data_set(settings: Settings, count: int) -> Path:
    """A data set of pictures of noise; one there is kept."""
    photos, data = settings.output / f"photos-{count}", settings.output / f"data-{count}"
    if not (data / "manifest.csv").is_file():
        draw_noise(photos, count, CLASSES)
        words = command("img2keras.py", source=photos, output=data, valid_fraction=0.1)
        run_script([*words, "--near-distance", "-1"], settings.output / "log.txt")
    return data


def export_words(settings: Settings, data: Path, output: Path, **flags) -> list[str]:
    return command(
        "recipes/export_features.py",
        data=data,
        output=output,
        backbones=settings.backbone,
        weights="none",
        image_size=settings.image_size,
        # By itself it would judge other precisions where the data set is large.
        inference="float32",
        **flags,
    )


def compare_with_ray(settings: Settings) -> None:
    """The plain command and one Ray worker of all cores in turns, on few and on all pictures."""
    few, many = settings.ray_photos // 10, settings.ray_photos
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(settings.repeats):
        for count in (few, many):
            data = data_set(settings, count)
            on_ray = {"engine": "ray", "address": "local", "shards": max(1, count // 500)}
            for name, flags in (("plain", {}), ("ray", on_ray)):
                output = settings.output / "exports" / f"{name}-{count}"
                cost = measured(settings, export_words(settings, data, output, **flags), output)
                seconds.setdefault((name, count), []).append(cost.wall_seconds)
    print("| export | few, s | all, s | pictures a second beyond the start |")
    print("|---|---|---|---|")
    for name in ("plain", "ray"):
        start, whole = (float(np.median(seconds[name, count])) for count in (few, many))
        rate = (many - few) / (whole - start) if whole > start else float("nan")
        print(f"| {name} | {start:.1f} | {whole:.1f} | {rate:.0f} |")


def decode(folder: Path) -> None:
    """What decoding photographs and resizing them takes of a core."""
    from finegrain.datasets.layouts.layout import list_source
    from finegrain.decode import read_pixels
    from finegrain.frame import Frame

    paths = list_source(folder).all_images[:DECODED]
    if not paths:
        raise UserError(f"--source {folder} holds no photographs; name a folder that does")
    size = sum(path.stat().st_size for path in paths) / len(paths)
    print(f"{len(paths)} photographs of {size / 1000:.0f} KB on average:")
    for side in (224, 299):
        started = time.process_time()
        for path in paths:
            read_pixels(path, Frame(side, side))
        rate = len(paths) / (time.process_time() - started)
        print(f"  {rate:.0f} a second of a core's time at {side}")


if __name__ == "__main__":
    run_command(main, Settings)
