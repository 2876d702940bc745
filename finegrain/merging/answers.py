"""What a merged classifier answers for each photograph, and how well, in lines for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from finegrain.evaluation.metrics import clipped, log_loss, top1_error
from finegrain.merging.rows import FeatureRows

# More classes do not fit a terminal's width as a table.
MOST_CLASSES_IN_TABLE = 12
MOST_PAIRS = 15


@dataclass(frozen=True)
class Answers:
    """Probabilities (N,C) float32 of N photographs, by their paths in the data set or folder.

    Labels are class indices, -1 where there is none.
    """

    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def log_loss(self) -> float:
        """Without a clip."""
        return log_loss(self.probabilities, self.labels)

    def clipped_log_loss(self, clip: float) -> float:
        """With probabilities kept `clip` away from 0 and 1."""
        return log_loss(clipped(self.probabilities, clip), self.labels)

    @property
    def top1_error(self) -> float:
        """Share of photographs whose most probable class is not their own."""
        return top1_error(self.probabilities, self.labels)


def answer(model: keras.Model, rows: FeatureRows, names: Sequence[str], classes: int) -> Answers:
    """What a `merged_model` of some backbones answers; the views of a photograph are averaged."""
    number = {path: place for place, path in enumerate(dict.fromkeys(rows.paths))}
    places = np.array([number[path] for path in rows.paths], np.int64)
    sums = np.zeros((len(number), classes), "float32")
    start = 0
    for embeddings, _ in rows.in_order(names):
        given = np.asarray(model.predict_on_batch(embeddings), "float32")
        if given.shape[1] == 1:
            # A sigmoid's one number is the probability of the second class.
            given = np.concatenate([1 - given, given], axis=1)
        np.add.at(sums, places[start : start + len(given)], given)
        start += len(given)
    sums /= np.bincount(places, minlength=len(number))[:, None]
    labels = np.empty(len(number), np.int64)
    labels[places] = rows.labels
    return Answers(np.array(list(number), dtype=object), labels, sums)


def score_line(answers: Answers, clip: float) -> str:
    """Log loss with and without the clip, and top-1 error."""
    return (
        f"log loss {answers.log_loss:.4f} ({answers.clipped_log_loss(clip):.4f} clipped at "
        f"{clip:g}), top-1 error {answers.top1_error:.4f}, {len(answers.labels)} photographs"
    )


def confusion_lines(answers: Answers, classes: Sequence[str]) -> list[str]:
    """Which of the classes is taken for which; of many classes the pairs confused most."""
    # Row i, column j: photographs of class i that were taken for j.
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (answers.labels, answers.probabilities.argmax(axis=1)), 1)
    if len(classes) > MOST_CLASSES_IN_TABLE:
        return _pair_lines(counts, classes)
    names = [name[:14] for name in classes]
    wide = max(13, *map(len, names))
    columns = [max(len(name), 5) for name in names]
    head = "  ".join(f"{name:>{size}}" for name, size in zip(names, columns, strict=True))
    lines = [f"{'is, taken for':<{wide}}  {head}"]
    for name, row in zip(names, counts, strict=True):
        numbers = "  ".join(f"{count:>{size}}" for count, size in zip(row, columns, strict=True))
        lines.append(f"{name:<{wide}}  {numbers}")
    return lines


def _pair_lines(counts: np.ndarray, classes: Sequence[str]) -> list[str]:
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    lines = [
        f"{wrong[true, taken]:>5} of {counts[true].sum()} {classes[true]}, "
        f"taken for {classes[taken]}"
        for true, taken in pairs
        if wrong[true, taken]
    ]
    more = int((wrong > 0).sum()) - len(lines)
    if more > 0:
        lines.append(f"      and {more} more pairs of classes")
    return lines or ["nothing was confused"]
