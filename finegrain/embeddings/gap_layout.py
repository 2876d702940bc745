"""The older layout of embeddings, `gap_<Backbone>.h5` with `train`, `test` and `label`."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.errors import UserError
from finegrain.records import SCHEMA, SCHEMA_KEY
from finegrain.stores.row_layout import table_bytes
from finegrain.whole_files import written_whole

BLOCK = 4096
LABELLED = ("train", "valid")


def gap_path(folder: Path, title: str) -> Path:
    """The file of a backbone, e.g. `gap_ResNet50.h5`."""
    return folder / f"gap_{title}.h5"


def check_gap_fits(folders: Sequence[object]) -> None:
    """Refuse several folders without labels: the layout has one `test`."""
    if len(folders) > 1:
        raise UserError(
            f"--layout gap has room for one folder of --images, but {len(folders)} were given; "
            "export the others to another --output"
        )


def write_gap(features: FeatureFile, path: Path) -> None:
    """Write the plain views of an export in the older layout, a block of rows at a time.

    `train` (N, D) float32 and `label` (N,) int64 hold the training and validation photographs,
    class by class and then by file name as text, as `flow_from_directory` reads a folder; `test`
    (M, D) float32 those of the one folder without labels, by file name as text. Beside them stand
    `train_path`, `test_path` and `classes`.
    """
    unlabelled = [split for split in features.splits if split not in (*LABELLED, "test")]
    check_gap_fits(unlabelled)
    labelled = [split for split in LABELLED if split in features.splits]
    places = {"train": _ordered(features, labelled), "test": _ordered(features, unlabelled)}
    names = {
        name: [features.splits[split].paths[row] for split, row in rows]
        for name, rows in places.items()
    }
    needed = features.width * 4 * sum(map(len, places.values()))
    needed += table_bytes({"path": names, "class": {"": features.classes}})
    with written_whole(path, needed) as beside, h5py.File(beside, "w") as file:
        file.attrs[SCHEMA_KEY] = SCHEMA
        for name, rows in places.items():
            data = file.create_dataset(name, (len(rows), features.width), "float32")
            _copy(features, rows, data)
            file.create_dataset(f"{name}_path", data=names[name], dtype=h5py.string_dtype())
        labels = [features.splits[split].labels[row] for split, row in places["train"]]
        file.create_dataset("label", data=np.array(labels, np.int64))
        file.create_dataset("classes", data=features.classes, dtype=h5py.string_dtype())


def _ordered(features: FeatureFile, splits: list[str]) -> list[tuple[str, int]]:
    """(split, row) of the plain views, in the order of the layout."""
    places = [
        (int(rows.labels[row]), rows.paths[row].rpartition("/")[2], split, int(row))
        for split, rows in ((split, features.splits[split]) for split in splits)
        for row in np.flatnonzero(rows.views == 0)
    ]
    return [(split, row) for _, _, split, row in sorted(places)]


def _copy(features: FeatureFile, places: list[tuple[str, int]], data: h5py.Dataset) -> None:
    for start in range(0, len(places), BLOCK):
        block = places[start : start + BLOCK]
        values = np.empty((len(block), features.width), "float32")
        for split in {split for split, _ in block}:
            chosen = [place for place, (name, _) in enumerate(block) if name == split]
            values[chosen] = features.read(split, [block[place][1] for place in chosen])
        data[start : start + len(block)] = values
