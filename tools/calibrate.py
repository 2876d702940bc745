"""Make a finished run's probabilities mean what they say: temperature scaling.

    python tools/calibrate.py --run runs/dogs

Networks are mostly surer than they are right. One number T, fitted on the validation images,
divides what goes into the softmax (Guo et al. 2017, arXiv 1706.04599): which class is the most
probable one stays, how probable it is changes. The T is put into the weights of the model itself,
so whatever uses runs/dogs/model.keras from then on answers with it: submission scripts, report,
exports, demo page. `temperature.json` remembers it.

The calibration error and the log loss, before and after, are printed for the validation images and
for the test images. T was fitted on the former, so only the latter are a fair test of it.

    python tools/calibrate.py --run runs/dogs --undo

takes it out again. Training the run on with trick_tune.py begins from the stages, which have none.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Fit a temperature on a run's validation images and put it into its model."""

    # folder of a finished run
    run: Path
    # the run's data set folder, if it has moved since
    data: Path | None = None
    # take out the temperature that is in the model
    undo: bool = False
    # compute with OpenVINO where it is installed, the device is a CPU, and it pays
    openvino: bool = True

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--run", self.run, RUN)]


def main(settings: Settings) -> None:
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.calibrate_run import calibrate_run

    calibrate_run(settings.run, settings.data, settings.undo, settings.openvino)


if __name__ == "__main__":
    run_command(main, Settings)
