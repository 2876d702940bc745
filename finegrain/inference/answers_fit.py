"""Whether a model's answers can be computed in the memory of this machine."""

import importlib.util

import keras

from finegrain.device import CPU, find_device
from finegrain.inference.inference import AGREEMENT_IMAGES
from finegrain.memory import check_memory_fits
from finegrain.models.step_memory import least_answer_bytes


def images_at_once(batch: int, use_openvino: bool) -> int:
    """How many images of a batch certainly pass the model at a time.

    All of them in Keras; OpenVINO cuts a batch up, but where it may be taken Keras answers first
    for the images that the two are compared on.
    """
    if use_openvino and importlib.util.find_spec("openvino") is not None:
        return min(batch, AGREEMENT_IMAGES)
    return batch


def check_answers_fit(model: keras.Model, batch: int, use_openvino: bool, remedy: str) -> None:
    """Refuse a model whose answers can never be computed on this machine's CPU.

    Args:
        model: `image` (B, H, W, 3) -> answers.
        batch: images that wait at a time.
        use_openvino: as for `open_inference`.
        remedy: what to do, for the sentence.

    Raises:
        UserError: says how much memory it takes, and how much there is.
    """
    if find_device().kind != CPU:
        return
    count = images_at_once(batch, use_openvino)
    height, width = model.input_shape[1:3]
    check_memory_fits(
        least_answer_bytes(model, count),
        f"answering {count} images of {height} x {width} pixels at a time",
        remedy,
    )
