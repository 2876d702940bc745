"""GPU memory to expect at a batch size, computed from the layers' shapes.

    python benchmarks/gpu_memory.py --backbone xception
    python benchmarks/gpu_memory.py --birds

The second prints the models of recipes/bird_fine_tune.py at their true size, with the largest
batch that fits `--memory-gb`.

Counts float32 weights, the optimizer's and the gradients' share of the trained ones, and
activations: below the first trained layer only the largest neighbouring pair lives at a time,
above it every layer's output is kept for the backward pass, and the largest neighbouring pair of
their gradients beside them. The CUDA context and cuDNN's workspace come on top as a flat 0.8 GB.
It is an estimate to choose a batch size by, no measurement on a GPU. On a CPU, with all layers
trained, a process grew by less for each image of a batch: by 0.8 of what is computed here with
VGG16, 0.6 with EfficientNetB3 and 0.4 with MobileNetV2, since not every layer's output is needed
again. A batch that does not fit all the same is trained in parts.
"""

from dataclasses import dataclass

from finegrain.command import load_keras, run_command
from finegrain.flags import BatchSize, Count, Gigabytes, ImageSize


@dataclass
class Settings:
    """Print a table of GPU memory a batch size and stage."""

    # a backbone of the table, with a softmax of 200 classes
    backbone: str = "xception"
    # side of the input in pixels; by default the backbone's own
    image_size: ImageSize | None = None
    batch_sizes: tuple[BatchSize, ...] = (8, 16, 32, 64)
    # the seven bird models instead
    birds: bool = False
    # of the GPU, for the largest batch
    memory_gb: Gigabytes = 6.0
    classes: Count = 200


def main(settings: Settings) -> None:
    load_keras()
    if settings.birds:
        print_birds(settings)
    else:
        print_backbone(settings)


def print_backbone(settings: Settings) -> None:
    """A row a stage, a column a batch size."""
    from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.classifier import softmax_model

    spec = find_backbone(settings.backbone)
    side = settings.image_size or spec.image_size
    model = softmax_model(build_backbone(spec, "none", (side, side)), spec, settings.classes)
    backbone = model.get_layer(BACKBONE_LAYER)
    stages = {
        "stage 1, frozen": (len(backbone.layers), "adam"),
        "stages 2 and 3, last blocks": (boundary_index(backbone, spec.unfreeze_from), "sgd"),
        "all layers trained": (0, "adam"),
    }
    sizes = " | ".join(f"batch {batch}" for batch in settings.batch_sizes)
    print(f"| {spec.name} at {side} | {sizes} |\n|---|{'---|' * len(settings.batch_sizes)}")
    for name, (boundary, optimizer) in stages.items():
        needs = [memory(model, boundary, optimizer, batch) for batch in settings.batch_sizes]
        print(f"| {name} | {' | '.join(map(gigabytes, needs))} |")


def print_birds(settings: Settings) -> None:
    """A row a model: its size, both parts at a batch of 32, and the largest batch of each."""
    import keras

    from finegrain.models.backbone import BACKBONE_LAYER, build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.bird_models import bird_models
    from finegrain.models.classifier import softmax_model
    from finegrain.models.image_heads import find_head

    print(
        "| model | input | parameters | of the head | part 1, batch 32 | part 2, batch 32 | "
        f"largest batch of part 2 in {settings.memory_gb:g} GB |\n|---|---|---|---|---|---|---|"
    )
    for row in bird_models().values():
        keras.backend.clear_session()
        spec = find_backbone(row.backbone)
        model = softmax_model(
            build_backbone(spec, "none", (row.image_size, row.image_size)),
            spec,
            settings.classes,
            row.dropout,
            row.hidden,
            head=find_head(row.head),
            hidden_dropout=row.hidden_dropout,
        )
        backbone = model.get_layer(BACKBONE_LAYER)
        parts = [memory(model, first, "adam", 32) for first in (len(backbone.layers), 0)]
        most = largest_batch(model, 0, "adam", settings.memory_gb * 1e9)
        total, below = model.count_params(), backbone.count_params()
        print(
            f"| {row.name} | {row.image_size} | {total:,} | {total - below:,} | "
            f"{' | '.join(map(gigabytes, parts))} | {most or 'none'} |",
            flush=True,
        )


def memory(model, boundary: int, optimizer: str, batch: int) -> float:
    """Bytes of a training step when the head and backbone layers from `boundary` on are trained."""
    from finegrain.models.needed_memory import step_bytes

    fixed, each = step_bytes(model, boundary, optimizer)
    return fixed + batch * each


def largest_batch(model, boundary: int, optimizer: str, most_bytes: float) -> int:
    """Images in the largest batch that fits; 0 if the weights alone do not."""
    from finegrain.models.needed_memory import step_bytes

    fixed, each = step_bytes(model, boundary, optimizer)
    return max(0, int((most_bytes - fixed) / each))


def gigabytes(need: float) -> str:
    return f"{need / 1e9:.1f} GB"


if __name__ == "__main__":
    run_command(main, Settings)
