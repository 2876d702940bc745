"""The flags that every submission script has."""

from dataclasses import dataclass
from pathlib import Path

from finegrain.evaluation.submission_formats import SubmissionFormat


@dataclass
class SubmissionSettings:
    """Predict a folder of unlabelled images and write a submission."""

    # finished run; several are averaged: --run A B C
    run: tuple[Path, ...]
    # folder of the unlabelled test images; an image's id is its file name without suffix
    images: Path
    # submission file to write; an earlier one is replaced
    output: Path
    # baidu: `label<TAB>id`; kaggle-label: `id,label`; probabilities: `id,<class>,...`
    format: SubmissionFormat = "baidu"
    # the leaderboard's own sample, whose header, ids and order are kept
    sample_submission: Path | None = None
    # average each image with its mirror image: a little better, twice the time
    flip: bool = False
    # images a step
    batch_size: int = 32
