"""A picture of a model's graph, by Keras's own plotting."""

import shutil
import tempfile
from pathlib import Path

import keras

from finegrain.errors import UserError
from finegrain.whole_files import written_whole

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Refuse a name whose suffix is no format of a picture.

    Raises:
        UserError: says which there are.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--plot {path} must end in one of {', '.join(SUFFIXES)}")


def draw_model(model: keras.Model, path: Path) -> str:
    """Draw the layers of a model with their shapes.

    Args:
        model: functional.
        path: the picture, replaced if it is there.

    Returns:
        Why it was not drawn, in words for the user; empty if it was. Keras needs pydot and
        Graphviz for it, which this project does not install.

    Raises:
        UserError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, f"model{path.suffix.lower()}")
        try:
            keras.utils.plot_model(model, picture, show_shapes=True, dpi=120)
        except (ImportError, OSError, AssertionError) as error:
            return f"Keras needs pydot and Graphviz for it ({str(error).splitlines()[0][:100]})"
        if not picture.exists():
            return "Keras needs pydot and Graphviz for it"
        with written_whole(path) as beside:
            shutil.copyfile(picture, beside)
    return ""
