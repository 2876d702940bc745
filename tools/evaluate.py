"""Measure a finished run on labelled images.

    python tools/evaluate.py --run runs/dogs

looks again at the run's own validation and test images. The training scripts have done so at
their end; do it again after the model or these measures have changed.

    python tools/evaluate.py --run runs/dogs --images PHOTOS --output judged

measures it on other photographs whose class is known: a data set folder, or one that holds a
folder for each class, by name. Classes may be missing there.

    python tools/evaluate.py --run A B C --flip --crops 5 --output judged

measures answers as the submission scripts can give them: the mean of several runs, of mirror
images, crops and scales. Choose among those by the validation images.

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

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.inference.answer_views import ViewFlags
from finegrain.outputs import RUN, Output, OutputFolder

PREDICTIONS, EVALUATION = "predictions.csv", "evaluation.json"


@dataclass
class Settings(ViewFlags):
    """Measure a finished run on its held-out images, or on a folder of labelled ones."""

    # folder of a finished run; several are averaged, on the images of the first: --run A B C
    run: tuple[Path, ...]
    # labelled images: a data set folder, or a folder that holds one for each class; by default
    # the validation and test images of the run's own data set
    images: Path | None = None
    # folder for predictions.csv and evaluation.json; by default the run's, for its own images
    output: Path | None = None
    # the run's data set folder, if it has moved since
    data: Path | None = None
    # compute with OpenVINO where it is installed, the device is a CPU, and it pays
    openvino: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the answers are those that the run folder keeps the measures of."""
        return self.views.is_plain and self.image_size is None and len(self.run) == 1

    def outputs(self) -> list[Output]:
        """What is written."""
        if not self.run:
            return []
        run, ours = self.run[0], self.images is None and self.is_plain
        # Without --output all else is refused, see `check`.
        if self.output is None or (ours and self.output.absolute() == run.absolute()):
            return [OutputFolder("--run", run, RUN)]
        return [OutputFolder("--output", self.output, names=(PREDICTIONS, EVALUATION))]

    def check(self) -> None:
        """Refuse what is wrong whatever the files hold, before Keras is loaded."""
        if not self.run:
            raise UserError("--run names no run folder; give one, or several to average them")
        self.check_views()
        if self.output is None and not self.is_plain:
            raise UserError(
                "--flip, --crops, --scales, --image-size and several runs need an --output folder: "
                "the run folder keeps the measures of one run's plain answers"
            )
        if self.images is not None and self.output is None:
            raise UserError(
                "--images needs an --output folder: the run folder keeps the measures of the run's "
                "own images"
            )
        if self.images is not None and self.data is not None:
            raise UserError("--data is for the run's own images; leave it out beside --images")


def main(settings: Settings) -> None:
    settings.check()

    from finegrain.evaluation.answer_images import answer_run, same_class_scores
    from finegrain.evaluation.averaged_runs import answer_averaged
    from finegrain.evaluation.evaluation_file import (
        About,
        measure_lines,
        write_answers,
    )
    from finegrain.evaluation.temperature import model_temperature
    from finegrain.regular_file import file_digest
    from finegrain.runs.finished_run import open_finished_run
    from finegrain.runs.run_folder import MODEL, RunFolder, read_results
    from finegrain.submission.class_probabilities import check_same_classes
    from finegrain.training.resized_run import resized_run

    runs = [resized_run(open_finished_run(path), settings.image_size) for path in settings.run]
    check_same_classes({str(run.folder): run.classes for run in runs})
    run, views = runs[0], settings.views
    looks = views, settings.image_size
    folder, digest, images = asked_for(settings, runs)
    counts = ", ".join(f"{len(some.paths)} {some.split}" for some in images) or "none"
    print(f"images  {counts}{views}, in {folder}", flush=True)
    if len(runs) > 1:
        names = ", ".join(str(run.folder) for run in runs)
        digests = " ".join(file_digest(run.folder / MODEL) for run in runs)
        about = About(names, None, 1.0, digests, folder, digest, *looks)
        answered, scores = answer_averaged(runs, images, views, settings.openvino), None
    else:
        model_from = read_results(RunFolder.open(run.folder))["model_from"]
        model_digest = file_digest(run.folder / MODEL)
        temperature = model_temperature(run.folder, model_digest)
        about = About(run.folder, model_from, temperature, model_digest, folder, digest, *looks)
        answered = answer_run(run, images, settings.openvino, views)
        scores = same_class_scores(run.model()) if run.compares_pairs else None
    output = settings.output or run.folder
    for line in measure_lines(write_answers(output, answered, run.classes, scores, about)):
        print(line)
    print(f"wrote   {output / PREDICTIONS} and {output / EVALUATION}")


def asked_for(settings: Settings, runs):
    """Folder, digest (None of what is no data set) and `LabelledImages` to judge the runs by."""
    from finegrain.evaluation.labelled_images import held_out_images, labelled_folder
    from finegrain.runs.run_folder import RunFolder, open_run_data

    run, *others = runs
    if settings.images is not None:
        return settings.images, None, labelled_folder(settings.images, run.classes)
    data = open_run_data(run.folder, settings.data)
    for other in others:
        if RunFolder.open(other.folder).config.data.digest != data.digest:
            raise UserError(
                f"{other.folder} and {run.folder} were trained on unlike data sets, so that one's "
                "held-out images may be the other's training images; give others with --images"
            )
    return data.folder, data.digest, held_out_images(data)


if __name__ == "__main__":
    run_command(main, Settings)
