"""What a step costs on several devices together: seconds, and memory of each device.

    python benchmarks/several_devices.py --devices 1 2 4
    python benchmarks/several_devices.py --devices 1 2 4 --backbone xception --image-size 299 \\
        --batch-size 128 --unfreeze-from 105

Trains the multi-loss model on noise, partners across devices included, on Keras's JAX backend. On
a machine with so many GPUs or TPUs the seconds tell how training scales. Elsewhere the CPU plays
the devices, all on the same cores: then there is nothing to gain, and the seconds tell what dealing
out, adding up and the exchange of embeddings cost, those of all cores together even where other
work keeps these busy. The memory is what XLA plans for the arrays of a
step's gradients on one device, beside weights and batch; it shows that each computes a part only.
"""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finegrain.command import run_command
from finegrain.flags import BatchSize, Count, Devices, ImageSize
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    import keras


@dataclass
class Settings:
    """Print a Markdown table of steps on several devices."""

    # numbers of devices, one row each
    devices: tuple[Devices, ...] = (1, 2, 4)
    backbone: str = "mobilenet_v2_0.35"
    image_size: ImageSize = 96
    batch_size: BatchSize = 32
    # first backbone layer that learns, a name or an index
    unfreeze_from: str = "0"
    classes: Count = 100
    # that are measured, after two that compile
    steps: Count = 20


def main(settings: Settings) -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    most = max(1, *settings.devices)
    played = f"--xla_force_host_platform_device_count={most}"
    # The devices wait for one another in threads of XLA's pool, which has but one a core.
    os.environ.setdefault("NPROC", str(4 * most))
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {played}".strip()
    load_keras()
    import keras

    from finegrain.training.computing import set_up_computing

    print("| devices | seconds a step | of all cores together | a device's memory of a step |")
    print("|---|---|---|---|")
    kind = ""
    for asked in settings.devices:
        count = set_up_computing("float32", "auto", 0, devices=asked).devices
        kind = keras.distribution.list_devices()[0].partition(":")[0]
        seconds, of_cores, held = measured(settings)
        row = (str(count), f"{seconds:.2f}", f"{of_cores:.2f}", f"{held / 1e6:,.0f} MB")
        print(f"| {' | '.join(row)} |", flush=True)
    if kind == "cpu":
        print(f"\nThe devices are played by {os.cpu_count()} cores: overheads only, no scaling.")


def measured(settings: Settings) -> tuple[float, float, int]:
    """Seconds a step, also of all cores, means; and bytes of its gradients' arrays on a device."""
    import keras

    from finegrain.models.backbone import build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.several_devices import spread
    from finegrain.training.objectives import find_objective
    from finegrain.training.stage import Stage
    from finegrain.training.train_stage import prepare_stage

    objective, spec = find_objective("multi-loss"), find_backbone(settings.backbone)
    side = settings.image_size
    model = objective.model(build_backbone(spec, "none", (side, side)), spec, settings.classes)
    stage = Stage("stage", settings.unfreeze_from, "sgd", 1e-4, epochs=1)
    prepare_stage(model, objective, stage, settings.steps, "auto")
    learner = spread(model)
    if learner is not model:
        learner.compile(optimizer=model.optimizer, **objective.compile_arguments(stage))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (settings.batch_size, side, side, 3), dtype=np.uint8)
    targets = np.eye(settings.classes, dtype="float32")[
        rng.integers(settings.classes, size=settings.batch_size)
    ]
    batch = objective.batch(images, targets, stage, seed=0, number=1)
    held = step_bytes(learner, *batch)
    stopwatch = Stopwatch()

    def batches():
        while True:
            yield batch

    for steps in (2, settings.steps):
        learner.fit(
            batches(),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[stopwatch.callback(keras)],
        )
    return stopwatch.seconds / settings.steps, stopwatch.of_cores / settings.steps, held


class Stopwatch:
    """Times the steps of an epoch, without what `fit` does before and after."""

    def __init__(self) -> None:
        self.seconds = self.of_cores = 0.0

    def callback(self, keras: Any) -> Any:
        """For one call of `fit`."""
        started = []

        def start(epoch: int, logs: Any) -> None:
            started[:] = time.perf_counter(), time.process_time()

        def stop(epoch: int, logs: Any) -> None:
            self.seconds = time.perf_counter() - started[0]
            self.of_cores = time.process_time() - started[1]

        return keras.callbacks.LambdaCallback(on_epoch_begin=start, on_epoch_end=stop)


def step_bytes(model: "keras.Model", inputs: Any, targets: Any) -> int:
    """What XLA plans for the arrays between a batch and the gradients of its loss, on a device."""
    import jax
    import keras

    def loss(learning: Any, others: Any, seen: Any) -> Any:
        answers, others = model.stateless_call(learning, others, seen, training=True)
        losses = [
            keras.losses.categorical_crossentropy(targets[name], answers[name], from_logits=True)
            for name in targets
        ]
        return sum(map(keras.ops.mean, losses)), others

    placed = inputs
    distribution = keras.distribution.distribution()
    if distribution is not None:
        placed = keras.tree.map_structure(
            lambda array: keras.distribution.distribute_tensor(
                array, distribution.get_data_layout(array.shape)
            ),
            inputs,
        )
    values = [
        [each.value for each in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    step = jax.jit(jax.grad(loss, has_aux=True)).lower(*values, placed).compile()
    return int(step.memory_analysis().temp_size_in_bytes)


if __name__ == "__main__":
    run_command(main, Settings)
