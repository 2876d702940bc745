"""Merged embeddings, step 2: one small classifier on the embeddings of several backbones.

    python recipes/merge_features.py --features features/*.h5 \
        --sample-submission sample_submission.csv --output pred.csv

The files come from `export_features.py`; the shards of a backbone are read as one file. Files are
joined by the path of each photograph, never by position, and one that lacks photographs or has
others is refused. Files as people share them (`train`, `test`, `label`; or `train_x`,
`train_label`, `valid_x`, `valid_label`, `test`) know no paths and are joined by place: all must be
of one order, and `--test-folder` or the sample submission says which images the rows of `test`
are. What trains is one layer:

    dense      Dropout 0.5 and Dense, a sigmoid for two classes and a softmax for more, by Adadelta
               in batches of 128 for 8 epochs, of which the best is kept: the recipe of dogs
               against cats. A small data set is seen more often.
    logistic   scikit-learn's logistic regression, C chosen on the validation photographs: usually
               the better one on frozen embeddings.

    python recipes/merge_features.py --features features/*.h5 --classifier logistic \
        --normalise standardise

Without `--output` it only compares: the table tells the log loss and the top-1 error on the
validation photographs of all backbones merged, of each alone, and of all without each, so it
shows what each adds. The validation is the data set's own, or a fraction of the photographs drawn
with `--valid-fraction` (copies of one photograph stay on one side). The numbers flatter a little:
epoch or C were chosen on the same photographs. Where the data set has labelled test images, which
no choice was made on, their scores stand beside.

The log loss punishes a sure answer that is wrong without bound, so probabilities are clipped to
[0.005, 0.995]; `--calibrate-clip` takes the clip that is best on the validation photographs.
Embeddings that do not fit `--memory-gb` are streamed from disk in shuffled blocks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError, by_product
from finegrain.flags import (
    BatchSize,
    Epochs,
    Gigabytes,
    LearningRate,
    ProperShare,
    Seed,
    Share,
    Suffixes,
    values_by_name,
)
from finegrain.outputs import Output, OutputFile
from finegrain.quiet import load_keras
from finegrain.submission.submission import (
    SubmissionFormat,
    check_output,
    check_sample_fits,
    read_sample_submission,
    write_submission,
)

GIGABYTE = 1e9
MODES = ("none", "standardise", "l2")


@dataclass
class Settings:
    """Train a classifier on merged embeddings, compare the backbones, write a submission."""

    # files made by export_features.py, one a backbone or all its shards; or as people share them,
    # with train, label and test, or with train_x, train_label, valid_x, valid_label and test
    features: tuple[Path, ...]
    # original: 8 epochs, of which the last is kept, validated on the last 20 % of the rows after a
    # shuffle with the seed 2017. It sets the flags below that are not given
    recipe: Literal["ours", "original"] = "ours"
    # shared files name no photographs: the folder whose images are the rows of test, in the order
    # of their names as text; by default the sample submission's ids are, in its order
    test_folder: Path | None = None
    # submission file to write, an earlier one is replaced; without it nothing is predicted
    output: Path | None = None
    # the leaderboard's own sample, whose header, ids and order are kept
    sample_submission: Path | None = None
    # baidu: `label<TAB>id`; kaggle-label: `id,label`; probabilities: `id,<class>,...`; by default
    # kaggle-label, or probabilities where the sample has a column a class
    format: SubmissionFormat | None = None
    # folders of images to predict, by their names in the files; by default all without labels
    predict: tuple[str, ...] = ()
    # what learns
    classifier: Literal["dense", "logistic"] = "dense"
    # of each backbone's embeddings: none, standardise (mean 0, deviation 1) or l2 (length 1);
    # NAME=HOW for one backbone
    normalise: tuple[str, ...] = ("none",)
    # share of each class's photographs that judge; by default the data set's validation split
    valid_fraction: ProperShare | None = None
    # by-class draws that share of each class; last takes the last rows after a shuffle of all
    valid_draw: Literal["by-class", "last"] = "by-class"
    # dense: optimizer
    optimizer: Literal["adadelta", "adam"] = "adadelta"
    # dense: by default 1 for Adadelta and 0.001 for Adam
    learning_rate: LearningRate | None = None
    # dense: epochs; by default 8, on small data sets more, at most 250
    epochs: Epochs | None = None
    # dense: keep the weights of the best epoch on the validation, or of the last
    keep: Literal["best", "last"] = "best"
    # dense: photographs a batch
    batch_size: BatchSize = 128
    # dense: share of the merged embedding dropped
    dropout: Share = 0.5
    # logistic: values of C, the inverse of the regularisation, to choose from
    c: tuple[Annotated[float, Interval(gt=0, le=1_000_000_000)], ...] = (
        1e-4,
        1e-3,
        1e-2,
        0.1,
        1.0,
        10.0,
        100.0,
    )
    # of the drawn validation, order, dropout and first weights
    seed: Seed = 2017
    # probabilities are kept this far from 0 and 1
    clip: Annotated[float, Interval(ge=0, lt=0.5)] = 0.005
    # take the clip with the smallest log loss on the validation photographs
    calibrate_clip: bool = False
    # compare with each backbone alone, and with all but each
    leave_one_out: bool = True
    # write the scores of the comparison to this JSON file
    scores: Path | None = None
    # draw the merged model to this .png, .svg or .pdf, where Graphviz is installed
    plot: Annotated[Path, Suffixes(".png", ".svg", ".pdf")] | None = None
    # more gigabytes of embeddings than these are streamed from disk
    memory_gb: Gigabytes = 2.0

    @classmethod
    def recipes(cls) -> dict[str, dict[str, Any]]:
        """What `--recipe` sets of the flags that are not given."""
        original = {"valid_fraction": 0.2, "valid_draw": "last", "epochs": 8, "keep": "last"}
        return {"ours": {}, "original": original}

    def outputs(self) -> list[Output]:
        """What is written."""
        return [
            OutputFile("--output", self.output),
            OutputFile("--scores", self.scores, replaces=("", ".json"), told_by=b'"chosen"'),
            OutputFile("--plot", self.plot, is_picture=True),
        ]

    def check(self) -> None:
        """Refuse what is wrong whatever the files hold, before Keras is loaded."""
        if not self.features:
            raise UserError("--features names no file; give those of export_features.py")
        if not self.c:
            raise UserError("--c names no value to choose from; give one or several")
        if self.sample_submission is not None and self.output is None:
            raise UserError("--sample-submission needs an --output to write")
        if self.output is not None:
            check_output(self.output)


def main(settings: Settings) -> None:
    settings.check()
    sample = None
    if settings.sample_submission is not None:
        sample = read_sample_submission(settings.sample_submission)
    form = settings.format
    if form is None:
        form = "probabilities" if sample and len(sample.header) > 2 else "kaggle-label"

    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.embeddings.feature_shards import open_all_features
    from finegrain.evaluation.metrics import calibrated_clip
    from finegrain.evaluation.pictures import draw_model
    from finegrain.merging.comparison import compare, write_scores
    from finegrain.merging.joined import join_features
    from finegrain.merging.split import split_rows
    from finegrain.merging.submission import answers_table, check_sample, wanted_images
    from finegrain.merging.training import MergedTraining, branches

    named = test_ids(settings, sample)
    files = open_all_features(settings.features, named)
    check_named(settings, files)
    joined = join_features(files)
    names = list(joined.files)
    normalise = values_by_name("--normalise", settings.normalise, names, "none")
    if not set(normalise.values()) <= set(MODES):
        raise UserError(f"--normalise takes {', '.join(MODES)}, or NAME=HOW for one backbone")
    wanted = None
    if settings.output is not None:
        check_sample_fits(form, sample, joined.category_ids or joined.classes)
        wanted = wanted_images(joined, settings.predict)
        if sample is not None:
            check_sample(wanted, sample)
    split = split_rows(
        joined,
        settings.valid_fraction,
        settings.seed,
        settings.memory_gb * GIGABYTE,
        settings.valid_draw,
    )
    tell(joined, split)
    training = MergedTraining(
        settings.classifier,
        settings.optimizer,
        settings.learning_rate,
        settings.epochs,
        settings.batch_size,
        settings.dropout,
        settings.c,
        settings.seed,
        settings.keep,
    )
    compared = compare(split, branches(split.train, normalise), training, settings.leave_one_out)
    merged = compared[0].merged
    clip = settings.clip
    if settings.calibrate_clip:
        clip, loss = calibrated_clip(merged.valid.probabilities, merged.valid.labels)
        print(f"clip calibrated on the validation: {clip:g}, log loss {loss:.4f}")
    report(compared[0], joined.classes, clip)
    if wanted is not None:
        table = answers_table(merged, joined, wanted, split.prior(), clip)
        ids = joined.category_ids is not None
        bounds = None if ids else (clip, 1 - clip)
        count = write_submission(table, settings.output, form, sample, bounds)
        print(f"wrote {count} rows to {settings.output} in the format {form}")
        if form == "kaggle-label" and len(joined.classes) == 2 and not ids:
            print(f"the label is the probability of {joined.classes[1]}")
    if settings.plot is not None:
        with by_product(f"--plot {settings.plot}"):
            draw_model(merged.model, settings.plot)
            print(f"the model is drawn in {settings.plot}")
    if settings.scores is not None:
        write_scores(settings.scores, compared, clip)


def test_ids(settings: Settings, sample) -> list[str] | None:
    """What the rows of `test` in shared files are, in their order; None where nobody says."""
    from finegrain.datasets.unlabelled_images import unlabelled_images

    if settings.test_folder is not None:
        images = unlabelled_images(settings.test_folder, flag="--test-folder")
        # As `flow_from_directory` reads a folder: 10.jpg before 2.jpg.
        return [
            image_id for image_id, path in sorted(images.items(), key=lambda each: each[1].name)
        ]
    return None if sample is None else list(sample.ids)


def check_named(settings: Settings, files) -> None:
    """Refuse a submission of test images that nobody names, and names that are of no use."""
    from finegrain.embeddings.shared_file import SharedFile

    shared = [file for file in files if isinstance(file, SharedFile)]
    if settings.test_folder is not None and not shared:
        raise UserError(
            "--test-folder names the rows of shared files, and these files of export_features.py "
            "name their own; leave it out"
        )
    for file in shared if settings.output is not None else ():
        if not file.knows_test:
            raise UserError(
                f"{file.path} does not say which test images its rows are; give --test-folder with "
                "these images, or the --sample-submission whose ids stand in their order"
            )


def tell(joined, split) -> None:
    """What was read."""
    for name, file in joined.files.items():
        print(f"{name}: {file.width} numbers a photograph, {file.backbone}, {file.path}")
    where = "in memory" if split.train.in_memory else "streamed from disk"
    print(
        f"{len(joined.classes)} classes; {len(split.train)} rows train, {where}; "
        f"{len(split.valid)} rows judge: {split.described}",
        flush=True,
    )


def report(compared, classes: list[str], clip: float) -> None:
    """Scores and confusion table of the merged classifier."""
    from finegrain.merging.answers import confusion_lines, score_line

    valid = compared.merged.valid
    print("\n".join(confusion_lines(valid, classes)) + "\n")
    print(f"validation  {score_line(valid, clip)}")
    if compared.test is not None:
        print(f"test        {score_line(compared.test, clip)}")


if __name__ == "__main__":
    run_command(main, Settings)
