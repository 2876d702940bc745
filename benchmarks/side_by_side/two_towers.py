"""The model of the recipe as first coded: two towers with shared weights, in plain Keras."""

import keras

from finegrain.errors import UserError
from side_by_side.backbones import BUILDERS, family

# Both towers judge the class, and each image passes both: together they weigh 1.
LOSS_WEIGHTS = {"category_1": 0.5, "category_2": 0.5, "same_class": 0.5}


def build_backbone(backbone: str, weights: str, image_size: int) -> keras.Model:
    """The headless network with `imagenet` weights, fresh ones (`none`) or those of a file."""
    name, arguments = family(backbone)
    model = getattr(keras.applications, BUILDERS[name])(
        include_top=False,
        weights="imagenet" if weights == "imagenet" else None,
        input_shape=(image_size, image_size, 3),
        **arguments,
    )
    if weights not in ("imagenet", "none"):
        model.load_weights(weights)
    return model


def preprocessing(backbone: str):
    """The function that scales RGB 0 to 255 as the backbone expects."""
    return getattr(keras.applications, family(backbone)[0]).preprocess_input


def two_towers(backbone: keras.Model, classes: int) -> tuple[keras.Model, keras.Model]:
    """Both towers and their heads.

    Returns:
        The training model, from `image_1` and `image_2` (each B, H, W, 3) to `category_1`,
        `category_2` (each B, C) and `same_class` (B, 2); and the classifier of one image that
        shares its layers.
    """
    pool = keras.layers.GlobalAveragePooling2D()
    dropout = keras.layers.Dropout(0.5)
    softmax = keras.layers.Dense(classes, activation="softmax")
    pair_head = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")
    images = [keras.Input(backbone.input_shape[1:], name=f"image_{tower}") for tower in (1, 2)]
    embeddings = [pool(backbone(image)) for image in images]
    categories = [softmax(dropout(embedding)) for embedding in embeddings]
    difference = keras.layers.subtract(embeddings)
    outputs = {
        "category_1": categories[0],
        "category_2": categories[1],
        "same_class": pair_head(keras.layers.multiply([difference, difference])),
    }
    model = keras.Model({"image_1": images[0], "image_2": images[1]}, outputs)
    return model, keras.Model(images[0], categories[0])


def layer_index(backbone: keras.Model, layer: str | int) -> int:
    """Number of a layer, given by name or by number, as text or not.

    Raises:
        UserError: no such layer.
    """
    names = [layer.name for layer in backbone.layers]
    if layer in names:
        return names.index(layer)
    if str(layer).isdecimal() and int(layer) < len(names):
        return int(layer)
    raise UserError(f"--unfreeze-from {layer} is no layer of the backbone")


def prepare(model: keras.Model, backbone: keras.Model, first_layer, optimizer) -> None:
    """Freeze the backbone below a layer (all of it for None) and compile.

    Args:
        model: of `two_towers`.
        backbone: the network inside it.
        first_layer: first layer to train, a name, an index or None.
        optimizer: of the stage.
    """
    first = len(backbone.layers) if first_layer is None else layer_index(backbone, first_layer)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        frozen = index < first
        layer.trainable = not (frozen or isinstance(layer, keras.layers.BatchNormalization))
    model.compile(
        optimizer=optimizer,
        loss=dict.fromkeys(LOSS_WEIGHTS, "categorical_crossentropy"),
        loss_weights=LOSS_WEIGHTS,
        metrics={name: ["accuracy"] for name in LOSS_WEIGHTS},
        # On TensorFlow "auto" means XLA, which is slower on a CPU.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
