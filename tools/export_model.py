"""A finished model for other programs, with its class names and its preprocessing inside.

    python tools/export_model.py --run runs/dogs --format onnx --output dogs.onnx

Formats: `onnx` (a file), `saved_model` (TensorFlow's folder), `tflite` (a file, for phones) and
`openvino` (an .xml file and its .bin). All take `image`, uint8 (batch, H, W, 3), RGB, 0 to 255, any
number at once, and answer with `probabilities` (batch, classes). How to load each and how to read
the class names stands at the top of its file in `finegrain/exporting`.

Before the file is put in place its own runtime computes real photographs (validation images of the
run, or those in `--images`), which must agree with the original to 0.1 %; else nothing is written.

What the formats need beyond the project's own requirements:

    pip install -r requirements-export.txt
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    import numpy as np

    from finegrain.frame import Frame


@dataclass
class Settings:
    """Export the classifier of a run, and check that it answers as the original."""

    # run folder
    run: Path
    # file to write, or folder for saved_model; must not exist yet
    output: Path
    # format to write
    format: Literal["onnx", "saved_model", "tflite", "openvino"]
    # folder of photographs to compare on; by default validation images of the run's data set
    images: Path | None = None
    # where the run's data set stands now, if it has moved
    data: Path | None = None
    # how many photographs to compare on
    compare: Annotated[int, Interval(ge=1, le=10_000)] = 16


def main(settings: Settings) -> None:
    # A model saved on one backend opens on the others; all converters start from this one.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    load_keras()
    from finegrain.exporting.export import check_output, export_run, model_card
    from finegrain.exporting.formats import FORMATS
    from finegrain.runs.finished_run import open_finished_run

    chosen = FORMATS[settings.format]
    check_output(chosen, settings.output)
    chosen.check_packages()
    run = open_finished_run(settings.run)
    height, width = run.frame.size
    print(f"run     {run.folder}: {len(run.classes)} classes, {height} x {width} pixels")
    images = read_spread(photographs(settings), run.frame, settings.compare)
    print(f"export  {settings.format}, which may take a minute", flush=True)
    found = export_run(run, chosen, settings.output, images)
    print(f"wrote   {settings.output}: agrees with Keras on {found}")
    card = model_card(run)
    print(f"input   {card.input}\noutput  {card.output}")


def read_spread(paths: list[Path], frame: "Frame", count: int) -> "np.ndarray":
    """Up to `count` of the photographs, from the whole list: (N, H, W, 3) uint8."""
    import numpy as np

    from finegrain.decode import UnreadableImage, read_pixels

    images = []
    for place in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int)):
        try:
            images.append(read_pixels(paths[place], frame))
        except UnreadableImage as error:
            print(f"notice  {paths[place]} is left out: {error}")
    if not images:
        raise UserError("no photograph to compare on can be read; name others with --images")
    return np.stack(images)


def photographs(settings: Settings) -> list[Path]:
    """Files to compare on; some of them may be unreadable."""
    from finegrain.decode import IMAGE_SUFFIXES
    from finegrain.runs.run_folder import open_run_data

    if settings.images is None:
        try:
            data = open_run_data(settings.run, settings.data)
        except UserError as error:
            raise UserError(
                f"{error}; or give a folder of photographs to compare on with --images"
            ) from error
        paths = data.paths("valid" if "valid" in data.splits else data.splits[0])
        paths = [path for path in paths if path.is_file()]
    else:
        found = settings.images.rglob("*") if settings.images.is_dir() else ()
        paths = sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        where = settings.images or "the run's data set"
        raise UserError(f"{where} holds no photographs to compare on; name a folder with --images")
    return paths


if __name__ == "__main__":
    run_command(main, Settings)
