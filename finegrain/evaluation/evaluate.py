"""The measures of a model on one split: what `evaluation.json` holds of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finegrain.embeddings.nearest import unit_rows
from finegrain.evaluation.bootstrap import intervals, mean_of
from finegrain.evaluation.calibration_error import reliability
from finegrain.evaluation.class_measures import (
    CLASS_MEASURES,
    class_measures,
    per_class,
    with_intervals,
)
from finegrain.evaluation.neighbour_measures import RANKS, neighbour_ranks
from finegrain.evaluation.pair_measures import pair_measures
from finegrain.evaluation.pair_sampling import Pairs, sample_pairs

PAIR_MEASURES = tuple(
    f"pair_{measure}_{score}" for score in ("cosine", "same_class") for measure in ("auc", "eer")
)
NEIGHBOUR_MEASURES = (*(f"recall_at_{rank}" for rank in RANKS), "mean_average_precision")
MEASURES = (*CLASS_MEASURES, *PAIR_MEASURES, *NEIGHBOUR_MEASURES)
# Pairs whose embeddings are gathered at a time.
PAIR_BLOCK = 2048

# (P, D) and (P, D) embeddings -> (P,), larger for pairs more likely of one class.
PairScore = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Compared:
    """Images of a split that are compared with each other.

    Attributes:
        embeddings: (M, D).
        labels: (M,) class indices.
        same_class: the pairwise head, None where the model has none.
        of: number of images they were drawn from.
    """

    embeddings: np.ndarray
    labels: np.ndarray
    same_class: PairScore | None
    of: int


def evaluate_split(
    rows: pd.DataFrame,
    classes: Sequence[str],
    compared: Compared | None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """All measures that can be computed.

    Args:
        rows: the split's sound rows of predictions.csv, any number.
        classes: class names in index order.
        compared: embeddings; None where there are none.
        notes: sentences on what was left out already.
        seed: of pairs and bootstrap.

    Returns:
        `images`; `measures`, for each name of `MEASURES` its `value`, `low` and `high`, or None;
        `missing`, for each of the latter the reason; `per_class`; `reliability`; `notes`.
    """
    measures: dict[str, Any] = dict.fromkeys(MEASURES)
    missing: dict[str, str] = {}
    notes = list(notes)
    if len(rows):
        measures |= class_measures(rows, classes, seed)
    else:
        missing |= dict.fromkeys(CLASS_MEASURES, "no image has an answer")
    found, lacking = _comparisons(compared, notes, seed)
    correct = (rows["true"] == rows["predicted"]).to_numpy()
    return {
        "images": len(rows),
        "measures": measures | found,
        "missing": missing | lacking,
        "per_class": per_class(rows, classes),
        "reliability": reliability(rows["probability"].to_numpy(), correct),
        "notes": notes,
    }


def _comparisons(
    compared: Compared | None, notes: list[str], seed: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Measures of pairs and neighbours, and why some are missing; adds to the notes."""
    names = (*PAIR_MEASURES, *NEIGHBOUR_MEASURES)
    if compared is None:
        return {}, dict.fromkeys(names, "there are no embeddings of these images")
    sound = np.isfinite(compared.embeddings).all(axis=1)
    embeddings, labels = compared.embeddings, compared.labels
    if not sound.all():
        notes.append(
            f"{int((~sound).sum())} images are not compared: their embeddings are no finite numbers"
        )
        embeddings, labels = embeddings[sound], labels[sound]
    if compared.of > len(compared.labels):
        notes.append(
            f"pairs and neighbours are of {len(labels)} images drawn from the {compared.of}"
        )
    if len(labels) < 2:
        return {}, dict.fromkeys(names, "fewer than two images can be compared")
    unit = unit_rows(embeddings)
    pairs_found, pairs_lacking = _pairs(unit, embeddings, labels, compared.same_class, seed)
    found, lacking = _neighbours(unit, labels, notes, seed)
    return pairs_found | found, pairs_lacking | lacking


def _pairs(
    unit: np.ndarray,
    embeddings: np.ndarray,
    labels: np.ndarray,
    same_class: PairScore | None,
    seed: int,
) -> tuple[dict[str, Any], dict[str, str]]:
    pairs = sample_pairs(labels, seed=seed)
    if not len(pairs.same):
        few = "all images are of one class" if len(set(labels)) == 1 else "no two are of one class"
        return {}, dict.fromkeys(PAIR_MEASURES, f"there are no two kinds of pairs: {few}")
    found: dict[str, Any] = {}
    scores = {"cosine": _scores(unit, pairs, lambda one, other: (one * other).sum(axis=1))}
    if same_class is not None:
        scores["same_class"] = _scores(embeddings, pairs, same_class)
    for score, values in scores.items():
        if np.isfinite(values).all():
            measured = pair_measures(values, pairs, len(labels), seed)
            for name, (value, bounds) in measured.items():
                key = f"pair_{name}_{score}"
                found |= with_intervals({key: value}, {key: bounds})
    reason = (
        "the model has no same-class head"
        if same_class is None
        else "the scores of some pairs are no finite numbers"
    )
    return found, {name: reason for name in PAIR_MEASURES if name not in found}


def _scores(embeddings: np.ndarray, pairs: Pairs, score: PairScore) -> np.ndarray:
    blocks = [slice(start, start + PAIR_BLOCK) for start in range(0, len(pairs.same), PAIR_BLOCK)]
    return np.concatenate(
        [score(embeddings[pairs.one[block]], embeddings[pairs.other[block]]) for block in blocks]
    )


def _neighbours(
    unit: np.ndarray, labels: np.ndarray, notes: list[str], seed: int
) -> tuple[dict[str, Any], dict[str, str]]:
    ranks = neighbour_ranks(unit, labels)
    if not len(ranks.queries):
        return {}, dict.fromkeys(NEIGHBOUR_MEASURES, "no image has another one of its class")
    alone = len(labels) - len(ranks.queries)
    if alone:
        notes.append(f"{alone} images ask for no neighbours, being alone in their class")
    per_query = {f"recall_at_{rank}": ranks.first <= rank for rank in RANKS}
    per_query["mean_average_precision"] = ranks.average_precision
    values = {name: float(np.mean(some)) for name, some in per_query.items()}
    statistics = {name: mean_of(some) for name, some in per_query.items()}
    return with_intervals(values, intervals(statistics, len(ranks.queries), seed)), {}
