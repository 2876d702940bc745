"""In which precision to compute on the device found."""

from typing import NamedTuple

from finegrain.device import CPU, TPU, Device

FLOAT32, MIXED_FLOAT16, MIXED_BFLOAT16 = "float32", "mixed_float16", "mixed_bfloat16"


class Precision(NamedTuple):
    """A Keras dtype policy and why it was taken."""

    policy: str
    reason: str


def choose_precision(asked: str, device: Device) -> Precision:
    """The dtype policy to train under.

    Weights, embeddings, heads and losses are float32 under every policy; what changes is how
    the backbone multiplies.

    Args:
        asked: `auto`, or a policy that is taken as it is.
        device: what computes.
    """
    if asked != "auto":
        return Precision(asked, "as asked")
    if device.kind == TPU:
        return Precision(MIXED_BFLOAT16, "a TPU multiplies bfloat16")
    if device.kind == CPU:
        return _on_cpu(device)
    if device.capability is None:
        return Precision(FLOAT32, "the GPU does not say what it is fast at")
    version = "{}.{}".format(*device.capability)
    # bfloat16 is as fast from 8.0 on, but has 8 bits where float16 has 11.
    if device.capability >= (7, 0):
        return Precision(MIXED_FLOAT16, f"compute capability {version} is fast at float16")
    return Precision(
        FLOAT32, f"at compute capability {version} float16 would save memory, not time"
    )


def _on_cpu(device: Device) -> Precision:
    if device.fast_bfloat16 and device.backend == "tensorflow":
        # 1.5 times as fast for Xception, but MobileNetV2's embeddings come out 16 % off: its
        # narrow linear layers suffer from 8 bits. So it is the user's to choose.
        return Precision(FLOAT32, "mixed_bfloat16 is faster here, but coarse for some backbones")
    return Precision(FLOAT32, "the safe choice on a CPU")
