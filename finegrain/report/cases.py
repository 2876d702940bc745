"""Single photographs to look at: what was answered, why, and what the model knows like them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from finegrain.report.answers import Answers
from finegrain.report.attention import Question
from finegrain.report.nearest import Neighbour
from finegrain.report.photographs import Photographs, Picture
from finegrain.runs.predictions import NO_CLASS

NEIGHBOURS = 5
# So many of five neighbours make a majority that is said aloud.
MAJORITY = 0.6


@dataclass
class Case:
    """One photograph.

    Attributes:
        path: in the data set.
        photograph: it.
        true, predicted: class names.
        probability, true_probability: of the two, 0 to 1.
        bars: (class name, probability, `true`, `predicted` or `other`) of the likeliest.
        attention: pictures of where the model looks.
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
    attention: list[Picture] = field(default_factory=list)
    nearest: list[tuple[Picture, str, float, str]] = field(default_factory=list)
    remark: str = ""


def worst_mistakes(answers: Answers, most: int) -> np.ndarray:
    """Rows of wrong answers, the surest first."""
    wrong = np.flatnonzero(~answers.right)
    return wrong[np.argsort(-answers.probability[wrong], kind="stable")][:most]


def least_sure(answers: Answers, most: int) -> np.ndarray:
    """Rows whose two likeliest classes are closest, whether right or wrong."""
    gap = answers.top_probability[:, 0] - answers.top_probability[:, 1]
    order = np.argsort(np.where(np.isfinite(gap), gap, np.inf), kind="stable")[:most]
    return order[np.isfinite(gap[order])]


def questions_of(
    answers: Answers, rows: Iterable[int], classes: Sequence[str]
) -> dict[Question, str]:
    """What to ask Grad-CAM of each row: the answer, and the class that it should or might be."""
    questions = {}
    for row in rows:
        answered, path = int(answers.predicted[row]), answers.paths[row]
        second = int(answers.top[row, 1] if answers.right[row] else answers.labels[row])
        for label in (answered, second):
            if label != NO_CLASS:
                questions[path, label] = f"what speaks for {classes[label]}"
    return questions


def make_case(
    answers: Answers,
    row: int,
    classes: Sequence[str],
    photographs: Photographs,
    attention: dict[Question, Picture],
    nearest: dict[str, list[Neighbour]],
) -> Case:
    """All that is known of one photograph.

    Args:
        answers, row: the answer.
        classes: names in index order.
        photographs: of the data set.
        attention: Grad-CAM's pictures, as far as there are any.
        nearest: training photographs, as far as they are known.
    """
    path, label = answers.paths[row], int(answers.labels[row])
    predicted = int(answers.predicted[row])
    asked = questions_of(answers, [row], classes)
    known = nearest.get(path, [])
    return Case(
        path,
        photographs.picture(path, f"photograph of {classes[label]}, {path}"),
        classes[label],
        classes[predicted],
        float(answers.probability[row]),
        float(answers.true_probability[row]),
        _bars(answers, row, classes),
        [attention[question] for question in asked if question in attention],
        [
            (
                photographs.picture(one.path, f"training photograph of {classes[one.label]}"),
                classes[one.label],
                one.similarity,
                _kind(one.label, label, predicted),
            )
            for one in known
        ],
        _remark([one.label for one in known], label, predicted, classes),
    )


def _bars(answers: Answers, row: int, classes: Sequence[str]) -> list[tuple[str, float, str]]:
    label, predicted = int(answers.labels[row]), int(answers.predicted[row])
    bars = [
        (classes[number], float(share), _kind(int(number), label, predicted))
        for number, share in zip(answers.top[row], answers.top_probability[row], strict=True)
        if number != NO_CLASS and np.isfinite(share)
    ]
    if label not in answers.top[row]:
        bars.append((classes[label], float(answers.true_probability[row]), "true"))
    return bars


def _kind(number: int, label: int, predicted: int) -> str:
    if number == label:
        return "true"
    return "predicted" if number == predicted else "other"


def _remark(labels: list[int], label: int, predicted: int, classes: Sequence[str]) -> str:
    if not labels:
        return ""
    own, given = labels.count(label), labels.count(predicted)
    if label == predicted:
        return f"{own} of the {len(labels)} most similar training photographs are of its class."
    if given >= MAJORITY * len(labels):
        return (
            f"{given} of the {len(labels)} most similar training photographs are "
            f"{classes[predicted]}: a look-alike, or a wrong label."
        )
    if own >= MAJORITY * len(labels):
        return (
            f"{own} of the {len(labels)} most similar training photographs are of its own class: "
            "the classifier errs, the embedding knows better."
        )
    third = max(labels, key=labels.count)
    if labels.count(third) >= MAJORITY * len(labels):
        return (
            f"{labels.count(third)} of the {len(labels)} most similar training photographs are "
            f"{classes[third]}, neither its label nor the answer."
        )
    return "The most similar training photographs are of several classes."
