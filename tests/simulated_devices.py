"""Short trainings of a tiny network, in a process of its own whose CPU plays several devices.

    python tests/simulated_devices.py DATA OUTPUT multi-loss:1 multi-loss:4 softmax:2+4

Each last word is a training: what it learns, and on how many devices; with a `+` it ends in its
second epoch and goes on, on so many. Words behind further colons change it. It leaves
OUTPUT/<training>.npz with its weights and its history.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

DEVICES = 4
# 24 images make 7, 7, 7 and 3, and 8 of validation 7 and 1: nothing divides by 2 or 4.
BATCH, SIDE, EPOCHS = 7, 16, 3
# So many batches are inside it.
SECOND_EPOCH = 6
ON_DEVICE = "augmented"
CHANGES = {
    "frozen-norms": {"train_batch_norm": False},
    "mixed": {"mixup": 0.2, "ema": 0.9, "clip_norm": 1.0, "optimizer": "adamw"},
    # Its scale of 64 makes rounding grow fast at large rates.
    "slow": {"learning_rate": 5e-4},
    "seldom": {"long_tail": "balanced-softmax", "head_rate": 3.0, "interpolate": True},
}
MESSAGE = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate ..."


def environment(devices: int = DEVICES) -> dict[str, str]:
    """That of a process on JAX whose CPU plays so many devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    # Devices wait for one another in threads of XLA's pool, which has but one a core: with more
    # devices than cores they may wait for ever.
    threads = {"NPROC": "16"}
    return {**os.environ, **threads, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags.strip()}


def trained(data: Path, output: Path, *trainings: str) -> dict[str, dict[str, np.ndarray]]:
    """Training -> its weights, in their order, and columns of its history."""
    done = subprocess.run(
        [sys.executable, __file__, data, output, *trainings],
        capture_output=True,
        text=True,
        env={**environment(), "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    return {name: dict(np.load(output / f"{name}.npz")) for name in trainings}


def main(data: Path, output: Path, *trainings: str) -> None:
    import keras

    from finegrain.datasets.manifest import open_data_set
    from finegrain.frame import Frame
    from finegrain.images.augmentation import Augmentation
    from finegrain.models.backbone_table import find_backbone
    from finegrain.runs.stage_folder import StageFolder
    from finegrain.training.computing import set_up_computing
    from finegrain.training.feed import Feed
    from finegrain.training.objectives import find_objective
    from finegrain.training.stage import Stage
    from finegrain.training.train_stage import train_stage

    def new_model(objective):
        image = keras.Input((SIDE, SIDE, 3))
        features = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
        features = keras.layers.ReLU()(keras.layers.BatchNormalization()(features))
        backbone = keras.Model(image, features, name="backbone")
        return objective.model(backbone, find_backbone("mobilenet_v2"), 4, dropout=0.3, seed=2)

    for training in trainings:
        name, devices, *changes = training.split(":")
        objective = find_objective(name)
        settings = {
            "optimizer": "sgd",
            "learning_rate": 0.02,
            "augmentation": None,
            "train_batch_norm": True,
            # The weights of the last epoch, not of the best.
            "monitor": "last",
            "stop_patience": 0,
        }
        for change in changes:
            settings |= CHANGES.get(change, {})
        if ON_DEVICE in changes:
            settings["augmentation"] = Augmentation(brightness=0.2, erasing=0.5)
        feed = Feed(
            open_data_set(data),
            Frame(SIDE, SIDE),
            BATCH,
            seed=3,
            openvino=False,
            augment_on="device" if ON_DEVICE in changes else "cpu",
        )
        stage = Stage("2-unfrozen", 0, epochs=EPOCHS, **settings)
        *ending, last = map(int, devices.split("+"))
        for count in (*ending, last):
            jit = set_up_computing("float32", "auto", 1, devices=count).compilation.jit_compile
            model = new_model(objective)
            folder = StageFolder(output / training / "2-unfrozen", {})
            if count in ending:
                raise_once(Ended())
            if "memory" in changes:
                raise_once(RuntimeError(MESSAGE))
            with contextlib.suppress(Ended):
                train_stage(model, objective, stage, feed, folder, jit)
        columns = {
            column: np.array([row[column] for row in folder.history])
            for column in folder.history[0]
            if column != "seconds"
        }
        weights = {
            f"{number:02d} {variable.name}": keras.ops.convert_to_numpy(variable)
            for number, variable in enumerate(model.variables)
        }
        np.savez(output / f"{training}.npz", **weights, **columns)


class Ended(Exception):
    """Stands for a kill."""


def raise_once(error: Exception) -> None:
    """Let a training fail in the midst of its second epoch."""
    from finegrain.training.epoch_keeper import EpochKeeper

    batches, plain = [], EpochKeeper.on_train_batch_end

    def failing(self, batch, logs=None):
        batches.append(batch)
        if len(batches) == SECOND_EPOCH:
            EpochKeeper.on_train_batch_end = plain
            raise error
        plain(self, batch, logs)

    EpochKeeper.on_train_batch_end = failing


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), *sys.argv[3:])
