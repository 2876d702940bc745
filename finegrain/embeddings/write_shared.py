"""The layouts in which people share embeddings, written; `shared_file` reads them."""

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
# Name of the embeddings -> name of their labels, and the splits that they are of.
Parts = dict[str, tuple[str, list[str]]]


def shared_path(folder: Path, layout: str, title: str) -> Path:
    """The file of a backbone, e.g. `gap_ResNet50.h5`."""
    return folder / f"{layout}_{title}.h5"


def check_shared_fits(folders: Sequence[object]) -> None:
    """Refuse several folders without labels: the layouts have one `test`."""
    if len(folders) > 1:
        raise UserError(
            f"--layout gap and train_x have room for one folder of --images, but {len(folders)} "
            "were given; export the others to another --output"
        )


def write_shared(features: FeatureFile, path: Path, layout: str) -> None:
    """Write the plain views of an export in a layout in which people share embeddings.

    `gap`: `train` (N, D) float32 and `label` (N,) int64 hold the training and validation
    photographs. `train_x`: `train_x` and `train_label` those of training, `valid_x` and
    `valid_label` those of validation. `test` (M, D) float32 those of the one folder without labels.
    Labelled ones stand class by class and then by file name as text, as `flow_from_directory` reads
    a folder; `test` by file name as text. Beside them stand their paths, such as `train_path`, and
    `classes`; a block of rows is written at a time.
    """
    unlabelled = [split for split in features.splits if split not in (*LABELLED, "test")]
    check_shared_fits(unlabelled)
    labelled = [split for split in LABELLED if split in features.splits]
    parts: Parts = {"train": ("label", labelled)}
    if layout == "train_x":
        parts = {f"{split}_x": (f"{split}_label", [split]) for split in labelled}
    parts["test"] = ("", unlabelled)
    places = {name: _ordered(features, splits) for name, (_, splits) in parts.items()}
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
            paths = f"{name.removesuffix('_x')}_path"
            file.create_dataset(paths, data=names[name], dtype=h5py.string_dtype())
            if label := parts[name][0]:
                labels = [features.splits[split].labels[row] for split, row in rows]
                file.create_dataset(label, data=np.array(labels, np.int64))
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
