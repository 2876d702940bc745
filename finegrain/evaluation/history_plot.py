"""The course of a run as one picture, `history.png`."""

import csv
from pathlib import Path

import matplotlib.ticker
from matplotlib.figure import Figure

from finegrain.training.stage_folder import HISTORY
from finegrain.whole_files import written_whole

PICTURE = "history.png"
BLUE, ORANGE, GREY = "#1f6fb2", "#d9730d", "#8a8a8a"


def read_history(run: Path) -> list[tuple[str, list[dict[str, float]]]]:
    """The epochs of every stage begun, in the order of the stages.

    Args:
        run: a run folder.

    Returns:
        (stage name, rows of its history.csv) pairs; every value a float.
    """
    stages = []
    for file in sorted(run.glob(f"*/{HISTORY}")):
        with file.open(newline="", encoding="utf-8") as table:
            reader = csv.DictReader(table)
            rows = [{key: float(value) for key, value in row.items()} for row in reader]
        stages.append((file.parent.name, rows))
    return stages


def plot_history(run: Path) -> Path:
    """Draw identification loss and top-1 error over all epochs of a run.

    Stage borders are vertical lines with the stage's name; a drop of the learning rate inside a
    stage is a dotted one.

    Args:
        run: a run folder with at least one finished epoch.

    Returns:
        The picture's path, `history.png` in the run folder.
    """
    stages = read_history(run)
    rows = [row for _, stage in stages for row in stage]
    epochs = range(1, len(rows) + 1)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss_axes, error_axes = figure.subplots(1, 2)
    for axes, name, wanted in (
        (loss_axes, "identification loss", ("category_loss", "loss")),
        (error_axes, "top-1 error", ("category_accuracy", "accuracy")),
    ):
        for prefix, colour, label in (("", BLUE, "training"), ("val_", ORANGE, "validation")):
            values = [_first(row, [prefix + key for key in wanted]) for row in rows]
            if axes is error_axes:
                values = [1 - value for value in values]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
        # Room above the highest point for the stages' names.
        top = 1.25 * axes.dataLim.y1 or 1
        axes.set(xlabel="epoch", title=name, xlim=(0.5, len(rows) + 0.5), ylim=(0, top))
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        _mark_stages(axes, stages)
    loss_axes.legend(frameon=False)
    with written_whole(run / PICTURE) as file:
        figure.savefig(file, dpi=130)
    return run / PICTURE


def _first(row: dict[str, float], keys: list[str]) -> float:
    return next(row[key] for key in keys if key in row)


def _mark_stages(axes, stages) -> None:
    start = 0
    for name, rows in stages:
        if start:
            axes.axvline(start + 0.5, color=GREY, linewidth=1)
        axes.text(
            start + 0.6, 0.99, name, transform=axes.get_xaxis_transform(),
            fontsize=8, color=GREY, va="top", rotation=90, in_layout=False, clip_on=True,
        )  # fmt: skip
        for number in range(1, len(rows)):
            if rows[number]["learning_rate"] < rows[number - 1]["learning_rate"]:
                axes.axvline(start + number + 0.5, color=GREY, linewidth=1, linestyle=":")
        start += len(rows)
