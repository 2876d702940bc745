"""What a run's `config.json` says, typed; recorded settings against those asked for now."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval
from pydantic import Field, model_validator

from finegrain.errors import UserError
from finegrain.flags import (
    BatchSize,
    CountOrZero,
    Probability,
    Seed,
    Share,
    Temperature,
    Width,
)
from finegrain.frame import SQUEEZE, Fit, Frame
from finegrain.models.heads import SAME_CLASS
from finegrain.records import Record, Typed, read_record

# Objectives by name, told apart without importing what they are made of.
WITHOUT_PAIRS = ("softmax", "arcface")
CONFIG = "config.json"
Side = Annotated[int, Interval(ge=1, le=100_000)]


HeadStart = Literal["random", "zero", "logistic"]
# What a backbone sees of pixels from 0 to 255: what it was pretrained on, 0 to 1, or the pixels.
Pixels = Literal["own", "unit", "raw"]


class RunSettings(Typed):
    """The flags of a run that are looked at again; defaults are what held before there were any."""

    batch_size: BatchSize = 32
    seed: Seed = 0
    fit: Fit = SQUEEZE
    images_per_class: CountOrZero = 0
    dropout: Share = 0.5
    jit: Literal["auto", "on", "off"] = "auto"
    deterministic: bool = False
    unfreeze_from: str | None = None
    head_start: HeadStart = "random"
    pair_start: Literal["zero", "random"] = "zero"
    pixels: Pixels = "own"
    model: str | None = None
    # Of `recipes/bird_fine_tune.py` and `single_model.py --hidden`.
    head: str | None = None
    compact: Annotated[int, Interval(ge=0, le=10_000_000)] = 0
    hidden: Width | None = None
    hidden_dropout: Share | None = None
    pooling: Literal["mean", "gem"] = "mean"
    neck: Literal["none", "bn"] = "none"
    train_on_validation: bool = False
    teacher_weight: Probability = 0.0
    teacher_temperature: Temperature = 1.0

    @model_validator(mode="before")
    @classmethod
    def _by_their_names_of_today(cls, settings: Any) -> Any:
        return by_todays_names(settings) if isinstance(settings, dict) else settings


class RunData(Typed):
    """The data set of a run; `category_ids` where submissions call the classes by ids."""

    folder: str
    digest: str
    class_counts: list[CountOrZero]
    images: dict[str, CountOrZero] = {}
    category_ids: list[str] | None = None


class RunWeights(Typed):
    """What the backbone began with."""

    digest: str
    name: str = ""


class RunTeaching(Typed):
    """Who taught the run: finished runs, and so many photographs of a folder that they labelled."""

    digest: str
    runs: list[str]
    folder: str | None = None
    images: CountOrZero = 0


class RunConfig(Record):
    """The content of `config.json`."""

    recipe: str
    backbone: str
    image_size: list[Side] = Field(min_length=2, max_length=2)
    # Which `--recipe` set the flags that were not given.
    defaults: str = "original"
    settings: RunSettings
    data: RunData
    weights: RunWeights
    # Before there was a choice.
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    versions: dict[str, str] = {}
    # Outputs of the finished model; they followed from the recipe before they were recorded.
    heads: list[str] | None = None
    teaching: RunTeaching | None = None

    @property
    def frame(self) -> Frame:
        """How the finished model sees a photograph."""
        height, width = self.image_size
        return Frame(height, width, self.settings.fit)

    @property
    def learns_pairs(self) -> bool:
        """Whether images were compared with others in training."""
        return self.recipe not in WITHOUT_PAIRS

    @property
    def compares_pairs(self) -> bool:
        """Whether the finished model has a head for pairs."""
        if self.heads is None:
            return self.recipe == "multi-loss"
        return SAME_CLASS in self.heads


def read_config(folder: Path) -> RunConfig:
    """The config of a run; a `UserError` where it is damaged or a newer version's."""
    return read_record(folder / CONFIG, RunConfig, "restore it or train again")


def defaults_of(kind: type) -> dict[str, Any]:
    """The defaults of a dataclass as JSON values; fields without one are left out."""
    defaults = {}
    for field in fields(kind):
        value = field.default
        if field.default_factory is not MISSING:
            value = field.default_factory()
        is_instance = is_dataclass(value) and not isinstance(value, type)
        if value is not MISSING:
            defaults[field.name] = asdict(value) if is_instance else value
    return defaults


def by_todays_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings, those that had another name or type once by their names of today."""
    today = dict(settings)
    if "head_from_zero" in today:
        today["head_start"] = "zero" if today.pop("head_from_zero") else "random"
    return today


def completed(recorded: Mapping[str, Any], held_before: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings, with what held before a setting was there where it is missing."""
    whole = {**held_before, **recorded}
    for name, before in held_before.items():
        if isinstance(before, Mapping) and isinstance(whole[name], Mapping):
            whole[name] = completed(whole[name], before)
    return whole


def refuse_differences(made_with: dict[str, Any], asked_for: dict[str, Any], path: Path) -> None:
    """Refuse to go on in a folder made with other settings: a `UserError` names all, both ways."""
    asked_for = json.loads(json.dumps(asked_for))
    differing = [
        f"{key} {made_with.get(key)!r} there, {asked_for.get(key)!r} now"
        for key in {**made_with, **asked_for}
        if made_with.get(key) != asked_for.get(key)
    ]
    if differing:
        raise UserError(
            f"{path} was made with other settings ({'; '.join(differing)}): "
            "give those again, or another --run"
        )
