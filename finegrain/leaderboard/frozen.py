"""Candidates without training a network: logistic regression on embeddings of frozen backbones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.logistic import RegressionPath, Softmax
from finegrain.embeddings.photographs import FLIP, ExportedPhotos, ViewPlan
from finegrain.embeddings.source import EmbeddingSource
from finegrain.leaderboard.answers import Answers, Candidate
from finegrain.leaderboard.clock import Clock
from finegrain.leaderboard.partition import Partition

KNOWN, HELD_OUT, TEST = "known", "held_out", "test"


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of all images of a partition, of each as it is and mirrored.

    Attributes:
        known, held_out, test: (2, N, D) float32.
    """

    known: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


def unreadable(folder: Path, name: str, test: dict[str, Path]) -> list[str]:
    """The ids of test images that could not be decoded when a backbone's file was made."""
    with FeatureFile(folder / f"{name}.h5") as features:
        there = set(features.splits[TEST].paths) if TEST in features.splits else set()
    return [image for image, path in test.items() if str(path) not in there]


def embed(
    partition: Partition, source: EmbeddingSource, folder: Path, openvino: bool, workers: int
) -> Embedded:
    """The embeddings of a backbone, from its file in a folder as far as it holds them.

    Raises:
        UserError: an image can no longer be read, the disk is full, or the file is of other images.
    """
    none = np.zeros(len(partition.known), np.int64)
    photos = {
        KNOWN: ExportedPhotos(
            partition.known,
            [str(path) for path in partition.known],
            [path.stem for path in partition.known],
            partition.labels,
            none,
            [partition.checksums[path] for path in partition.known],
        ),
        HELD_OUT: _unlabelled(partition.held_out),
    }
    if partition.test:
        photos[TEST] = _unlabelled(list(partition.test.values()))
    export = Export(folder, partition.classes, "", photos, ViewPlan(FLIP), openvino, None, "auto")
    export_embeddings(export, [source], workers)
    with FeatureFile(export.path(source)) as features:
        return Embedded(
            _views(features, KNOWN, partition.known),
            _views(features, HELD_OUT, partition.held_out),
            _views(features, TEST, list(partition.test.values())),
        )


def _unlabelled(paths: list[Path]) -> ExportedPhotos:
    names = [str(path) for path in paths]
    return ExportedPhotos.unlabelled(paths, names, names)


def _views(features: FeatureFile, split: str, paths: Sequence[Path]) -> np.ndarray:
    """(2, N, D) of the paths in their order; of an image that cannot be read, zeros."""
    found = np.zeros((2, len(paths), features.width), np.float32)
    if split not in features.splits:
        return found
    rows = features.splits[split]
    values = features.read(split, np.arange(len(rows.paths)))
    place_of = {str(path): place for place, path in enumerate(paths)}
    places = np.array([place_of[name] for name in rows.paths], np.int64)
    found[rows.views, places] = values
    return found


def regression_bytes(embedded: Sequence[Embedded]) -> int:
    """What logistic regression on embeddings is likely to take in memory.

    They stand there twice, alone and side by side; what is learnt, as it is and standardised.
    """
    own = sum(part.nbytes for each in embedded for part in (each.known, each.held_out, each.test))
    return 2 * own + 2 * sum(each.known.nbytes for each in embedded)


def regression(
    name: str,
    backbones: Sequence[str],
    embedded: Sequence[Embedded],
    partition: Partition,
    clock: Clock,
) -> Answers:
    """Logistic regression on the embeddings of one or several backbones, side by side.

    It learns each image as it is and mirrored, and answers with the mean of both. How strongly it
    is held down is chosen for each fold by the log loss of the next one, so that no answer out of
    fold is chosen by its own label.
    """
    started = time.monotonic()
    known, held_out, test = (
        np.concatenate([getattr(each, of) for each in embedded], axis=2)
        for of in ("known", "held_out", "test")
    )
    classes, labels = len(partition.classes), partition.labels
    folds = [partition.folds == fold for fold in range(partition.fold_count)]
    out_of_fold = np.zeros((known.shape[1], classes))
    others = np.zeros((held_out.shape[1], classes)), np.zeros((test.shape[1], classes))

    def path_without(out: np.ndarray) -> RegressionPath:
        rows = np.concatenate(list(known[:, ~out]))
        return RegressionPath(rows, np.tile(labels[~out], 2), classes)

    best, computed = [], []
    for out in folds:
        path = path_without(out)
        best.append(path.best(known[0, out], labels[out]))
        computed.append(path.computed())
    for fold, out in enumerate(folds):
        place, there = best[(fold + 1) % len(folds)], computed[fold]
        found = there[place] if place < len(there) else path_without(out).at(place)
        out_of_fold[out] = _answer(found, known[:, out])
        for total, both in zip(others, (held_out, test), strict=True):
            total += _answer(found, both) / partition.fold_count
    return Answers(
        Candidate(name, {"kind": "regression", "backbones": list(backbones)}),
        out_of_fold.astype(np.float32),
        others[0].astype(np.float32),
        others[1].astype(np.float32),
        time.monotonic() - started,
        clock.passed(),
    )


def _answer(found: Softmax, both: np.ndarray) -> np.ndarray:
    return np.mean([softmax(found.logits(view), axis=1) for view in both], axis=0)
