"""The numbers of both sides as a Markdown table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from side_by_side.plan import FROZEN, RETRAINED, UNFROZEN

Measured = dict[str, Any]
# Ratios to reach, on 2 CPU cores with Xception at 299 and 600 photographs.
GOALS = {
    "frozen": 18,
    "plain": 45,
    "unfrozen": 5,
    "all": 12,
    "loader": 25,
    "predict": 5,
    "few": 5,
    "export": 4,
}
HEADER = (
    "| first coded / ours | seconds an epoch | images a second | ratio | to reach "
    "| peak memory, GB | disk, GB | validation error |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        goal: ratio to reach; None where none was set.
        theirs, ours: seconds of a run of each seed.
        epochs: that the seconds hold; 0 for what has no epochs.
        images: training images an epoch, or images predicted.
        peaks, disks: bytes of both sides.
        errors: validation errors of each seed, of both sides.
        note: behind the name.
    """

    name: str
    goal: int | None
    theirs: Sequence[float]
    ours: Sequence[float]
    epochs: int
    images: int
    peaks: tuple[int, int] | None = None
    disks: tuple[int, int] | None = None
    errors: tuple[Sequence[float], Sequence[float]] | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times less ours takes, on the mean over the seeds."""
        return mean(self.theirs) / mean(self.ours)

    def line(self) -> str:
        """The row in Markdown."""
        rounds = max(1, self.epochs)
        both = [mean(self.theirs), mean(self.ours)]
        cells = [
            self.name + (f" ({self.note})" if self.note else ""),
            " / ".join(digits(seconds / rounds) for seconds in both) if self.epochs else "",
            " / ".join(digits(self.images * rounds / seconds) for seconds in both),
            f"{self.ratio:.1f}",
            str(self.goal or ""),
            " / ".join(f"{peak / 1e9:.2f}" for peak in self.peaks or ()),
            " / ".join(f"{disk / 1e9:.2g}" for disk in self.disks or ()),
            " / ".join(spread(side) for side in self.errors or ()),
        ]
        return f"| {' | '.join(cells)} |"


def training_rows(theirs: Sequence[Measured], ours: Sequence[Measured], views: int) -> list[Row]:
    """Rows of the recipe: its first two stages, all three, and whole processes.

    Args:
        theirs, ours: a run of the three stages of each seed, of both sides.
        views: stored views an image of our stage 1.
    """
    rows = []
    for name, goal, stages in (
        (f"stage 1, with augmentation ({views} views)", "frozen", [FROZEN]),
        ("stage 2, without augmentation", "unfrozen", [UNFROZEN]),
        ("three stages together", "all", [FROZEN, UNFROZEN, RETRAINED]),
    ):
        rows.append(stages_row(name, GOALS[goal], stages, theirs, ours))
    together = rows[-1]
    rows.append(
        Row(
            "the same, whole processes from start to end",
            None,
            [run["wall_seconds"] for run in theirs],
            [run["wall_seconds"] for run in ours],
            together.epochs,
            together.images,
            together.peaks,
            together.disks,
        )
    )
    return rows


def plain_row(theirs: Sequence[Measured], ours: Sequence[Measured]) -> Row:
    """The row of stage 1 without augmentation."""
    return stages_row("stage 1, without augmentation", GOALS["plain"], [FROZEN], theirs, ours)


def stages_row(
    name: str, goal: int, stages: list[str], theirs: Sequence[Measured], ours: Sequence[Measured]
) -> Row:
    """Stages that both sides have run, added up."""
    stages = [stage for stage in stages if stage in ours[0]["stages"]]
    epochs = [theirs[0]["stages"][stage]["epochs"] for stage in stages]
    timed = [len(theirs[0]["stages"][stage]["epoch_seconds"]) for stage in stages]
    counts = ", ".join(map(str, epochs))
    note = f"{counts} epoch{'' if epochs == [1] else 's'}"
    if timed != epochs:
        note += f"; first coded: {', '.join(map(str, timed))} of {counts} timed"
    sides = (theirs, ours)
    seconds = [
        [sum(run["stages"][stage]["seconds"] for stage in stages) for run in side] for side in sides
    ]
    errors = [[run["stages"][stages[-1]]["valid_error"] for run in side] for side in sides]
    return Row(
        name,
        goal,
        *seconds,
        sum(epochs),
        theirs[0]["images"]["train"],
        peaks=tuple(max(run["peak_bytes"] for run in side) for side in sides),
        disks=tuple(max(run["disk_bytes"] for run in side) for side in sides),
        # An error after fewer epochs is no counterpart.
        errors=None if timed != epochs else (errors[0], errors[1]),
        note=note,
    )


def prediction_rows(theirs: Measured, ours: Measured) -> list[Row]:
    """Rows of the submission: whole processes, and what they take beyond their start."""
    whole = Row(
        "baidu_dog_test.py, whole process",
        GOALS["predict"],
        [theirs["wall_seconds"]],
        [ours["wall_seconds"]],
        0,
        ours["images"],
        (theirs["peak_bytes"], ours["peak_bytes"]),
    )
    few = Row(
        f"the same, {ours['few_images']} photographs",
        GOALS["few"],
        [theirs["few_seconds"]],
        [ours["few_seconds"]],
        0,
        ours["few_images"],
    )
    beyond = [side["seconds_beyond_start"] for side in (theirs, ours)]
    images = ours["images_beyond_start"]
    if min(beyond) <= 0 or not images:
        # So few photographs that chance outweighs them.
        return [whole, few]
    name = "baidu_dog_test.py, without its start and first batch"
    return [whole, few, Row(name, None, beyond[:1], beyond[1:], 0, images)]


def export_rows(measured: Measured) -> list[Row]:
    """The row of the export of embeddings, beyond its start; see `export_speed.py`."""
    rates = [[1 / measured[side]["rate"]] for side in ("plain", "ours")]
    peaks = tuple(measured[side]["peak"] for side in ("plain", "ours"))
    name = f"export of embeddings, {measured['ours']['images']:,} photographs"
    return [Row(name, GOALS["export"], *rates, 0, 1, peaks)]


def loader_rows(seconds: dict[str, list[float]], cores: int) -> list[Row]:
    """Rows of the loaders that keep pixels, from their second epoch on.

    Args:
        cores: that they had.
        seconds: loader -> seconds a photograph of each epoch; the first loader is the original.
    """
    usual = {name: statistics.median(epochs[1:]) for name, epochs in seconds.items()}
    original, without_cache, *keeping = usual
    where = f"{cores} cores" if cores > 1 else "one core"
    return [
        Row(
            f"loader on {where}: {name.replace('the same', without_cache)}",
            GOALS["loader"],
            [usual[original]],
            [usual[name]],
            epochs=0,
            images=1,
            note="second epoch on",
        )
        for name in keeping
    ]


def digits(number: float) -> str:
    """A number with three digits that count."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


def spread(values: Sequence[float]) -> str:
    """A mean, and the range where there are several."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    return "\n".join([HEADER, *(row.line() for row in rows)]) + "\n"
