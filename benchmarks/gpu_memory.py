"""Memory to expect at a batch size, computed from the layers' shapes, and measured.

    python benchmarks/gpu_memory.py --backbone xception
    python benchmarks/gpu_memory.py --birds
    python benchmarks/gpu_memory.py --birds --measure

The second prints the models of recipes/bird_fine_tune.py at their true size, with the largest
batch that fits `--memory-gb`. With `--measure` each step is also taken twice, on the CPU, by a
process of its own, whose peak stands behind the estimate; batches of models that all learn then
need as much memory, and minutes.

Counts float32 weights, gradients, the optimizer's moments and the numbers of its largest update;
what the backward pass needs of the layers that learn, and the largest neighbouring pair of
gradients beside it; and what a process or a GPU's libraries take before the first weight. See
`finegrain.models.step_memory`. On a GPU nothing was measured: cuDNN chooses its workspace by what
is free. A batch that does not fit there is trained in parts.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from side_by_side.commands import command

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import BatchSize, Count, Gigabytes, ImageSize
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    from finegrain.models.step_memory import StepMemory

BATCHES, BIRDS_BATCHES = (8, 16, 32, 64), (32,)


@dataclass
class Settings:
    """Print a table of memory a batch size and stage."""

    # a backbone of the table, with a softmax of 200 classes
    backbone: str = "xception"
    # side of the input in pixels; by default the model's own
    image_size: ImageSize | None = None
    # by default 8, 16, 32 and 64, of the bird models 32
    batch_sizes: tuple[BatchSize, ...] = ()
    # the seven bird models instead
    birds: bool = False
    # take the steps, too
    measure: bool = False
    # of the device, for the largest batch
    memory_gb: Gigabytes = 6.0
    classes: Count = 200


class Step(NamedTuple):
    """What learns, and by which optimizer: flags of `step_peak.py`."""

    unfreeze_from: str
    optimizer: str
    train_batch_norm: bool = False


def main(settings: Settings) -> None:
    load_keras()
    rows = bird_rows(settings) if settings.birds else backbone_rows(settings)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def backbone_rows(settings: Settings) -> Iterator[list[str]]:
    """A row a stage, a column a batch size."""
    from side_by_side.step_peak import build

    from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
    from finegrain.models.backbone_table import find_backbone

    spec, batches = find_backbone(settings.backbone), settings.batch_sizes or BATCHES
    model = build(spec.name, settings.image_size, settings.classes)
    last = str(boundary_index(model.get_layer(BACKBONE_LAYER), spec.unfreeze_from))
    side = model.input.shape[1]
    yield [f"{spec.name} at {side}", *(f"batch {batch}" for batch in batches)]
    yield ["---"] * (1 + len(batches))
    for name, step in {
        "stage 1, frozen": Step("none", "adam"),
        "stages 2 and 3, last blocks, SGD": Step(last, "sgd"),
        "the same, AdamW": Step(last, "adamw"),
        "all layers, Adam": Step("0", "adam"),
        "all layers, BatchNormalization too": Step("0", "adam", True),
    }.items():
        memory = memory_of(model, step)
        yield [name, *(cell(settings, spec.name, memory, step, batch) for batch in batches)]


def bird_rows(settings: Settings) -> Iterator[list[str]]:
    """A row a model: its size, both parts, and the largest batch of the second."""
    import keras
    from side_by_side.step_peak import build

    from finegrain.models.backbone import BACKBONE_LAYER
    from finegrain.models.bird_models import bird_models

    batches = settings.batch_sizes or BIRDS_BATCHES
    parts = {
        "part 1": Step("none", "adam"),
        "part 2": Step("0", "adam"),
        "part 2, `--recipe original`": Step("0", "adam", True),
    }
    yield [
        *("model", "input", "parameters", "of the head"),
        *(f"{part}, batch {batch}" for part in parts for batch in batches),
        f"largest batch of part 2 in {settings.memory_gb:g} GB",
    ]
    yield ["---"] * (5 + len(parts) * len(batches))
    for name in bird_models():
        keras.backend.clear_session()
        model = build(name, settings.image_size, settings.classes)
        total, below = model.count_params(), model.get_layer(BACKBONE_LAYER).count_params()
        memories = {step: memory_of(model, step) for step in parts.values()}
        most = memories[parts["part 2"]].largest_batch(settings.memory_gb * 1e9)
        yield [
            *(f"`{name}`", str(model.input.shape[1]), f"{total:,}", f"{total - below:,}"),
            *(
                cell(settings, name, memory, step, batch)
                for step, memory in memories.items()
                for batch in batches
            ),
            str(most or "none"),
        ]


def memory_of(model, step: Step) -> "StepMemory":
    """What a step takes, computed."""
    from finegrain.models.step_memory import step_memory
    from finegrain.training.training_fits import first_trained

    first = first_trained(model, None if step.unfreeze_from == "none" else step.unfreeze_from)
    return step_memory(model, first, step.optimizer, train_batch_norm=step.train_batch_norm)


def cell(settings: Settings, model: str, memory: "StepMemory", step: Step, batch: int) -> str:
    """What is computed, and what was measured if that is wanted."""
    said = gigabytes(memory.at(batch))
    if not settings.measure:
        return said
    words = command(
        str(Path(__file__).parent / "side_by_side" / "step_peak.py"),
        model=model,
        image_size=settings.image_size,
        batch_size=batch,
        classes=settings.classes,
        **step._asdict(),
    )
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise UserError(f"{model} at a batch of {batch} took no step: {last}")
    return f"{said}, {gigabytes(json.loads(done.stdout.splitlines()[-1])['peak'])} measured"


def gigabytes(need: float) -> str:
    return f"{need / 1e9:.1f} GB"


if __name__ == "__main__":
    run_command(main, Settings)
