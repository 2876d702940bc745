"""Measure a finished run on labelled images.

    python tools/evaluate.py --run runs/dogs

looks again at the run's own validation and test images. The training scripts have done so at
their end; do it again after the model or these measures have changed.

    python tools/evaluate.py --run runs/dogs --images PHOTOS --output judged

measures it on other photographs whose class is known: a data set folder, or one that holds a
folder for each class, by name. Classes may be missing there.

Two files are written. predictions.csv has a row for each image: the true class and the place it
took among all, the predicted one with its probability, and the five most probable ones.
evaluation.json has the measures: accuracy of the first answer and of the first five, macro-F1, log
loss, calibration error; for pairs of images, how well the same-class head and the cosine
similarity of embeddings tell one class from two; for retrieval, how often an image most like this
one is of its class. Beside each stands what it could have been on other images of the same kind
(95 % bootstrap interval), and where one cannot be computed, the reason.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import load_keras, run_command
from finegrain.errors import UserError
from finegrain.outputs import RUN, Output, OutputFolder

PREDICTIONS, EVALUATION = "predictions.csv", "evaluation.json"


@dataclass
class Settings:
    """Measure a finished run on its held-out images, or on a folder of labelled ones."""

    # folder of a finished run
    run: Path
    # labelled images: a data set folder, or a folder that holds one for each class; by default
    # the validation and test images of the run's own data set
    images: Path | None = None
    # folder for predictions.csv and evaluation.json; by default the run's, for its own images
    output: Path | None = None
    # the run's data set folder, if it has moved since
    data: Path | None = None
    # compute with OpenVINO where it is installed, the device is a CPU, and it pays
    openvino: bool = True

    def outputs(self) -> list[Output]:
        """What is written."""
        own = self.output is None or self.output.absolute() == self.run.absolute()
        if self.images is None and own:
            return [OutputFolder("--run", self.run, RUN)]
        return [OutputFolder("--output", self.output or self.run, names=(PREDICTIONS, EVALUATION))]

    def check(self) -> None:
        """Refuse what is wrong whatever the files hold, before Keras is loaded."""
        if self.images is not None and self.output is None:
            raise UserError(
                "--images needs an --output folder: the run folder keeps the measures of the run's "
                "own images"
            )
        if self.images is not None and self.data is not None:
            raise UserError("--data is for the run's own images; leave it out beside --images")


def main(settings: Settings) -> None:
    settings.check()

    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.answer_images import answer_all, same_class_scores
    from finegrain.evaluation.evaluation_file import (
        About,
        file_digest,
        measure_lines,
        write_answers,
    )
    from finegrain.evaluation.labelled_images import held_out_images, labelled_folder
    from finegrain.evaluation.temperature import model_temperature
    from finegrain.runs.finished_run import open_finished_run
    from finegrain.runs.run_folder import MODEL, RunFolder, open_run_data, read_results

    run = open_finished_run(settings.run)
    if settings.images is None:
        data = open_run_data(settings.run, settings.data)
        folder, digest, images = data.folder, data.digest, held_out_images(data)
    else:
        folder, digest = settings.images, None
        images = labelled_folder(folder, run.classes)
    counts = ", ".join(f"{len(some.paths)} {some.split}" for some in images) or "none"
    print(f"images  {counts}, in {folder}", flush=True)
    model_from = read_results(RunFolder.open(settings.run))["model_from"]
    model_digest = file_digest(settings.run / MODEL)
    temperature = model_temperature(settings.run, model_digest)
    model = run.model()
    answered = answer_all(model, images, run.image_size, settings.openvino)
    about = About(settings.run, model_from, temperature, model_digest, folder, digest)
    output = settings.output or settings.run
    evaluation = write_answers(output, answered, run.classes, same_class_scores(model), about)
    for line in measure_lines(evaluation):
        print(line)
    print(f"wrote   {output / PREDICTIONS} and {output / EVALUATION}")


if __name__ == "__main__":
    run_command(main, Settings)
