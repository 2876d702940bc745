"""How many images a second a backbone takes forward on this machine, engine by engine.

    python benchmarks/forward_rates.py --backbone xception --image-size 299

Prints a table of the whole backbone and of the part below the layer that stage 2 starts from: Keras
in float32 and in mixed_bfloat16, and on a CPU OpenVINO, where it is installed, in float32 and in
bfloat16. Each gets a batch to warm up and then some, of which the fastest counts; fresh weights do,
since a multiplication takes as long whatever it multiplies. `recipe_speed.py --profile` tells from
it what ratio can be reached.
"""

import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from side_by_side.backbones import BOUNDARIES, family

from finegrain.command import run_command
from finegrain.flags import BatchSize, Count, ImageSize
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole


@dataclass
class Settings:
    """Measure forward passes of a backbone."""

    # xception, mobilenet_v2 or mobilenet_v2_0.35
    backbone: str = "xception"
    # side of the square input, in pixels
    image_size: ImageSize = 299
    # first layer that stage 2 trains, a name or an index; by default the recipe's
    unfreeze_from: str | None = None
    # images a batch
    batch_size: BatchSize = 32
    # timed batches
    batches: Count = 5
    # file to write the rates to as well
    json: Path | None = None


def main(settings: Settings) -> None:
    load_keras()
    import keras
    import numpy as np

    shape = (settings.batch_size, settings.image_size, settings.image_size, 3)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    rates: dict[str, dict[str, float]] = {}

    def measure(engine: str, part: str, forward: Callable) -> None:
        forward(images)
        seconds = []
        for _ in range(settings.batches):
            started = time.monotonic()
            forward(images)
            seconds.append(time.monotonic() - started)
        # The fastest: other work on the machine can only slow a batch down.
        rate = len(images) / min(seconds)
        rates.setdefault(engine, {})[part] = round(rate, 2)
        print(f"{engine:24} {part:8} {rate:8.2f} images a second", flush=True)

    for policy in ("float32", "mixed_bfloat16"):
        for part, model in parts_of(settings, policy).items():
            measure(f"{keras.backend.backend()} {policy}", part, model.predict_on_batch)
    if keras.backend.backend() == "tensorflow" and importlib.util.find_spec("openvino"):
        for part, model in parts_of(settings, "float32").items():
            for precision in ("f32", "bf16"):
                measure(f"openvino {precision}", part, openvino_forward(model, precision))
    if settings.json:
        with written_whole(settings.json) as file:
            file.write_text(json.dumps(rates, indent=1), encoding="utf-8")


def parts_of(settings: Settings, policy: str) -> dict:
    """`whole`, the backbone to its embedding, and `below`, to where stage 2 starts."""
    import keras
    from side_by_side.two_towers import build_backbone, layer_index

    keras.config.set_dtype_policy(policy)
    backbone = build_backbone(settings.backbone, "none", settings.image_size)
    boundary = settings.unfreeze_from or BOUNDARIES[family(settings.backbone)[0]]
    first = backbone.layers[layer_index(backbone, boundary)]
    # Where two branches meet, the sum of them is what would be stored.
    cut = first.output if isinstance(first.input, list) else first.input
    embedding = keras.layers.GlobalAveragePooling2D()(backbone.output)
    return {
        "whole": keras.Model(backbone.input, embedding),
        "below": keras.Model(backbone.input, cut),
    }


def openvino_forward(model, precision: str) -> Callable:
    """A function that runs a Keras model on a batch by OpenVINO on all cores, as training does."""
    from finegrain.inference.conversion import converted
    from finegrain.inference.openvino_engine import OpenVINOEngine

    return OpenVINOEngine(converted(model, "float32"), precision).run


if __name__ == "__main__":
    run_command(main, Settings)
