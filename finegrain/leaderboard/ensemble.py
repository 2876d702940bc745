"""An ensemble chosen greedily among candidates: Caruana et al. 2004, "Ensemble Selection from
Libraries of Models", sections 2.1 and 2.2."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.leaderboard.answers import Answers
from finegrain.leaderboard.contest import Metric

MOST_ROUNDS = 25
# Less is noise of a few images, and another model to answer with.
LEAST_GAIN = 1e-5


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A weighted mean of candidates' answers.

    Attributes:
        weights: of each, 1 in all.
        loss: out of fold.
    """

    members: list[Answers]
    weights: list[float]
    loss: float

    def mean(self, of: str) -> np.ndarray:
        """Probabilities (N, C) of `out_of_fold`, `held_out` or `test`."""
        total = sum(
            weight * getattr(member, of).astype(np.float64)
            for member, weight in zip(self.members, self.weights, strict=True)
        )
        return np.asarray(total, np.float32)


def choose_ensemble(answers: Sequence[Answers], labels: np.ndarray, metric: Metric) -> Ensemble:
    """Begin with the best candidate and add, with replacement, whichever lowers the loss most.

    Judged out of fold. Candidates may be added again, which gives them weight. Of two losses that
    are equal, as errors of few images often are, the smaller log loss decides.

    Args:
        answers: one or more.
        labels: (N,) of the images that are answered out of fold.
    """
    from finegrain.evaluation.metrics import log_loss

    def judged(total: np.ndarray, count: int) -> tuple[float, float]:
        mean = total / count
        return metric.loss(mean, labels), log_loss(mean, labels)

    singles = [member.out_of_fold.astype(np.float64) for member in answers]
    first = min(range(len(answers)), key=lambda place: judged(singles[place], 1))
    counts, total = [0] * len(answers), singles[first].copy()
    counts[first] = 1
    best = judged(total, 1)
    for size in range(2, MOST_ROUNDS + 1):
        tried = [judged(total + single, size) for single in singles]
        place = min(range(len(tried)), key=tried.__getitem__)
        gain = best[0] - tried[place][0]
        if gain < LEAST_GAIN and not (gain >= 0 and best[1] - tried[place][1] > LEAST_GAIN):
            break
        total += singles[place]
        counts[place] += 1
        best = tried[place]
    chosen = [place for place, count in enumerate(counts) if count]
    return Ensemble(
        [answers[place] for place in chosen],
        [counts[place] / sum(counts) for place in chosen],
        best[0],
    )
