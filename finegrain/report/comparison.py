"""Two runs on the same photographs: which is better, by how much, and where they disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from finegrain.report.photographs import Photographs, Picture
from finegrain.report.run_record import RunRecord

DRAWS = 10_000


@dataclass(frozen=True)
class Difference:
    """What a run is against another, by top-1 accuracy on the `images` that both have answered.

    Attributes:
        only_this, only_other: photographs that only one of them has right.
        low, high: 95 % interval of the accuracies' difference, by paired bootstrap.
        p_value: of McNemar's exact test, that the two err equally often.
    """

    images: int
    accuracy: float
    other_accuracy: float
    only_this: int
    only_other: int
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Disagreement:
    """A photograph that runs answer differently; answers are (class, probability, right)."""

    picture: Picture
    path: str
    true: str
    answers: list[tuple[str, float, bool]]


# path and true class -> (class answered, its probability)
Named = dict[tuple[str, str], tuple[str, float]]


def named_answers(record: RunRecord) -> Named:
    """A run's answers by names, since runs may number the classes differently."""
    answers, names = record.answers, record.classes
    if answers is None:
        return {}
    columns = (answers.paths, answers.labels, answers.predicted, answers.probability)
    return {
        (path, names[label]): (names[predicted], float(probability))
        for path, label, predicted, probability in zip(*columns, strict=True)
    }


def difference(this: Named, other: Named, seed: int = 0) -> Difference | None:
    """Compare two runs; None where they have no photograph of one path and class in common.

    The bootstrap would draw photographs, both runs' answers together; all that counts is how many
    one, the other, or neither alone has right, so these three numbers are drawn. McNemar 1947,
    "Note on the sampling error of the difference between correlated proportions or percentages".
    """
    common = sorted(this.keys() & other.keys())
    if not common:
        return None
    right = np.array([[run[key][0] == key[1] for run in (this, other)] for key in common])
    only_this = int((right[:, 0] & ~right[:, 1]).sum())
    only_other = int((~right[:, 0] & right[:, 1]).sum())
    shares = np.array([only_this, only_other, len(common) - only_this - only_other]) / len(common)
    draws = np.random.default_rng(seed).multinomial(len(common), shares, DRAWS)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / len(common), (2.5, 97.5)).tolist()
    apart = only_this + only_other
    p_value = float(binomtest(only_this, apart).pvalue) if apart else 1.0
    accuracy, other_accuracy = right.mean(axis=0).tolist()
    return Difference(
        len(common), accuracy, other_accuracy, only_this, only_other, low, high, p_value
    )


def disagreements(
    runs: Sequence[Named], photographs: Photographs, most: int
) -> tuple[int, list[Disagreement]]:
    """Photographs that all runs have answered, not all alike: how many, and the first `most`.

    Those that at least one run has right come before the others, the surest wrong answers first.
    """
    common = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
    found = [key for key in common if len({run[key][0] for run in runs}) > 1]

    def rank(key: tuple[str, str]) -> tuple[bool, float]:
        answers = [run[key] for run in runs]
        wrong = [probability for name, probability in answers if name != key[1]]
        return all(name != key[1] for name, _ in answers), -max(wrong)

    return len(found), [
        Disagreement(
            photographs.picture(path, f"photograph of {true}, {path}"),
            path,
            true,
            [(*run[path, true], run[path, true][0] == true) for run in runs],
        )
        for path, true in sorted(found, key=rank)[:most]
    ]
