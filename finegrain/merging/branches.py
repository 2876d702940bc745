"""What is done to each backbone's embeddings before they are merged."""

from collections.abc import Mapping

import numpy as np

from finegrain.merging.feature_rows import FeatureRows
from finegrain.models.merged import Branch, Normalise


def branches(train: FeatureRows, normalise: Mapping[str, Normalise]) -> dict[str, Branch]:
    """The branches of all backbones, with the statistics of the training rows.

    Args:
        train: the rows.
        normalise: backbone -> what is done to its embeddings.
    """
    widths = train.joined.widths
    moments = _moments(train, [name for name, how in normalise.items() if how == "standardise"])
    return {
        name: Branch(widths[name], how, *moments.get(name, (None, None)))
        for name, how in normalise.items()
    }


def _moments(rows: FeatureRows, names: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Backbone -> mean and variance (D,) over all rows, in float64."""
    if not names:
        return {}
    widths = rows.joined.widths
    sums = {name: np.zeros((2, widths[name])) for name in names}
    # Around the first row, lest large numbers that differ little cancel out.
    origin = {name: values[0] for name, values in rows.take(names, np.arange(1)).items()}
    for embeddings, _ in rows.in_order(names):
        for name, values in embeddings.items():
            moved = values.astype("float64") - origin[name]
            sums[name] += moved.sum(axis=0), np.square(moved).sum(axis=0)
    moments = {}
    for name, (first, second) in sums.items():
        mean = first / len(rows)
        variance = np.maximum(second / len(rows) - mean**2, 0.0)
        moments[name] = (mean + origin[name], variance)
    return moments
