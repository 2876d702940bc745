"""What a contest is scored by."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from finegrain.errors import UserError
from finegrain.evaluation.bootstrap import PERCENTILES, RESAMPLES
from finegrain.evaluation.metrics import log_loss, top1_error

MetricName = Literal["top1", "log_loss", "macro_f1", "map"]
# Each draw of these is computed by scikit-learn anew.
SLOW_RESAMPLES = 200


class Metric(NamedTuple):
    """A score of probabilities (N, C) and class indices (N,).

    Attributes:
        title: what a leaderboard calls it.
        loss: the smaller the better.
        score: of a loss, what the leaderboard shows.
    """

    title: str
    loss: Callable[[np.ndarray, np.ndarray], float]
    score: Callable[[float], float]


class Score(NamedTuple):
    """A score and its 95 % interval over images of the same kind."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def find_metric(name: str) -> Metric:
    """A row of the table, by the name that is typed after `--metric`."""
    table = {
        "top1": Metric("top-1 error", top1_error, lambda loss: loss),
        "log_loss": Metric("log loss", log_loss, lambda loss: loss),
        "macro_f1": Metric("macro F1", _macro_f1_loss, lambda loss: 1 - loss),
        "map": Metric("mean average precision", _map_loss, lambda loss: 1 - loss),
    }
    if name not in table:
        raise UserError(f"--metric {name} is none of {', '.join(get_args(MetricName))}")
    return table[name]


def measured(metric: Metric, probabilities: np.ndarray, labels: np.ndarray) -> Score:
    """A score with its percentile bootstrap interval: images are drawn with replacement."""
    resamples = RESAMPLES if metric.loss in (top1_error, log_loss) else SLOW_RESAMPLES
    rng, count = np.random.default_rng(0), len(labels)
    draws = rng.integers(0, count, (resamples, count))
    losses = [metric.loss(probabilities[rows], labels[rows]) for rows in draws]
    ends = sorted(metric.score(loss) for loss in np.percentile(losses, PERCENTILES))
    return Score(metric.score(metric.loss(probabilities, labels)), *map(float, ends))


def _macro_f1_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    answers = probabilities.argmax(axis=1)
    return 1 - float(f1_score(labels, answers, average="macro", zero_division=0))


def _map_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """1 - the mean, over the classes that occur, of each one's average precision."""
    from sklearn.metrics import average_precision_score

    precisions = [
        average_precision_score(labels == label, probabilities[:, label])
        for label in np.unique(labels)
    ]
    return 1 - float(np.mean(precisions))
