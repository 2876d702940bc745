"""What a run's `config.json` says, typed: its settings, its data set, its weights."""

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval
from pydantic import Field

from finegrain.flags import BatchSize, CountOrZero, Seed, Share, Width
from finegrain.records import Record, Typed, read_record

CONFIG = "config.json"
SOFTMAX, MULTI_LOSS = "softmax", "multi-loss"
Side = Annotated[int, Interval(ge=1, le=100_000)]


class RunSettings(Typed):
    """The flags of a run that are looked at again; defaults are what held before there were such.

    `head` and what follows are those of `recipes/bird_fine_tune.py` and `single_model.py --hidden`.
    """

    batch_size: BatchSize = 32
    seed: Seed = 0
    images_per_class: CountOrZero = 0
    dropout: Share = 0.5
    jit: Literal["auto", "on", "off"] = "auto"
    unfreeze_from: str | None = None
    model: str | None = None
    head: str | None = None
    compact: Annotated[int, Interval(ge=0, le=10_000_000)] = 0
    hidden: Width | None = None
    hidden_dropout: Share | None = None


class RunData(Typed):
    """The data set of a run; see `describe_data`."""

    folder: str
    digest: str
    class_counts: list[CountOrZero]
    images: dict[str, CountOrZero] = {}
    category_ids: list[str] | None = None


class RunWeights(Typed):
    """What the backbone began with."""

    digest: str
    name: str = ""


class RunConfig(Record):
    """The content of `config.json`."""

    recipe: Literal["softmax", "multi-loss"]
    backbone: str
    image_size: list[Side] = Field(min_length=2, max_length=2)
    settings: RunSettings
    data: RunData
    weights: RunWeights
    # Before there was a choice.
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    versions: dict[str, str] = {}

    @property
    def recorded_settings(self) -> dict[str, Any]:
        """All settings as they were written down."""
        return self.content["settings"]


def read_config(folder: Path) -> RunConfig:
    """The config of a run; a `UserError` where it is damaged or a newer version's."""
    return read_record(folder / CONFIG, RunConfig, "restore it or train again")
