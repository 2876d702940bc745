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
# So many times the images measured on are nearly as good as very many.
ENOUGH = 10


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
    """A score, and where it will lie on other images of the same kind, 95 times in 100."""

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


def measured(
    metric: Metric, probabilities: np.ndarray, labels: np.ndarray, others: int = 0
) -> Score:
    """A score, and where it will lie on so many other images; on very many of them for 0.

    Both kinds of chance are in it: which images it was measured on, and which are to come. An error
    rate is taken to be Beta-distributed about what was counted (Jeffreys 1946), since of few errors
    a bootstrap tells too little; of the other metrics images are drawn by the Bayesian bootstrap
    (Rubin 1981), and of these the images to come.
    """
    rng, count = np.random.default_rng(0), len(labels)
    if metric.loss is top1_error:
        wrong = int((probabilities.argmax(axis=1) != labels).sum())
        rates = rng.beta(wrong + 0.5, count - wrong + 0.5, RESAMPLES)
        losses = rng.binomial(others, rates) / others if others else rates
    else:
        resamples = RESAMPLES if metric.loss is log_loss else SLOW_RESAMPLES
        shares = rng.dirichlet(np.ones(count), resamples)
        drawn = others or ENOUGH * count
        rows = (rng.choice(count, drawn, p=share) for share in shares)
        losses = np.array([metric.loss(probabilities[some], labels[some]) for some in rows])
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
