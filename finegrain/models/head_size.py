"""How many weights a head brings, and whether a GPU can train them."""

from finegrain.errors import UserError
from finegrain.models.image_heads import COMPACT_WIDTH, ImageHead
from finegrain.models.step_memory import MOMENTS, NUMBER_BYTES

# A weight, its gradient and Adam's moments.
TRAINED_BYTES = NUMBER_BYTES * (2 + MOMENTS["adam"])
# The GPU that the recipes are sized for.
MEMORY_GB = 6.0


def embedding_width(head: ImageHead, channels: int) -> int:
    """Numbers in the embedding D that a head makes of C channels."""
    return {"outer": channels**2, "sketch": head.compact}.get(head.pooling, channels)


def dense_weights(head: ImageHead, channels: int, outputs: int) -> int:
    """Weights and biases of the first Dense layer on the embedding.

    Args:
        head: a row of the table.
        channels: of the backbone's feature map.
        outputs: width of that layer.
    """
    return (embedding_width(head, channels) + 1) * outputs


def check_head_fits(
    head: ImageHead, channels: int, outputs: int, memory_gb: float = MEMORY_GB
) -> None:
    """Refuse a head whose first Dense layer alone fills the memory in training.

    Args:
        head: a row of the table.
        channels: of the backbone's feature map.
        outputs: width of the first Dense layer on the embedding.
        memory_gb: of the device that trains, 1 GB = 10^9 bytes.

    Raises:
        UserError: says the size, and what to take instead.
    """
    count = dense_weights(head, channels, outputs)
    needed = count * TRAINED_BYTES / 1e9
    if needed <= memory_gb:
        return
    width = embedding_width(head, channels)
    what = f"{channels} x {channels} = {width:,}" if head.pooling == "outer" else f"{width:,}"
    small = min(COMPACT_WIDTH, int(memory_gb * 1e9 / TRAINED_BYTES / outputs / 2))
    raise UserError(
        f"the head {head.name} makes {what} numbers of an image, on which a Dense layer of "
        f"{outputs} has {count:,} weights and takes {needed:.1f} GB to train, above the "
        f"{memory_gb:g} GB given; take --head compact_bilinear, or --compact N for another width "
        f"than {COMPACT_WIDTH}, such as {small}"
    )
