"""Single photographs to look at: which, what was answered, and what the model knows like them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from finegrain.evaluation.answers import Answers
from finegrain.evaluation.label_errors import doubtful_rows
from finegrain.report.evidence import Evidence, questions_of
from finegrain.report.neighbours import Neighbour
from finegrain.report.photographs import Photographs, Picture
from finegrain.runs.predictions import NO_CLASS

# So many of five neighbours make a majority that is said aloud.
MAJORITY = 0.6
RULE = (
    "A photograph is listed if the model, which has not been trained on it, gives it another "
    "class with at least the probability that this class's own photographs get on average, while "
    "its label gets less than its own photographs get on average (confident learning, Northcutt "
    "et al. 2021, arXiv 1911.00068). First come those whose most similar training photographs are "
    "of the class answered rather than of the label's."
)


@dataclass(frozen=True)
class Case:
    """One photograph of the data set; `true` and `predicted` are class names.

    Attributes:
        bars: (class name, probability, `true`, `predicted` or `other`) of the likeliest.
        nearest: (picture, class name, similarity, kind as in `bars`) of training photographs.
        remark: what these say; empty without them.
    """

    path: str
    photograph: Picture
    true: str
    predicted: str
    probability: float
    true_probability: float
    bars: list[tuple[str, float, str]]
    attention: list[Picture]
    nearest: list[tuple[Picture, str, float, str]]
    remark: str


def worst_mistakes(answers: Answers, most: int) -> np.ndarray:
    """Rows of wrong answers, the surest first."""
    wrong = np.flatnonzero(~answers.right)
    return wrong[np.argsort(-answers.probability[wrong], kind="stable")][:most]


def least_sure(answers: Answers, most: int) -> np.ndarray:
    """Rows whose two likeliest classes are closest, whether right or wrong."""
    gap = answers.top_probability[:, 0] - answers.top_probability[:, 1]
    order = np.argsort(np.where(np.isfinite(gap), gap, np.inf), kind="stable")[:most]
    return order[np.isfinite(gap[order])]


def likely_label_errors(answers: Answers) -> np.ndarray:
    """Rows of photographs that are surer of another class than its own photographs are.

    As in `RULE`; first come those whose label's probability is furthest below the answer's.
    """
    return doubtful_rows(
        answers.labels,
        answers.predicted,
        answers.probability,
        answers.true_probability,
        len(answers.classes),
    )


def supported_first(
    answers: Answers, rows: np.ndarray, nearest: dict[str, list[Neighbour]]
) -> np.ndarray:
    """The rows by how many more neighbours, if any, are of the answer than of the label; stable."""

    def support(row: int) -> int:
        labels = [near.label for near in nearest.get(answers.paths[row], [])]
        return labels.count(answers.predicted[row]) - labels.count(answers.labels[row])

    return np.array(sorted(rows.tolist(), key=support, reverse=True), np.int64)


def make_case(answers: Answers, row: int, photographs: Photographs, evidence: Evidence) -> Case:
    """All that is known of one photograph."""
    path, classes = answers.paths[row], answers.classes
    label, predicted = int(answers.labels[row]), int(answers.predicted[row])
    asked, known = questions_of(answers, [row]), evidence.nearest.get(path, [])

    def kind(number: int) -> str:
        return {predicted: "predicted", label: "true"}.get(number, "other")

    bars = [
        (classes[number], float(share), kind(number))
        for number, share in zip(answers.top[row], answers.top_probability[row], strict=True)
        if number != NO_CLASS and np.isfinite(share)
    ]
    if label not in answers.top[row]:
        bars.append((classes[label], float(answers.true_probability[row]), "true"))
    nearest = [
        (
            photographs.picture(near.path, f"training photograph of {classes[near.label]}"),
            classes[near.label],
            near.similarity,
            kind(near.label),
        )
        for near in known
    ]
    return Case(
        path,
        photographs.picture(path, f"photograph of {classes[label]}, {path}"),
        classes[label],
        classes[predicted],
        float(answers.probability[row]),
        float(answers.true_probability[row]),
        bars,
        [evidence.attention[question] for question in asked if question in evidence.attention],
        nearest,
        _remark(answers, row, [near.label for near in known]),
    )


def _remark(answers: Answers, row: int, labels: list[int]) -> str:
    if not labels:
        return ""
    label, predicted = answers.labels[row], answers.predicted[row]
    such = f"of the {len(labels)} most similar training photographs are"
    if label == predicted:
        return f"{labels.count(label)} {such} of its class."
    most, count = Counter(labels).most_common(1)[0]
    if count < MAJORITY * len(labels):
        return "The most similar training photographs are of several classes."
    if most == predicted:
        return f"{count} {such} {answers.classes[most]}: a look-alike, or a wrong label."
    if most == label:
        return f"{count} {such} of its own class: the classifier errs, the embedding knows better."
    return f"{count} {such} {answers.classes[most]}, neither its label nor the answer."
