"""The table that people choose a backbone by: what each costs on this machine.

    python benchmarks/backbone_table.py --output runs/backbones

For every backbone with a row of its own: side of its input, parameters, numbers of an embedding;
images a second forward, as stores are filled and submissions answered, through Keras and through
OpenVINO in two precisions; images a second of training the last blocks from stored activations, as
each epoch of `--recipe modern` does; and the memory that a step of stage 2 takes on a GPU, which is
computed. Fresh weights do: a multiplication takes as long whatever it multiplies. Of several
batches the median counts.

Stopped, the same command goes on after the last finished row; `--only` measures some.
"""

import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side.table import digits

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import BatchSize, Count
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole

if TYPE_CHECKING:
    import keras

CLASSES = 50
# Columns of the table, where an engine is there.
FORWARD = ("Keras", "float32", "bfloat16")
HEADER = (
    "| backbone | input | parameters | embedding | forward: Keras | float32 | bfloat16 "
    "| training | memory |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class Settings:
    """Measure what the backbones cost."""

    # folder for a file a backbone, and the table
    output: Path
    # only backbones of these names; by default all
    only: tuple[str, ...] = ()
    # images a batch
    batch_size: BatchSize = 32
    # timed batches of each kind
    batches: Count = 5


def main(settings: Settings) -> None:
    load_keras()
    from finegrain.models.backbone_table import find_backbone, listed_backbones

    names = [find_backbone(name).name for name in settings.only] or list(listed_backbones())
    rows = {}
    for name in names:
        file = settings.output / f"{name}.json"
        if not file.is_file():
            row = json.dumps(measured(name, settings.batch_size, settings.batches), indent=1)
            with written_whole(file) as beside:
                beside.write_text(row, encoding="utf-8")
        try:
            rows[name] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{file} is damaged ({error}); remove it") from error
        print(line(name, rows[name]), flush=True)
    fastest_first = sorted(rows, key=lambda name: -max(rows[name]["forward"].values()))
    table = "\n".join([machine(), "", HEADER, *(line(name, rows[name]) for name in fastest_first)])
    with written_whole(settings.output / "table.md") as beside:
        beside.write_text(f"{table}\n", encoding="utf-8")
    print(f"\n{table}")


def measured(name: str, batch: int, batches: int) -> dict:
    """What a backbone costs, as JSON values."""
    import keras
    import numpy as np

    from finegrain.models.backbone import BACKBONE_LAYER, build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.classifier import embedder, softmax_model
    from finegrain.models.step_memory import step_memory
    from finegrain.training.training_fits import first_trained

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    spec = find_backbone(name)
    side = spec.image_size
    backbone = build_backbone(spec, "none", (side, side))
    model = softmax_model(backbone, spec, CLASSES, activation=None)
    images = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
    first = first_trained(model, spec.unfreeze_from)
    return {
        "side": side,
        "parameters": model.get_layer(BACKBONE_LAYER).count_params(),
        "width": int(backbone.output_shape[-1]),
        "forward": {
            engine: rate(run, images, batches) for engine, run in engines(embedder(model)).items()
        },
        "training": training_rate(model, first, batch, batches),
        "memory": step_memory(model, first, "adamw").at(32),
    }


def engines(embedder: "keras.Model") -> dict[str, Callable]:
    """What may compute a backbone's embeddings here, by name."""
    from finegrain.inference.keras_engine import KerasEngine

    found: dict[str, Callable] = {"Keras": KerasEngine(embedder).run}
    if importlib.util.find_spec("openvino"):
        from finegrain.inference.conversion import converted
        from finegrain.inference.openvino_engine import PRECISION_NAMES, OpenVINOEngine

        graph = converted(embedder, "uint8")
        for precision in ("f32", "bf16"):
            found[PRECISION_NAMES[precision]] = OpenVINOEngine(graph, precision).run
    return found


def training_rate(model: "keras.Model", first: int, batch: int, batches: int) -> float:
    """Images a second of steps by AdamW from stored activations, one step to warm up."""
    import keras
    import numpy as np

    from finegrain.features.cut import cut_at_boundary
    from finegrain.models.backbone import BACKBONE_LAYER, freeze

    freeze(model.get_layer(BACKBONE_LAYER), first)
    cut = cut_at_boundary(model, first)
    above = model if cut is None else cut.above
    above.compile(
        keras.optimizers.AdamW(3e-4), keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    rng = np.random.default_rng(0)
    shapes = (
        {"image": model.input_shape[1:]}
        if cut is None
        else {kind: entry.shape for kind, entry in cut.kinds.items()}
    )
    inputs = {kind: rng.uniform(0, 1, (batch, *shape)) for kind, shape in shapes.items()}
    labels = np.eye(CLASSES)[rng.integers(0, CLASSES, batch)]
    taken = inputs["image"] if cut is None else inputs
    return rate(lambda _: above.train_on_batch(taken, labels), labels, batches)


def rate(run: Callable, batch, batches: int) -> float:
    """Items a second, the median of some batches after one to warm up."""
    run(batch)
    seconds = []
    for _ in range(batches):
        started = time.perf_counter()
        run(batch)
        seconds.append(time.perf_counter() - started)
    return len(batch) / statistics.median(seconds)


def line(name: str, row: dict) -> str:
    """A row in Markdown."""
    forward = row["forward"]
    cells = [
        f"`{name}`",
        str(row["side"]),
        f"{row['parameters'] / 1e6:.1f} M",
        str(row["width"]),
        *(digits(forward[engine]) if engine in forward else "-" for engine in FORWARD),
        digits(row["training"]),
        f"{row['memory'] / 1e9:.1f} GB",
    ]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """The machine, in words."""
    from finegrain.device import find_device

    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = (
            entry.partition(":")[2].strip() for entry in lines if entry.startswith("model name")
        )
        model = next(names, "")
    return f"{model or 'a CPU'}, {os.cpu_count()} cores; {find_device()}; images a second"


if __name__ == "__main__":
    run_command(main, Settings)
