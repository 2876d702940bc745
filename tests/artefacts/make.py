"""Make the artefacts of one version of the project, which later ones must go on opening.

    git worktree add OLD COMMIT
    PYTHONPATH=OLD python tests/artefacts/make.py OLD /tmp/finegrain-artefacts

Everything is as the version's own commands write it, but for three things: Xception's channels
are cut to 8, since a megabyte a model is too much to keep; the network's picture is not drawn,
since that version cannot without Graphviz; and one training is killed after an epoch of its second
stage. The README beside this says which version made what is kept here.
"""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

UNFINISHED = "unfinished"
WIDTH = 0.01
WHOLE_SECOND = 1_700_000_000
TRAINING = (
    "--data data --backbone xception_small --weights tiny.weights.h5 --image-size 72 "
    "--batch-size 8 --frozen-epochs 2 --unfrozen-epochs 2 --frozen-learning-rate 0.05 "
    "--unfrozen-learning-rate 0.01 --views 2 --no-openvino --precision float32"
).split()


def main(version: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    draw_photographs(folder / "photos")
    call(
        version,
        "img2keras.py",
        *(
            "--source photos --output data --link copy --valid-fraction 0.25 "
            "--test-fraction 0.2 --statistics"
        ).split(),
    )
    Path("unlabelled").mkdir()
    for number, photo in enumerate(sorted(Path("data/test").glob("*/*"))):
        shutil.copy2(photo, f"unlabelled/{number}.jpg")

    make_networks_tiny()
    write_weights(folder / "tiny.weights.h5")
    call(version, "single_model.py", "--run", "runs/softmax", *TRAINING)
    call(version, "froze_fine_tune.py", "--run", "runs/multi", *TRAINING)
    call(version, "trick_tune.py", "--run", "runs/multi", "--epochs", "1", "--no-openvino")
    killed = subprocess.run([sys.executable, __file__, str(version), str(folder), UNFINISHED])
    assert killed.returncode == -signal.SIGKILL

    call(version, "tools/calibrate.py", "--run", "runs/softmax", "--no-openvino")
    for run, script in (("softmax", "single_model_test.py"), ("multi", "baidu_dog_test.py")):
        call(
            version,
            script,
            "--run",
            f"runs/{run}",
            *"--images unlabelled --no-openvino --format probabilities --output".split(),
            f"expected/{run}.csv",
        )
        call(version, "tools/evaluate.py", "--run", f"runs/{run}", "--no-openvino")
    call(
        version,
        "tools/evaluate.py",
        *"--run runs/multi --images data --output judged --no-openvino".split(),
    )
    call(
        version,
        "recipes/export_features.py",
        *(
            "--data data --backbones runs/softmax,runs/multi --images unlabelled "
            "--output features --layout gap --no-openvino"
        ).split(),
    )
    call(
        version,
        "recipes/merge_features.py",
        *(
            "--features features/softmax.h5 features/multi.h5 --classifier "
            "logistic --output expected/merged.csv --format probabilities --scores "
            "expected/scores.json"
        ).split(),
    )
    shutil.rmtree("photos")


def leave_unfinished(version: Path, folder: Path) -> None:
    """The training of `runs/multi` again, as far as the first epoch of its second stage."""
    os.chdir(folder)
    make_networks_tiny()
    kill_after_epoch("2-unfrozen", 1)
    call(version, "froze_fine_tune.py", "--run", "runs/unfinished", *TRAINING)


def draw_photographs(folder: Path) -> None:
    """Three breeds, small; times of whole seconds, as an archive keeps them."""
    from PIL import Image

    from finegrain.drawn.breed import demo_breeds
    from finegrain.drawn.collection import write_photos

    write_photos(folder, demo_breeds()[:3], per_class=12, seed=1)
    for photo in folder.iterdir():
        with Image.open(photo) as image:
            small = image.resize((72, 72))
        small.save(photo, quality=60)
        os.utime(photo, (WHOLE_SECOND, WHOLE_SECOND))


def make_networks_tiny() -> None:
    """Cut the channels of the network, and leave its picture out."""
    import finegrain.evaluation.close_stage
    from finegrain.models.networks import XceptionSmall

    XceptionSmall.__defaults__ = (WIDTH, *XceptionSmall.__defaults__[1:])
    finegrain.evaluation.close_stage.draw_model = lambda model, path: None


def write_weights(file: Path) -> None:
    """Random weights, normalised over the photographs, so that answers depend on these."""
    import keras
    import numpy as np
    from PIL import Image

    from finegrain.models.networks import XceptionSmall

    keras.utils.set_random_seed(1)
    network = XceptionSmall()
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    photographs = [np.asarray(Image.open(photo)) for photo in sorted(Path("photos").iterdir())]
    network(np.stack(photographs) / 127.5 - 1, training=True)
    network.save_weights(file)


def kill_after_epoch(stage: str, epoch: int) -> None:
    """Let this process end, as by a power cut, when an epoch has been saved."""
    from finegrain.runs.stage_folder import StageFolder

    save = StageFolder.save_epoch

    def save_and_die(self, *arguments):
        save(self, *arguments)
        if (self.path.name, self.epochs) == (stage, epoch):
            os.kill(os.getpid(), signal.SIGKILL)

    StageFolder.save_epoch = save_and_die


def call(version: Path, script: str, *arguments) -> None:
    """Run a command of that version in this process."""
    sys.argv = [script, *map(str, arguments)]
    print("+", *sys.argv, flush=True)
    runpy.run_path(str(version / script), run_name="__main__")


if __name__ == "__main__":
    steps = leave_unfinished if sys.argv[3:] == [UNFINISHED] else main
    steps(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
