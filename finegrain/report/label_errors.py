"""Photographs whose label is likely wrong, by confident learning."""

import numpy as np

from finegrain.report.answers import Answers
from finegrain.report.nearest import Neighbour

RULE = (
    "A photograph is listed if the model, which has not been trained on it, gives it another "
    "class with at least the probability that this class's own photographs get on average, while "
    "its label gets less than its own photographs get on average (confident learning, Northcutt "
    "et al. 2021, arXiv 1911.00068). First come those whose most similar training photographs are "
    "of the class answered rather than of the label's."
)


def likely_label_errors(answers: Answers, class_count: int) -> np.ndarray:
    """Rows of photographs that are surer of another class than its own photographs are.

    The threshold of a class is the mean probability that its photographs give it. A row counts
    if its answer is not its label, reaches the threshold of the class answered, and its label's
    probability stays below the label's threshold. A class without photographs has no threshold,
    and nothing is counted into it.

    Args:
        answers: out-of-sample answers.
        class_count: C.

    Returns:
        Row numbers, those first whose label's probability is furthest below the answer's.
    """
    images = np.bincount(answers.labels, minlength=class_count)
    sums = np.bincount(answers.labels, answers.true_probability, class_count)
    threshold = np.where(images > 0, sums / np.maximum(images, 1), np.inf)
    found = (
        ~answers.right
        & (answers.probability >= threshold[answers.predicted])
        & (answers.true_probability < threshold[answers.labels])
    )
    rows = np.flatnonzero(found)
    margin = answers.probability[rows] - answers.true_probability[rows]
    return rows[np.argsort(-margin, kind="stable")]


def supported_first(
    answers: Answers, rows: np.ndarray, nearest: dict[str, list[Neighbour]]
) -> np.ndarray:
    """The rows in a new order: by how many more neighbours are of the answer than of the label.

    Args:
        answers: the answers.
        rows: suspected ones; of equals the first stays first.
        nearest: training photographs; a row without them stands as if it had as many of each.
    """

    def support(row: int) -> int:
        labels = [one.label for one in nearest.get(answers.paths[row], [])]
        return labels.count(answers.predicted[row]) - labels.count(answers.labels[row])

    return np.array(sorted(rows.tolist(), key=support, reverse=True), np.int64)
