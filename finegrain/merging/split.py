"""Which rows of joined embeddings train, and which judge."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from finegrain.datasets.split import split_images
from finegrain.embeddings.photographs import AUGMENTED
from finegrain.errors import UserError
from finegrain.merging.joined import JoinedFeatures
from finegrain.merging.rows import FeatureRows

LABELLED = ("train", "valid")
TEST = "test"
# How a validation is drawn.
Draw = Literal["by-class", "last"]


@dataclass(frozen=True)
class MergeSplit:
    """All views of the training photographs; of the others, the views to answer with.

    `test` are labelled test photographs, None without such; `described` tells in words for the
    user where the validation comes from.
    """

    train: FeatureRows
    valid: FeatureRows
    test: FeatureRows | None
    described: str

    def prior(self) -> np.ndarray:
        """(C,) share of each class among the training rows."""
        counts = np.bincount(self.train.labels, minlength=len(self.train.joined.classes))
        return counts / counts.sum()


def split_rows(
    joined: JoinedFeatures,
    valid_fraction: float | None,
    seed: int,
    most_bytes: float,
    draw: Draw = "by-class",
) -> MergeSplit:
    """Take the validation from the data set, or draw a fraction of its photographs.

    The fraction is of each class; None takes the data set's own validation split. Copies of one
    photograph, and all views of it, stay on one side. Drawn as `last` it is the last rows after a
    shuffle of all, whatever they show, as Keras's `validation_split` takes them. Rows that take
    more bytes than given are streamed from disk.

    Raises:
        UserError: no training rows, no validation rows, or a class without training rows.
    """
    here = [split for split in LABELLED if split in joined.splits]
    if "train" not in here:
        raise UserError("the features have no training photographs; export them with --data")
    if valid_fraction is None:
        if "valid" not in here:
            raise UserError(
                "the features have no validation photographs; draw some with --valid-fraction 0.2"
            )
        sides = {split: np.full(len(joined.splits[split].paths), split) for split in here}
        described = "the data set's own"
    elif draw == "last":
        sides = _last(joined, here, valid_fraction, seed)
        described = f"the last {valid_fraction:g} of the rows, shuffled with seed {seed}"
    else:
        sides = _drawn(joined, here, valid_fraction, seed)
        described = f"{valid_fraction:g} of the labelled photographs, drawn with seed {seed}"
    row_bytes = 4 * sum(joined.widths.values())

    def parts(side: str) -> tuple[tuple[str, np.ndarray], ...]:
        parts = [(split, np.flatnonzero(sides[split] == side)) for split in here]
        if side == "valid":
            parts = [(split, _to_answer(joined, split, rows)) for split, rows in parts]
        return tuple((split, rows) for split, rows in parts if len(rows))

    divided = parts("train"), parts("valid")
    count = sum(len(rows) for part in divided for _, rows in part)
    train, valid = (FeatureRows(joined, part, count * row_bytes <= most_bytes) for part in divided)
    _check_classes(train, joined.classes)
    has_test = TEST in joined.splits and len(joined.splits[TEST].paths) > 0
    test = answering_rows(joined, TEST) if has_test else None
    return MergeSplit(train, valid, test, described)


def answering_rows(joined: JoinedFeatures, split: str) -> FeatureRows:
    """The rows of a split to answer with, streamed from disk."""
    every = np.arange(len(joined.splits[split].paths))
    return FeatureRows(joined, ((split, _to_answer(joined, split, every)),), in_memory=False)


def _to_answer(joined: JoinedFeatures, split: str, rows: np.ndarray) -> np.ndarray:
    """Mirror images are averaged, augmented views are for training only."""
    augmented = any(file.view_kind == AUGMENTED for file in joined.files.values())
    return rows[joined.splits[split].views[rows] == 0] if augmented else rows


def _drawn(
    joined: JoinedFeatures, here: list[str], fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Split -> side of each of its rows."""
    names: dict[str, tuple[str, int]] = {}
    for rows in (joined.splits[split] for split in here):
        for path, label, group in zip(rows.paths, rows.labels, rows.groups, strict=True):
            names[path] = (joined.classes[label], int(group))
    # A photograph without copies is a group of its own.
    groups = [group or -place for place, (_, group) in enumerate(names.values(), start=1)]
    labels = [label for label, _ in names.values()]
    # The draw goes by name, so it is the same whatever split the data set had.
    contents = [path.partition("/")[2] for path in names]
    drawn = split_images(labels, groups, contents, fraction, seed=seed)
    side = dict(zip(names, drawn, strict=True))
    return {
        split: np.array([side[path] for path in joined.splits[split].paths], dtype=object)
        for split in here
    }


def _last(
    joined: JoinedFeatures, here: list[str], fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Split -> side of each of its rows."""
    counts = [len(joined.splits[split].paths) for split in here]
    order = np.arange(sum(counts))
    # As `sklearn.utils.shuffle` does after `np.random.seed`.
    np.random.RandomState(seed).shuffle(order)
    sides = np.full(len(order), "train", dtype=object)
    sides[order[int(len(order) * (1 - fraction)) :]] = "valid"
    return dict(zip(here, np.split(sides, np.cumsum(counts)[:-1]), strict=True))


def _check_classes(train: FeatureRows, classes: list[str]) -> None:
    counts = np.bincount(train.labels, minlength=len(classes))
    if (counts == 0).any():
        raise UserError(
            f"the class {classes[int(counts.argmin())]} has no training photographs; make the data "
            "set again without it, or with more photographs of it"
        )
