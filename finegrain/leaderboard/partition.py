"""Which images a search learns, which it chooses by, and which tell what to expect."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError

MOST_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Partition:
    """The images of a contest.

    Attributes:
        classes: names in index order.
        known: paths of N images to learn from and to choose by, out of fold.
        labels: (N,) their class indices.
        folds: (N,) the fold that each is held out of, 0 to K - 1; copies of one picture share one.
        held_out: paths of E images that tell what to expect: nothing is learnt from or chosen by
            them.
        held_out_labels: (E,).
        test: id -> path of T images without labels.
        checksums: of the labelled images.
    """

    classes: list[str]
    known: list[Path]
    labels: np.ndarray
    folds: np.ndarray
    held_out: list[Path]
    held_out_labels: np.ndarray
    test: dict[str, Path]
    checksums: dict[Path, str]

    @property
    def fold_count(self) -> int:
        """K."""
        return int(self.folds.max()) + 1

    @property
    def images(self) -> int:
        """How many there are in all."""
        return len(self.known) + len(self.held_out) + len(self.test)


def part(data: DataSet, test: dict[str, Path], seed: int) -> Partition:
    """Deal out a data set: its test split, or else its validation split, is held out.

    Folds are stratified and keep copies of a picture together. There are five, or as many as the
    smallest class has images.

    Raises:
        UserError: some class has a single image beside those held out, so nothing can be chosen.
    """
    held_out = "test" if "test" in data.splits else "valid"
    others = [split for split in data.splits if split != held_out]
    paths = [path for split in others for path in data.paths(split)]
    labels = np.concatenate([data.labels(split) for split in others])
    counts = np.bincount(labels, minlength=len(data.classes))
    smallest = int(counts.min())
    if smallest < 2:
        name = data.classes[int(counts.argmin())]
        raise UserError(
            f"the class {name} has {smallest + (held_out == 'valid')} images, and a search needs "
            "three or more of each: one to learn, one to choose by, one to tell what to expect; "
            "add images, or take the class away"
        )
    groups = np.concatenate([_groups(data, split) for split in others])
    folds = _folds(labels, groups, min(MOST_FOLDS, smallest), seed)
    rows = data.table
    files = (data.folder / path for path in rows["path"])
    return Partition(
        data.classes,
        paths,
        labels,
        folds,
        data.paths(held_out),
        data.labels(held_out),
        test,
        dict(zip(files, rows["sha1"], strict=True)),
    )


def _groups(data: DataSet, split: str) -> np.ndarray:
    rows = data.rows(split)
    return np.array([int(group or 0) for group in rows["group"]], np.int64)


def _folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(N,) numbers of folds; 0 in `groups` (N,) is an image without copies."""
    from sklearn.model_selection import StratifiedGroupKFold

    alone = groups == 0
    apart = np.where(alone, groups.max(initial=0) + 1 + np.arange(len(groups)), groups)
    folds = np.zeros(len(labels), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Copies that stay together may leave a class with fewer groups than folds.
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, rows) in enumerate(splitter.split(labels, labels, apart)):
            folds[rows] = number
    return folds
