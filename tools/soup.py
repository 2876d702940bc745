"""Average the weights of several finished runs into one model.

    python tools/soup.py --run runs/dogs-0 runs/dogs-1 runs/dogs-2 --output runs/dogs-soup

The runs are trainings of one network on one data set from the same pretrained weights, which
differ in seed, learning rate, augmentation and the like. Fine-tuned from one start they often lie
in one valley, where the mean of their weights errs less than each of them, and answers in the time
of one (Wortsman et al. 2022, arXiv 2203.05482); the submission scripts' `--run A B C`, which
averages answers, takes the time of all.

    python tools/soup.py --run runs/dogs-0 runs/dogs-1 runs/dogs-2 --output runs/dogs-soup --greedy

puts in the best run on the validation images first, then each further one that does not raise the
error there. Heads should start from one point too: `--head-start zero`, or the same `--seed`.

The output is a run folder as a training makes it, with no stages to resume: submissions, measures,
report and export take it. A temperature of `tools/calibrate.py` is taken out of the runs first.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.quiet import load_keras

SOUP = "soup"


@dataclass
class Settings:
    """Average the weights of finished runs into a run of its own."""

    # folders of two or more finished runs
    run: tuple[Path, ...]
    # run folder to make
    output: Path
    # leave out runs that raise the error on the validation images
    greedy: bool = False
    # the runs' data set folder, if it has moved since
    data: Path | None = None
    # compute with OpenVINO where it is installed, the device is a CPU, and it pays
    openvino: bool = True

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--output", self.output, RUN)]

    def check(self) -> None:
        """Refuse what is wrong whatever the files hold, before Keras is loaded."""
        if len({folder.resolve() for folder in self.run}) < max(2, len(self.run)):
            raise UserError("--run takes two or more run folders, none of them twice")
        if self.output.resolve() in {folder.resolve() for folder in self.run}:
            raise UserError(f"--output {self.output} is one of the runs; name another folder")


def main(settings: Settings) -> None:
    settings.check()

    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.answer_images import answer_model, same_class_scores
    from finegrain.evaluation.evaluation_file import (
        About,
        measure_lines,
        write_answers,
    )
    from finegrain.evaluation.labelled_images import VALID, held_out_images, split_images
    from finegrain.merging.soup import check_one_network, greedy_soup, uniform_soup
    from finegrain.regular_file import file_digest
    from finegrain.runs.finished_run import open_finished_run
    from finegrain.runs.run_folder import MODEL, RunFolder, open_run_data, write_results

    runs = [open_finished_run(folder) for folder in settings.run]
    check_one_network(runs)
    data, frame = open_run_data(settings.run[0], settings.data), runs[0].frame

    def error_of(model) -> float:
        images = [split_images(data, VALID, runs[0].classes)]
        (answered,) = answer_model(model, images, frame, settings.openvino)
        return top1_error(answered)

    if not settings.greedy:
        soup = uniform_soup(runs)
    elif VALID in data.splits:
        soup = greedy_soup(runs, error_of)
    else:
        raise UserError(f"{data.folder} has no validation images to choose by; leave out --greedy")
    print(f"soup    {', '.join(str(run.folder) for run in soup.runs)}", flush=True)
    folder = RunFolder.start(settings.output, soup_config(settings, soup), runs[0].classes)
    folder.save_model(soup.model)
    images = held_out_images(data, runs[0].classes)
    answered = answer_model(soup.model, images, frame, settings.openvino)
    digest = file_digest(folder.path / MODEL)
    about = About(folder.path, SOUP, 1.0, digest, data.folder, data.digest)
    scores = same_class_scores(soup.model)
    evaluation = write_answers(folder.path, answered, runs[0].classes, scores, about)
    for line in measure_lines(evaluation):
        print(line)
    errors = {f"{one.images.split}_error": top1_error(one) for one in answered}
    stages = {SOUP: {**spent(settings.run), **errors}}
    write_results(folder, {"model_from": SOUP, "stages": stages})
    print(f"wrote   {folder.path}")


def top1_error(answered) -> float:
    """Share of `Answered` images whose most probable class is wrong."""
    return float((answered.answers.true_rank != 1).mean())


def soup_config(settings: Settings, soup):
    """The config of the first run, with what all share of their settings and what the soup is of.

    Beside the settings, since a training that was started in this folder is to be refused.
    """
    from finegrain.regular_file import file_digest
    from finegrain.runs.run_folder import MODEL, RunFolder

    configs = [RunFolder.open(folder).config.content for folder in settings.run]
    first, *others = (config["settings"] for config in configs)
    shared = {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }
    of = {str(run.folder): file_digest(run.folder / MODEL) for run in soup.runs}
    return {**configs[0], "settings": {**shared, SOUP: of}}


def spent(folders):
    """Epochs and seconds that all runs took, those left out as well."""
    from finegrain.runs.run_folder import RunFolder, read_results

    stages = [
        stage
        for folder in folders
        for stage in read_results(RunFolder.open(folder))["stages"].values()
    ]
    return {name: sum(stage[name] for stage in stages) for name in ("epochs", "seconds")}


if __name__ == "__main__":
    run_command(main, Settings)
