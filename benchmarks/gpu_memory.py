"""GPU memory to expect at a batch size, computed from the layers' shapes.

    python benchmarks/gpu_memory.py --backbone xception

Counts float32 weights, the optimizer's and the gradients' share of the trained ones, and
activations: below the first trained layer only the largest neighbouring pair lives at a time,
above it every layer's output is kept for the backward pass and its gradient beside it. The CUDA
context and cuDNN's workspace come on top as a flat 0.8 GB. It is an estimate to choose a batch
size by, on the safe side in that frameworks reuse buffers; it is no measurement.
"""

import math
from dataclasses import dataclass

from finegrain.command import load_keras, run_command

CONTEXT_BYTES = 0.8e9


@dataclass
class Settings:
    """Print a table of GPU memory a batch size and stage."""

    # a backbone of the table
    backbone: str = "xception"
    # side of the input in pixels; by default the backbone's own
    image_size: int | None = None
    batch_sizes: tuple[int, ...] = (8, 16, 32, 64)


def main(settings: Settings) -> None:
    load_keras()
    from finegrain.models.backbone import boundary_index, build_backbone
    from finegrain.models.backbone_table import find_backbone

    spec = find_backbone(settings.backbone)
    side = settings.image_size or spec.image_size
    backbone = build_backbone(spec, "none", (side, side))
    stages = {
        "stage 1, frozen": len(backbone.layers),
        "stages 2 and 3, last blocks": boundary_index(backbone, spec.unfreeze_from),
        "all layers trained": 0,
    }
    sizes = " | ".join(f"batch {batch}" for batch in settings.batch_sizes)
    print(f"| {spec.name} at {side} | {sizes} |\n|---|{'---|' * len(settings.batch_sizes)}")
    for name, boundary in stages.items():
        needs = [memory(backbone, boundary, batch) / 1e9 for batch in settings.batch_sizes]
        print(f"| {name} | {' | '.join(f'{need:.1f} GB' for need in needs)} |")


def memory(backbone, boundary: int, batch: int) -> float:
    """Bytes a training step takes when layers from `boundary` on are trained."""
    outputs = [4 * math.prod(layer.output.shape[1:]) for layer in backbone.layers]
    weights = 4 * backbone.count_params()
    above = [weight for layer in backbone.layers[boundary:] for weight in layer.weights]
    trained = sum(4 * math.prod(weight.shape) for weight in above)
    frozen = max((a + b for a, b in zip(outputs[:boundary], outputs[1:], strict=False)), default=0)
    kept = 2 * sum(outputs[boundary:])
    return CONTEXT_BYTES + weights + 2 * trained + batch * (frozen + kept)


if __name__ == "__main__":
    run_command(main, Settings)
