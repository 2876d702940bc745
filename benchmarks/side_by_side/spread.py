"""What several seeds came to, in one cell of a table."""

from collections.abc import Sequence
from statistics import mean


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and range."""
    low, middle, high = (f"{value:{sign}.4f}" for value in (min(values), mean(values), max(values)))
    return f"{middle} ({low} to {high})"
