"""Data sets for measurements over several seeds."""

from pathlib import Path

from finegrain.datasets.layouts import find_layout
from finegrain.datasets.layouts.layout import list_source
from finegrain.datasets.manifest import MANIFEST
from side_by_side.commands import call


def make_data_set(
    source: Path, data: Path, seed: int, valid_fraction: float, test_fraction: float
) -> None:
    """Make a data set where it does not stand yet.

    With the official split where the source has one, else with a split of the seed's own.
    """
    if (data / MANIFEST).exists():
        return
    # An official split has its test images already.
    is_drawn = find_layout(list_source(source)).official_split is None
    call(
        "img2keras.py",
        source=source,
        output=data,
        seed=seed,
        valid_fraction=valid_fraction,
        test_fraction=test_fraction if is_drawn else None,
    )
