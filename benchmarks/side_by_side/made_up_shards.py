"""Shards of made-up embeddings, as recipes/export_features.py would write them."""

from pathlib import Path
from typing import Protocol

import numpy as np

from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore

# The layout of an exported file; from the library it would bring memory that counts for children.
EMBEDDING, CLASS = "embedding", "class"
CLASSES, BLOCK = 10, 16_384
# A backbone whose embeddings lie around centres, as those of so many classes do.
CLUSTERED, CENTRES = "clustered", 1_000


class MadeUp(Protocol):
    """Where shards stand, how many there are of each number of rows, and numbers an embedding."""

    output: Path
    shards: int
    width: int


def shard_path(made: MadeUp, name: str, rows: int, number: int) -> Path:
    folder = made.output / f"rows-{rows}-{made.shards}"
    return folder / f"{name}.shard-{number}-of-{made.shards}.h5"


def write_shards(made: MadeUp, name: str, rows: int) -> list[Path]:
    """The shards of a made-up export, every tenth row for validation; those there are kept."""
    paths = []
    for number in range(1, made.shards + 1):
        path = shard_path(made, name, rows, number)
        paths.append(path)
        if not path.exists():
            write_shard(made, path, rows, number)
    return paths


def write_shard(made: MadeUp, path: Path, rows: int, number: int) -> None:
    key = {
        "backbone": path.stem.partition(".")[0],
        "data": f"{rows} made-up rows",
        "views": {"kind": "plain"},
        "shard": f"{number} of {made.shards}",
    }
    columns: dict[str, dict] = {name: {} for name in ("path", "id", "label", "group", "view")}
    counts = {}
    for split, count in (("train", rows - rows // 10), ("valid", rows // 10)):
        ends = [count * place // made.shards for place in (number - 1, number)]
        own = np.arange(*ends)
        counts[split] = len(own)
        columns["path"][split] = [f"{split}/class_{n % CLASSES}/{n:08}.jpg" for n in own]
        columns["id"][split] = [f"{n:08}" for n in own]
        columns["label"][split] = own % CLASSES
        columns["group"][split] = columns["view"][split] = own * 0
    columns[CLASS] = {"names": [f"class_{n}" for n in range(CLASSES)]}
    kinds = {EMBEDDING: RowKind((made.width,), "float16")}
    beside = path.with_name(f"{path.name}.making")
    store = RowStore.create(beside, key, kinds, counts, columns)
    rng = np.random.default_rng(number)
    centres = np.random.default_rng(0).standard_normal((CENTRES, made.width), "float32")
    for split, count in counts.items():
        for start in range(0, count, BLOCK):
            some = np.arange(start, min(start + BLOCK, count))
            noise = rng.standard_normal((len(some), made.width), "float32")
            if key["backbone"] == CLUSTERED:
                # Two of one centre have a cosine of 0.5 in the mean.
                noise += centres[rng.integers(0, CENTRES, len(some))]
            else:
                noise[:, :CLASSES] += np.eye(CLASSES)[columns["label"][split][some]]
            store.write(split, some, {EMBEDDING: noise})
    store.close()
    beside.rename(path)


def open_shards(made: MadeUp, name: str, rows: int):
    """The shards of a backbone as one file, in the process that is measured."""
    from finegrain.embeddings.feature_shards import open_all_features

    numbers = range(1, made.shards + 1)
    paths = [shard_path(made, name, rows, number) for number in numbers]
    return open_all_features(paths)[0]
