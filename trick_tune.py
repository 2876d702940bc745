"""Step 5: stage 3, retrain without augmentation.

    python trick_tune.py --run runs/dogs

Augmentation makes a model robust, but it trains on rotated, sheared and zoomed photographs and is
judged on straight ones. The trick is to go on for some epochs on the photographs as they are, with
a rate so small that what was learnt stays. Everything else is as in stage 2 of the run: the same
images, losses, pairs and layers. Training goes on until the validation loss no longer falls, as the
source describes it; its code stopped after 10 epochs at the latest, and so does a run by
`--recipe as-first-coded`.

Works on a run of `froze_fine_tune.py`, `single_model.py` or `recipes/bird_fine_tune.py`; afterwards
the run's model.keras is the retrained one. On 100 dog breeds the source, keras-dogs
(https://github.com/ahangchen/keras-dogs), reports that it takes the multi-loss model from a top-1
error of 0.211 to 0.2045. What we measured stands in the README.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from finegrain.command import run_command
from finegrain.flags import Devices, Epochs, Gigabytes, LearningRate, Patience, Threads
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.quiet import load_keras
from finegrain.read_ahead import default_workers

RETRAINED = "3-retrained"
# The validation loss has risen long before.
MOST_EPOCHS = 1000
CODED_EPOCHS = 10


@dataclass
class Settings:
    """Retrain a run without augmentation (stage 3).

    The same command, started again, goes on after the last finished epoch.
    """

    # folder of a finished run of froze_fine_tune.py or single_model.py
    run: Path
    # the run's data set folder, if it has moved since
    data: Path | None = None
    # at most so many epochs; by default as long as the validation loss falls, of a run by
    # --recipe as-first-coded 10
    epochs: Epochs | None = None
    # learning rate of SGD
    learning_rate: LearningRate = 1e-5
    # lower the learning rate tenfold after so many epochs without a better validation loss;
    # 0 never does
    reduce_patience: Patience = 3
    # end after so many epochs without a better validation loss; 0 never does
    stop_patience: Patience = 3
    # folder of what is computed once and stored; by default `cache` beside the run folder
    cache: Path | None = None
    # all stores together take at most so many gigabytes; 0 stores nothing
    cache_gb: Gigabytes = 10.0
    # memory of each device that trains: a stage that is likely to take more gigabytes is told of
    memory_gb: Gigabytes = 6.0
    # compute what stands still with OpenVINO where it is installed and the device is a CPU
    openvino: bool = True
    # train on so many GPUs or TPUs of this machine together, on Keras's JAX backend; 0 takes all
    devices: Devices = 1
    # threads that read images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--run", self.run, RUN)]


def main(settings: Settings) -> None:
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.close_stage import close_stage
    from finegrain.runs.run_folder import RunFolder
    from finegrain.training.baseline import measure_baseline
    from finegrain.training.budget import print_budget
    from finegrain.training.session import cache_beside, reopen_session
    from finegrain.training.stage_settings import FINAL

    session = reopen_session(
        RunFolder.open(settings.run),
        settings.workers,
        settings.data,
        settings.memory_gb,
        settings.devices,
        cache=settings.cache or cache_beside(settings.run),
        cache_gb=settings.cache_gb,
        openvino=settings.openvino,
    )
    unfrozen = session.load_finished("2-unfrozen")
    begun = session.begun(RETRAINED)
    most = CODED_EPOCHS if session.run.config.defaults == "as-first-coded" else MOST_EPOCHS
    epochs = settings.epochs or (begun.epochs if begun else most)
    if (settings.run / FINAL).exists():
        # Go on from the heads that have been tuned to larger pictures.
        session.load_finished(FINAL)
    retrained = replace(
        unfrozen,
        name=RETRAINED,
        augmentation=None,
        mixup=0.0,
        cutmix=0.0,
        schedule="plateau",
        optimizer="sgd",
        interpolate=False,
        learning_rate=settings.learning_rate,
        epochs=epochs,
        reduce_patience=settings.reduce_patience,
        stop_patience=settings.stop_patience,
    )
    print_budget(session, [retrained])
    measure_baseline(session)
    session.train(retrained)
    close_stage(session, retrained, is_final=True)


if __name__ == "__main__":
    run_command(main, Settings)
