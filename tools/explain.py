"""Which part of a picture speaks for its class, and which parts make two pictures "the same".

    python tools/explain.py --run runs/dogs --output explained PHOTO.jpg OTHER.jpg

writes a picture for each photograph: the photograph, the parts that speak for its likeliest class
(Grad-CAM, arXiv 1610.02391: the redder, the more) and the likeliest classes with their
probabilities. `--class-name NAME` asks what speaks for another class instead.

    python tools/explain.py --run runs/dogs --output explained --pair PHOTO.jpg OTHER.jpg

asks the pair head of a multi-loss run about two photographs: the probability that they show the
same class, the parts both have that speak for it, and the parts that only one has and that speak
against it.

Heat is coarse, a few places a side, and says what the model looked at, not whether that was right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.outputs import Output, OutputFile, OutputFolder
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    import numpy as np

    from finegrain.explain.pictures import Photograph
    from finegrain.frame import Frame
    from finegrain.runs.finished_run import FinishedRun


@dataclass
class Settings:
    """Draw which parts of photographs an answer rests on."""

    # photographs; two of them with --pair
    image: tyro.conf.Positional[tuple[Path, ...]]
    # run folder
    run: Path
    # folder for the pictures, made if missing
    output: Path
    # are the two photographs of one class? (needs a run of froze_fine_tune.py)
    pair: bool = False
    # the class to explain; by default the likeliest of each photograph
    class_name: str | None = None
    # how many classes to list
    top: Annotated[int, Interval(ge=1, le=100)] = 5

    def outputs(self) -> list[Output]:
        """What is written."""
        names = output_names(self.image).values()
        if self.pair:
            names = [pair_name(self.image)]
        pictures = [OutputFile("--output", self.output / name, is_picture=True) for name in names]
        return [OutputFolder("--output", self.output, is_shared=True), *pictures]


def main(settings: Settings) -> None:
    check(settings)
    load_keras()
    from finegrain.runs.finished_run import open_finished_run

    run = open_finished_run(settings.run)
    if settings.pair:
        explain_pair(settings, run)
    else:
        explain_each(settings, run)


def check(settings: Settings) -> None:
    """Refuse what can be seen to be wrong before Keras is loaded."""
    if not settings.image:
        raise UserError("no photograph is named; give one or several files")
    if settings.pair and len(settings.image) != 2:
        raise UserError(f"--pair takes two photographs, {len(settings.image)} are named")
    if settings.pair and settings.class_name is not None:
        raise UserError("--class-name has no meaning with --pair; leave one of them out")


def explain_each(settings: Settings, run: "FinishedRun") -> None:
    """Write a picture for each photograph and print its likeliest classes."""
    import numpy as np

    from finegrain.explain.grad_cam import GradCam
    from finegrain.explain.pictures import class_figure, lay_over, percentage, save_figure
    from finegrain.models.classifier import classifier

    asked = None if settings.class_name is None else class_index(run.classes, settings.class_name)
    model = run.model()
    classify, cam = classifier(model), GradCam(model)
    names = output_names(settings.image)
    for photo in readable(settings.image, run.frame):
        probabilities = answer(classify, photo.pixels[None])
        order = np.argsort(-probabilities, kind="stable")[: settings.top]
        answers = [(run.classes[index], float(probabilities[index])) for index in order]
        about = order[0] if asked is None else asked
        overlay = lay_over(photo.shown, cam.heat(photo.pixels, about))
        path = settings.output / names[photo.path]
        save_figure(class_figure(photo.shown, overlay, run.classes[about], answers), path)
        print(f"{photo.path} -> {path}")
        for name, probability in answers:
            print(f"  {percentage(probability):>8}  {name}")


def explain_pair(settings: Settings, run: "FinishedRun") -> None:
    """Write one picture of two photographs and print whether they show the same class."""
    from finegrain.explain.grad_cam import PairCam
    from finegrain.explain.pictures import lay_over, pair_figure, percentage, save_figure
    from finegrain.models.multi_loss import same_class

    if not run.compares_pairs:
        raise UserError(
            f"{run.folder} has no head for pairs (its recipe is {run.recipe}); --pair takes a run "
            "of froze_fine_tune.py"
        )
    photos = list(readable(settings.image, run.frame))
    if len(photos) < 2:
        raise UserError("--pair takes two photographs that can be read; give others")
    model = run.model()
    shown, pixels = [photo.shown for photo in photos], [photo.pixels for photo in photos]
    probability = float(answer(same_class(model), [one[None] for one in pixels])[1])
    cam = PairCam(model)
    same, apart = (
        [lay_over(picture, heat) for picture, heat in zip(shown, heats, strict=True)]
        for heats in (cam.heats(*pixels), cam.heats(*pixels, same=False))
    )
    path = settings.output / pair_name(settings.image)
    save_figure(pair_figure(shown, same, apart, probability), path)
    print(f"the same class: {percentage(probability)} -> {path}")


def answer(model, inputs) -> "np.ndarray":
    """(C,) probabilities for one image or pair."""
    import keras
    import numpy as np

    probabilities = keras.ops.convert_to_numpy(model(inputs, training=False))[0]
    if not np.isfinite(probabilities).all():
        raise UserError(
            "the model answers with numbers that are not finite, its training must have diverged; "
            "train it again with a smaller learning rate"
        )
    return probabilities


def readable(paths: Sequence[Path], frame: "Frame") -> Iterator["Photograph"]:
    """The photographs one by one; those that cannot be read are named."""
    from finegrain.decode import UnreadableImage
    from finegrain.explain.pictures import read_photograph

    read = 0
    for path in paths:
        try:
            photo = read_photograph(path, frame)
        except UnreadableImage as error:
            print(f"warning: {path} is left out: {error}")
            continue
        read += 1
        yield photo
    if not read:
        raise UserError("none of the photographs can be read; give other files")


def output_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A file name for each photograph, numbered where two have the same."""
    names: dict[Path, str] = {}
    for path in paths:
        name, number = f"{path.stem}.png", 1
        while name in names.values() and path not in names:
            number += 1
            name = f"{path.stem}-{number}.png"
        names.setdefault(path, name)
    return names


def pair_name(paths: Sequence[Path]) -> str:
    """The file name of the picture of a pair."""
    return "-".join(path.stem for path in paths) + ".png"


def class_index(classes: Sequence[str], name: str) -> int:
    """Index of a class by name; the nearest names where there is none."""
    import difflib

    if name in classes:
        return classes.index(name)
    near = difflib.get_close_matches(name, classes, n=3, cutoff=0) or classes[:3]
    raise UserError(f"the run has no class {name!r}; the nearest are {', '.join(near)}")


if __name__ == "__main__":
    run_command(main, Settings)
