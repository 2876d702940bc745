"""Build a backbone with its weights, and say which of its layers may learn."""

import difflib
import hashlib
import os
import warnings
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.models.backbone_table import DEFAULT_FROZEN_SHARE, BackboneSpec

BACKBONE_LAYER = "backbone"
MOST_DIGITS = 20
# Standard deviations of ImageNet's channels, RGB in 0 to 1, as Keras divides by their root.
DEVIATIONS = (0.229, 0.224, 0.225)


def build_backbone(spec: BackboneSpec, weights: str, image_size: tuple[int, int]) -> keras.Model:
    """A headless backbone: images (B, H, W, 3), preprocessed as the spec says -> (B, h, w, D).

    Dropout and stochastic depth inside the backbone (EfficientNet, ConvNeXt) are switched off:
    a frozen layer must run in inference mode, and the head has a Dropout of its own.

    Args:
        weights: `imagenet` (downloaded by Keras), `none`, or a headless network's `.h5` file.
        image_size: (height, width) in pixels.

    Raises:
        UserError: no such file, weights of another backbone or width, an input too small, no
            ImageNet weights to be had.
    """
    check_weights_name(weights)
    if weights == "imagenet" and spec.shipped_weights:
        raise UserError(
            f"there are no ImageNet weights of {spec.name}; give --weights {spec.shipped_weights}, "
            "which come with the project, or none"
        )
    try:
        backbone = spec.build(
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=(*image_size, 3),
            **spec.arguments,
        )
    except Exception as error:
        raise _explain_build_error(error, spec, weights, image_size) from error
    if weights not in ("imagenet", "none"):
        _load_weights_file(backbone, Path(weights), spec)
    if weights == "imagenet" and spec.scales_with_weights:
        # One architecture whatever the weights, lest a checkpoint meets another one.
        plain = spec.build(weights=None, input_shape=(*image_size, 3), **spec.arguments)
        plain.set_weights(backbone.get_weights())
        backbone = plain
    if weights != "none" and spec.scales_with_weights:
        _fold_input_scale(backbone)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif hasattr(layer, "drop_path_rate"):
            layer.drop_path_rate = 0.0
    # A name that does not depend on the backbone, so that code can find it in any model.
    backbone.name = BACKBONE_LAYER
    return backbone


def _fold_input_scale(backbone: keras.Model) -> None:
    """Keep EfficientNet's input scale in its weights instead of in a layer that comes and goes.

    `keras.applications.EfficientNetB*` adds a Rescaling by 1 / sqrt(deviation) behind its
    Normalization only where it is called with `weights="imagenet"`. The same weights read from a
    file, or a checkpoint taken up in a network built without weights, would then see inputs of
    half the size.
    """
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization):
            variance = keras.ops.convert_to_numpy(layer.adapt_variance)
            # Fresh statistics belong to fresh weights.
            if (variance != 1).all():
                layer.adapt_variance.assign(variance * DEVIATIONS)
                layer.finalize_state()


def check_weights_name(weights: str) -> None:
    """Refuse, by a `UserError`, a `--weights` that can never load, before any work is done."""
    if weights in ("imagenet", "none"):
        return
    # Unlike Path.is_file, which fails on a name longer than the file system allows.
    if not os.path.isfile(weights):
        raise UserError(
            f"--weights {weights!r} is no file; give `imagenet`, `none` or a .weights.h5 file"
        )
    if Path(weights).suffix != ".h5":
        raise UserError(f"--weights {weights!r} is no .h5 file; Keras weights end in .weights.h5")


def _explain_build_error(
    error: Exception, spec: BackboneSpec, weights: str, image_size: tuple[int, int]
) -> UserError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if weights == "imagenet" and ("URL fetch" in text or "urlopen" in text):
        return UserError(
            f"the ImageNet weights of {spec.name} could not be downloaded ({text}); "
            "connect to the internet once, or give a file with --weights"
        )
    return UserError(
        f"{spec.name} cannot be built for --image-size {image_size[0]} "
        f"with --weights {weights}: {text}"
    )


def _load_weights_file(backbone: keras.Model, path: Path, spec: BackboneSpec) -> None:
    try:
        with warnings.catch_warnings():
            # Of weights that do not fit, Keras warns once a layer before it gives up.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise UserError(
            f"the weights in {path} do not fit {spec.name} without its top: give the file of "
            "this backbone, or name with --backbone the one the file was made for"
        ) from error


def boundary_index(backbone: keras.Model, unfreeze_from: str | int | None) -> int:
    """Index of the first layer to train; a `UserError` names the layers nearest to a wrong name.

    The layer is given by name, by its index in `backbone.layers` (105 is Xception's own layer
    105), or by None for the last fifth of the layers.
    """
    count = len(backbone.layers)
    if unfreeze_from is None:
        return round(DEFAULT_FROZEN_SHARE * count)
    if isinstance(unfreeze_from, str) and unfreeze_from.isdecimal():
        # Python refuses to read a number of thousands of digits.
        unfreeze_from = int(unfreeze_from[:MOST_DIGITS])
    if isinstance(unfreeze_from, int):
        if 0 <= unfreeze_from < count:
            return unfreeze_from
        raise UserError(f"layer {unfreeze_from} does not exist: the backbone has {count} layers")
    names = [layer.name for layer in backbone.layers]
    if unfreeze_from in names:
        return names.index(unfreeze_from)
    near = difflib.get_close_matches(unfreeze_from, names, n=3, cutoff=0.3) or names[-3:]
    raise UserError(
        f"the backbone has no layer named {unfreeze_from!r}; the nearest are {', '.join(near)}"
    )


def freeze(
    backbone: keras.Model, first_trainable: int | None, train_batch_norm: bool = False
) -> None:
    """Let the layers from an index on learn, and no other; None freezes all.

    Compile the model after this. BatchNormalization above the boundary stays frozen too unless
    it is asked for, since batches of a fine-tuning are small and its data are new. Frozen, it
    runs in inference mode: its moving statistics stand still.
    """
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        may_learn = train_batch_norm or not isinstance(layer, keras.layers.BatchNormalization)
        above = first_trainable is not None and index >= first_trainable
        layer.trainable = above and may_learn


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over all weights of a model, in the order of `model.weights`."""
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()
