"""What a search computes with, and how much it may take."""

from collections.abc import Callable
from dataclasses import dataclass

from finegrain.stores.store_folder import StoreFolder


@dataclass(frozen=True)
class Means:
    """What a search computes with, and how much it may take.

    Attributes:
        folder: of the stores.
        memory_gb: what is likely to take more gigabytes of memory is left out.
        rounded: train in bfloat16 what gains much by it.
        on_rows: called whenever some rows of a store have been computed; may end it by raising.
    """

    folder: StoreFolder
    batch_size: int
    seed: int
    openvino: bool
    workers: int
    memory_gb: float
    rounded: bool
    on_rows: Callable[[], None]
