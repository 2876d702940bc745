"""Pictures of a run for people to look at: its course, its model's layers, and these as text."""

import contextlib
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finegrain.errors import UserError
from finegrain.own_pictures import sign
from finegrain.regular_file import open_regular
from finegrain.runs.plateau import rate_drops
from finegrain.runs.stage_folder import HISTORY
from finegrain.whole_files import write_encoded, written_whole

if TYPE_CHECKING:
    import keras

PICTURE, MODEL_PICTURE, MODEL_TABLE = "history.png", "model.png", "model.txt"
BLUE, ORANGE, GREY = "#1f6fb2", "#d9730d", "#6f6f6f"
TRAINING, VALIDATION, RATE_DROP = "training", "validation", "learning rate lowered to"
DPI = 120
# Of the table, in characters; a cell that is longer goes on below.
WIDTH = 160


def read_history(run: Path) -> list[tuple[str, list[dict[str, float]]]]:
    """The name and the rows of history.csv, all floats, of every stage begun, in their order."""
    stages = []
    for file in sorted(run.glob(f"*/{HISTORY}")):
        with io.TextIOWrapper(open_regular(file), encoding="utf-8", newline="") as table:
            reader = csv.DictReader(table)
            rows = [{key: float(value) for key, value in row.items()} for row in reader]
        stages.append((file.parent.name, rows))
    return stages


def plot_history(run: Path) -> Path:
    """Draw a run's identification loss, top-1 accuracy, stages and rate drops: `history.png`."""
    stages = read_history(run)
    rows = [row for _, stage in stages for row in stage]
    figure = Figure(figsize=(9, 4), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    highest = _draw_curves(loss_axes, rows, "identification loss", ("category_loss", "loss"))
    # Room above the curves for the stages' names.
    loss_axes.set_ylim(0, 1.4 * highest or 1)
    _draw_curves(accuracy_axes, rows, "top-1 accuracy", ("category_accuracy", "accuracy"))
    accuracy_axes.set(ylim=(0, 1.3), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
    # The room above is the stages' names'; no accuracy lies there.
    accuracy_axes.spines["left"].set_bounds(0, 1)
    for axes in (loss_axes, accuracy_axes):
        axes.set(xlabel="epoch", xlim=(0.5, max(1, len(rows)) + 0.5))
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        _mark_stages(axes, stages, tell_rates=axes is accuracy_axes)
    lines = {line.get_label(): line for line in accuracy_axes.get_lines()}
    told = [label for label in (TRAINING, VALIDATION, RATE_DROP) if label in lines]
    figure.legend(
        [lines[label] for label in told], told, loc="outside lower center", ncols=3, frameon=False
    )
    write_encoded(run / PICTURE, partial(figure.savefig, dpi=130, format="png"))
    return run / PICTURE


def _draw_curves(
    axes: Axes, rows: list[dict[str, float]], title: str, wanted: tuple[str, str]
) -> float:
    """The highest of the numbers drawn, of training and validation."""
    axes.set_title(title)
    highest = 0.0
    for prefix, colour, label in (("", BLUE, TRAINING), ("val_", ORANGE, VALIDATION)):
        values = [next(row[prefix + key] for key in wanted if prefix + key in row) for row in rows]
        numbers = range(1, len(rows) + 1)
        axes.plot(numbers, values, color=colour, marker="o", markersize=3, label=label)
        highest = max([highest, *values])
    return highest


def _mark_stages(
    axes: Axes, stages: list[tuple[str, list[dict[str, float]]]], tell_rates: bool
) -> None:
    style: dict[str, Any] = {"fontsize": 9, "color": GREY, "rotation": 90}
    style |= {"transform": axes.get_xaxis_transform(), "in_layout": False, "clip_on": True}
    start = 0
    for name, rows in stages:
        if start:
            axes.axvline(start + 0.5, color=GREY, linewidth=1)
        axes.text(start + 0.6, 0.99, name, va="top", **style)
        rates = [row["learning_rate"] for row in rows]
        for number in rate_drops(rates):
            place = start + number + 0.5
            axes.axvline(place, color=GREY, linewidth=1, linestyle=":", label=RATE_DROP)
            if tell_rates:
                axes.text(place, 0.02, f" {rates[number]:g}", va="bottom", **style)
        start += len(rows)


def draw_model(model: "keras.Model", path: Path) -> None:
    """Draw the layers of a model, a backbone as one box, as `.png`, `.svg` or `.pdf`.

    A file that is there is replaced; UserError where Graphviz is missing or does not work, or the
    file cannot be written.
    """
    if shutil.which("dot") is None:
        raise UserError(
            "Graphviz, which draws it, is not installed; install it (Debian, Ubuntu: apt install "
            "graphviz; macOS: brew install graphviz; Windows: choco install graphviz) and start "
            "the same command again"
        )
    import keras

    with tempfile.TemporaryDirectory() as folder, written_whole(path) as beside:
        kind = path.suffix.lower()[1:]
        picture = Path(folder, f"model.{kind}")
        try:
            # pydot prints all that a failing Graphviz says.
            with contextlib.redirect_stdout(io.StringIO()):
                keras.utils.plot_model(
                    model, picture, show_shapes=True, show_layer_names=True, dpi=DPI
                )
        except (ImportError, OSError, AssertionError) as error:
            raise UserError(
                f"Graphviz is installed, but `dot -T{kind}` does not work; mend it and start the "
                "same command again"
            ) from error
        shutil.copyfile(picture, beside)
        sign(beside)


def write_model_table(model: "keras.Model", path: Path) -> None:
    """Write Keras's summary of a model: all layers, those of a backbone too, and which learn."""
    lines: list[str] = []
    with _terminal_of(WIDTH):
        model.summary(WIDTH, print_fn=lines.append, expand_nested=True, show_trainable=True)
    with written_whole(path) as file:
        file.write_text("\n".join(lines), encoding="utf-8")


@contextlib.contextmanager
def _terminal_of(columns: int) -> Iterator[None]:
    """Keras cuts its table at the width of the terminal, whatever width it is asked for."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
