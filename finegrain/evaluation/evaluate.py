"""The measures of a model on one split: what `evaluation.json` holds of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from finegrain.embeddings.nearest import unit_rows
from finegrain.evaluation.answers import answers_of
from finegrain.evaluation.bootstrap import drawn_rows
from finegrain.evaluation.class_measures import per_class, reliability
from finegrain.evaluation.embedding_measures import (
    PairCurve,
    PairScore,
    neighbour_ranks,
    sample_pairs,
)
from finegrain.evaluation.labelled_images import Answered
from finegrain.evaluation.measures import (
    CLASS_MEASURES,
    COMPARISONS,
    COSINE_MEASURES,
    MEASURES,
    NEIGHBOUR_MEASURES,
    PAIR_MEASURES,
    SAME_CLASS_MEASURES,
    Measure,
    taken,
)

# Images of a split that are compared with each other, at most: 160 MB for Xception.
MOST_COMPARED = 20_000


def evaluate_split(
    rows: pd.DataFrame,
    classes: Sequence[str],
    answered: Answered | None = None,
    same_class: PairScore | None = None,
) -> dict[str, Any]:
    """All measures that can be computed, of the split's sound rows of predictions.csv.

    Pairs and neighbours are measured where there are embeddings (`answered`), the pairwise head
    where the model has one. Of a measure that is None, `missing` says why.
    """
    found, answers = _Found(), answers_of(rows, classes)
    if len(rows):
        found.take(CLASS_MEASURES, answers, len(rows))
    else:
        found.lack(CLASS_MEASURES, "no image has an answer")
    found.notes += _left_out(answered) if answered else []
    if answered is None or not answered.embeddings.shape[-1]:
        found.lack(COMPARISONS, "there are no embeddings of these images")
    else:
        _compare(found, answered, same_class)
    return {
        "images": len(rows),
        "measures": found.measures,
        "missing": found.missing,
        "per_class": per_class(answers, classes),
        "reliability": reliability(answers.probability, answers.right),
        "notes": found.notes,
    }


@dataclass
class _Found:
    measures: dict[str, Any] = field(default_factory=lambda: dict.fromkeys(MEASURES))
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, measures: Sequence[Measure], evidence: Any, images: int) -> None:
        self.measures |= taken(measures, evidence, images)

    def lack(self, measures: Iterable[Measure], reason: str) -> None:
        self.missing |= {measure.name: reason for measure in measures}


def _left_out(answered: Answered) -> list[str]:
    notes = []
    if answered.unreadable:
        name, reason = next(iter(answered.unreadable.items()))
        notes.append(
            f"{len(answered.unreadable)} images could not be read and are left out, the first is "
            f"{name} ({reason})"
        )
    silent = np.flatnonzero(answered.answers.true_rank == 0)
    if len(silent):
        notes.append(
            f"{len(silent)} images are left out because the model's answer is no number, the "
            f"first is {answered.images.names[silent[0]]}; its training must have diverged"
        )
    return notes


def _compare(found: _Found, answered: Answered, same_class: PairScore | None) -> None:
    embeddings, labels = answered.embeddings, answered.images.labels[answered.compared]
    if len(labels) > MOST_COMPARED:
        drawn = drawn_rows(len(labels), MOST_COMPARED)
        embeddings, labels = embeddings[drawn], labels[drawn]
    chosen, every = len(labels), len(answered.images.labels)
    sound = np.isfinite(embeddings).all(axis=1)
    if not sound.all():
        found.notes.append(
            f"{int((~sound).sum())} images are not compared: their embeddings are no finite numbers"
        )
        embeddings, labels = embeddings[sound], labels[sound]
    if every > chosen:
        found.notes.append(
            f"pairs and neighbours are of {len(labels)} images drawn from the {every}"
        )
    if len(labels) < 2:
        found.lack(COMPARISONS, "fewer than two images can be compared")
        return
    _compare_pairs(found, embeddings, labels, same_class)
    ranks = neighbour_ranks(embeddings, labels)
    if not len(ranks.queries):
        found.lack(NEIGHBOUR_MEASURES, "no image has another one of its class")
        return
    alone = len(labels) - len(ranks.queries)
    if alone:
        found.notes.append(f"{alone} images ask for no neighbours, being alone in their class")
    found.take(NEIGHBOUR_MEASURES, ranks, len(ranks.queries))


def _compare_pairs(
    found: _Found, embeddings: np.ndarray, labels: np.ndarray, same_class: PairScore | None
) -> None:
    pairs = sample_pairs(labels)
    if not len(pairs.same):
        few = "all images are of one class" if len(set(labels)) == 1 else "no two are of one class"
        found.lack(PAIR_MEASURES, f"there are no two kinds of pairs: {few}")
        return
    cosines = pairs.scores(unit_rows(embeddings), lambda a, b: (a * b).sum(axis=1))
    scores = [(COSINE_MEASURES, cosines)]
    if same_class is None:
        found.lack(SAME_CLASS_MEASURES, "the model has no same-class head")
    else:
        scores.append((SAME_CLASS_MEASURES, pairs.scores(embeddings, same_class)))
    for measures, values in scores:
        if np.isfinite(values).all():
            found.take(measures, PairCurve(values, pairs), len(labels))
        else:
            found.lack(measures, "the scores of some pairs are no finite numbers")
