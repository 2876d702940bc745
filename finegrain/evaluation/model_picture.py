"""A picture of a model's layers, by Graphviz where it is installed, else drawn by ourselves."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
from matplotlib.figure import Figure

from finegrain.evaluation.graph_layout import Layout, lay_out
from finegrain.whole_files import written_whole

MODEL_PICTURE = "model.png"
DPI = 120
# Of a box and of its share of the plane, in inches.
BOX_WIDTH, BOX_HEIGHT, COLUMN, RANK = 2.8, 0.5, 3.1, 0.8
BLUE, GREY = "#e8f0f8", "#5a5a5a"


def draw_model(model: keras.Model, path: Path) -> None:
    """Draw the layers of a model, a backbone as one box, with types and output shapes.

    Args:
        model: functional.
        path: the picture, `.png`, `.svg` or `.pdf`; replaced if it is there.

    Raises:
        UserError: the file cannot be written.
    """
    with written_whole(path) as beside:
        if not _by_graphviz(model, beside):
            _by_ourselves(model, beside)


def _by_graphviz(model: keras.Model, path: Path) -> bool:
    """Draw with Keras's own plotting, which needs pydot and Graphviz; whether they are there."""
    if shutil.which("dot") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, f"model{path.suffix.lower()}")
        try:
            keras.utils.plot_model(
                model, picture, show_shapes=True, show_layer_names=True, dpi=DPI
            )
        except (ImportError, OSError, AssertionError):
            return False
        if picture.exists():
            shutil.copyfile(picture, path)
        return picture.exists()


def model_graph(model: keras.Model) -> tuple[list[keras.layers.Layer], list[tuple[int, int]]]:
    """A functional model's layers, and (from, to) pairs of their numbers for what flows."""
    config = model.get_config()["layers"]
    numbers = {entry["name"]: number for number, entry in enumerate(config)}
    arrows = {
        (numbers[name], number): None
        for number, entry in enumerate(config)
        for name in _taken_from(entry["inbound_nodes"])
    }
    return [model.get_layer(name) for name in numbers], list(arrows)


def _taken_from(config: Any) -> Iterator[str]:
    """Names of the layers whose outputs stand in a piece of a model's config."""
    if isinstance(config, dict):
        if "keras_history" in config:
            yield config["keras_history"][0]
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from _taken_from(part)


def _by_ourselves(model: keras.Model, path: Path) -> None:
    layers, arrows = model_graph(model)
    layout = lay_out(len(layers), arrows)
    columns = [column for way in layout.paths for column, _ in way] or [0.0]
    left, right = min(columns) - 0.55, max(columns) + 0.55
    ranks = max(rank for _, rank in layout.boxes) + 1
    figure = Figure(figsize=((right - left) * COLUMN, ranks * RANK))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(ranks - 0.5, -0.5))
    axes.set_axis_off()
    _draw_arrows(axes, layout)
    for layer, place in zip(layers, layout.boxes, strict=True):
        _draw_box(axes, layer, place)
    figure.savefig(path, dpi=DPI, format=path.suffix.lower()[1:])


def _draw_arrows(axes, layout: Layout) -> None:
    half = BOX_HEIGHT / RANK / 2
    for way in layout.paths:
        (start, top), (end, bottom) = way[0], way[-1]
        # Upright beside boxes, sloping only between ranks: so no box is crossed.
        knots = [(x, y + side) for x, y in way[1:-1] for side in (-half, half)]
        points = [(start, top + half), *knots, (end, bottom - half)]
        axes.plot(*zip(*points[:-1], strict=True), color=GREY, linewidth=1.2, zorder=1)
        axes.annotate(
            "", points[-1], points[-2], zorder=1,
            arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 1.2,
                        "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _draw_box(axes, layer: keras.layers.Layer, place: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    column, rank = place
    width, height = BOX_WIDTH / COLUMN, BOX_HEIGHT / RANK
    axes.add_patch(FancyBboxPatch(
        (column - width / 2, rank - height / 2), width, height, zorder=2,
        boxstyle="round,pad=0,rounding_size=0.04", facecolor=BLUE, edgecolor=GREY,
    ))  # fmt: skip
    shapes = " ".join(_shape(tensor) for tensor in keras.tree.flatten(layer.output))
    axes.text(column, rank - 0.12, layer.name, ha="center", va="center", size=9, weight="bold")
    axes.text(
        column, rank + 0.16, f"{type(layer).__name__}   {shapes}", ha="center", va="center", size=8
    )


def _shape(tensor) -> str:
    """A tensor's shape without the batch."""
    return " x ".join(map(str, tensor.shape[1:])) or "1"
