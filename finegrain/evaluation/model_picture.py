"""A model's layers for people to look at: a picture by Graphviz, a table as text."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras

from finegrain.errors import UserError
from finegrain.own_pictures import sign
from finegrain.whole_files import written_whole

MODEL_PICTURE, MODEL_TABLE = "model.png", "model.txt"
DPI = 120
# Of the table, in characters; a cell that is longer goes on below.
WIDTH = 160


def draw_model(model: keras.Model, path: Path) -> None:
    """Draw the layers of a model, a backbone as one box, with types and output shapes.

    The picture is a `.png`, `.svg` or `.pdf`; one that is there is replaced.

    Raises:
        UserError: there is no Graphviz, it does not work, or the file cannot be written.
    """
    if shutil.which("dot") is None:
        raise UserError(
            "Graphviz, which draws it, is not installed; install it (Debian, Ubuntu: apt install "
            "graphviz; macOS: brew install graphviz; Windows: choco install graphviz) and start "
            "the same command again"
        )
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


def write_model_table(model: keras.Model, path: Path) -> None:
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
