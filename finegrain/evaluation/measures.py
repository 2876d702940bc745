"""The table of measures: what each is called, and how it and its interval are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finegrain.evaluation.bootstrap import Statistic, intervals, mean_of
from finegrain.evaluation.class_measures import calibration_error, macro_f1
from finegrain.evaluation.embedding_measures import RANKS

# Evidence, which is one of three kinds -> the value, and the statistic that gives its interval.
Taking = Callable[[Any], tuple[float, Statistic]]


@dataclass(frozen=True)
class Measure:
    """Its name in evaluation.json, and titles for the terminal and for the report."""

    name: str
    title: str
    heading: str
    of: Taking
    percent: bool = True


def _mean(values: np.ndarray) -> tuple[float, Statistic]:
    return float(values.mean()), mean_of(values)


def _mean_of(name: str) -> Taking:
    """The mean of one number an image, which stands in the evidence."""
    return lambda evidence: _mean(getattr(evidence, name))


def _pair_measures(score: str, title: str, heading: str) -> tuple[Measure, ...]:
    return (
        Measure(
            f"pair_auc_{score}",
            f"pairs by {title}: ROC AUC",
            f"Pairs by {heading}: ROC AUC",
            lambda curve: (curve.auc, curve.auc_of_draws),
            percent=False,
        ),
        Measure(
            f"pair_eer_{score}",
            f"pairs by {title}: equal error rate",
            f"Pairs by {heading}: equal error rate",
            lambda curve: (curve.equal_error_rate, curve.equal_error_rate_of_draws),
        ),
    )


def _recall(rank: int) -> Measure:
    among = "the most alike image" if rank == 1 else f"among the {rank} most alike"
    return Measure(
        f"recall_at_{rank}",
        f"own class is {among}",
        f"Recall@{rank}",
        lambda ranks: _mean(ranks.first <= rank),
    )


# Of `Answers`.
CLASS_MEASURES = (
    Measure("top1_accuracy", "accuracy of the first answer", "Top-1 accuracy", _mean_of("right")),
    Measure(
        "top5_accuracy", "true class among the first five", "Top-5 accuracy", _mean_of("among_five")
    ),
    Measure("macro_f1", "macro-F1", "Macro-F1", macro_f1),
    Measure("log_loss", "log loss", "Log loss", _mean_of("losses"), percent=False),
    Measure(
        "expected_calibration_error",
        "calibration error",
        "Expected calibration error",
        lambda answers: calibration_error(answers.probability, answers.right),
    ),
)
# Of `PairCurve`.
COSINE_MEASURES = _pair_measures("cosine", "cosine similarity", "cosine")
SAME_CLASS_MEASURES = _pair_measures("same_class", "the same-class head", "same-class head")
PAIR_MEASURES = (*COSINE_MEASURES, *SAME_CLASS_MEASURES)
# Of `NeighbourRanks`.
NEIGHBOUR_MEASURES = (
    *(_recall(rank) for rank in RANKS),
    Measure(
        "mean_average_precision",
        "mean average precision of retrieval",
        "Mean average precision",
        _mean_of("average_precision"),
    ),
)
COMPARISONS = (*PAIR_MEASURES, *NEIGHBOUR_MEASURES)
MEASURES = {measure.name: measure for measure in (*CLASS_MEASURES, *COMPARISONS)}


def taken(
    measures: Sequence[Measure], evidence: Any, images: int
) -> dict[str, dict[str, float | None]]:
    """Measures with 95 % bootstrap intervals over the images, None where no draw has one."""
    found = {measure.name: measure.of(evidence) for measure in measures}
    bounds = intervals({name: draws for name, (_, draws) in found.items()}, images)
    both = {name: interval or (None, None) for name, interval in bounds.items()}
    return {
        name: {"value": float(value), "low": both[name][0], "high": both[name][1]}
        for name, (value, _) in found.items()
    }
