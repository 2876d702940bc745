"""The flags that every submission script has."""

from dataclasses import dataclass
from pathlib import Path

from finegrain.datasets.unlabelled_images import unlabelled_images
from finegrain.errors import UserError
from finegrain.flags import BatchSize
from finegrain.inference.answer_views import ViewFlags
from finegrain.inference.openvino_engine import AskedPrecision
from finegrain.outputs import Output, OutputFile
from finegrain.submission.submission import SubmissionFormat, read_sample_submission


@dataclass
class SubmissionSettings(ViewFlags):
    """Predict a folder of unlabelled images and write a submission."""

    # finished run; several are averaged: --run A B C
    run: tuple[Path, ...]
    # folder of the unlabelled test images, whose ids are their file names without suffix; or a
    # JSON that lists them with ids, such as test.json
    images: Path
    # submission file to write; an earlier one is replaced
    output: Path
    # baidu: `label<TAB>id`; kaggle-label: `id,label`; probabilities: `id,<class>,...`
    format: SubmissionFormat = "baidu"
    # the leaderboard's own sample, whose header, ids and order are kept
    sample_submission: Path | None = None
    # images a step
    batch_size: BatchSize = 32
    # on a CPU, compute with OpenVINO where it is installed and pays: faster by far
    openvino: bool = True
    # how precisely OpenVINO computes: auto takes int8 (with NNCF) or bfloat16 where very many
    # images wait and the run's validation images are answered as well as in float32
    inference: AskedPrecision = "auto"

    def outputs(self) -> list[Output]:
        """The submission."""
        return [OutputFile("--output", self.output)]

    def check(self) -> None:
        """Refuse what is wrong whatever the runs are, before seconds go by importing Keras."""
        if not self.run:
            raise UserError("--run names no run folder; give one, or several to average them")
        self.check_views()
        unlabelled_images(self.images)
        if self.sample_submission is not None:
            read_sample_submission(self.sample_submission)
