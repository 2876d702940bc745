"""A run's `model.keras`, loaded."""

from pathlib import Path

import keras

from finegrain.errors import UserError
from finegrain.models import layers  # noqa: F401  registers what a saved model is made of
from finegrain.models.heads import CATEGORY, SAME_CLASS
from finegrain.quiet import damage_not_warned_of


def load_model(
    file: Path, image_size: tuple[int, int], classes: int, compares_pairs: bool
) -> keras.Model:
    """The training model in a model.keras; a `UserError` if damaged, absent or another run's."""
    try:
        with damage_not_warned_of():
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
    # Whatever is wrong in a file of weights and layers, Keras meets it somewhere.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{file} cannot be loaded ({reason}); start the training command again, which "
            "writes it anew"
        ) from error
    there = {layer.name: layer for layer in getattr(model, "layers", ())}
    wanted = {"image": (None, *image_size, 3), CATEGORY: (None, classes)}
    if compares_pairs:
        wanted[SAME_CLASS] = (None, 2)
    for name, shape in wanted.items():
        found = tuple(there[name].output.shape) if name in there else None
        if found != shape:
            told = "no such layer" if found is None else f"{name} {found}"
            raise UserError(
                f"{file} is not the model of this run: {name} {shape} is wanted, and there is "
                f"{told}; start the training command again, which writes it anew"
            )
    return model
