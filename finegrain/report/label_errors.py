"""Photographs whose label is likely wrong, by confident learning."""

import numpy as np

from finegrain.report.answers import Answers

RULE = (
    "A photograph is listed if the model, which has not been trained on it, gives it another "
    "class with at least the probability that this class's own photographs get on average, while "
    "its label gets less than its own photographs get on average (confident learning, Northcutt "
    "et al. 2021, arXiv 1911.00068). First come those that lack most of it."
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
