"""The seven bird models at their true size, with parameters counted by hand."""

import math
import shutil
import subprocess
import sys
from itertools import pairwise

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.bird_models import bird_models, find_bird_model
from finegrain.models.classifier import softmax_model
from finegrain.models.image_heads import find_head

CLASSES = 200


def vgg16():
    """Thirteen 3 x 3 convolutions with biases."""
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    return sum(9 * inputs * outputs + outputs for inputs, outputs in pairwise(channels))


def efficientnet(width, depth):
    """Stem, seven stages of inverted bottlenecks and top, by the paper (arXiv 1905.11946).

    A BatchNormalization has 4 numbers a channel. Keras puts a Normalization of the input before
    all: a mean and a variance for 3 channels, and a count.
    """

    def wide(channels):
        rounded = max(8, int(channels * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * width else rounded

    def block(kernel, inputs, outputs, expansion):
        middle, narrow = inputs * expansion, max(1, inputs // 4)
        expand = inputs * middle + 4 * middle if expansion > 1 else 0
        depthwise = kernel**2 * middle + 4 * middle
        excite = middle * narrow + narrow + narrow * middle + middle
        return expand + depthwise + excite + middle * outputs + 4 * outputs

    stages = [  # kernel, blocks, channels, expansion
        (3, 1, 16, 1),
        (3, 2, 24, 6),
        (5, 2, 40, 6),
        (3, 3, 80, 6),
        (5, 3, 112, 6),
        (5, 4, 192, 6),
        (3, 1, 320, 6),
    ]
    inputs = wide(32)
    count = 7 + 27 * inputs + 4 * inputs
    for kernel, blocks, channels, expansion in stages:
        for _ in range(math.ceil(blocks * depth)):
            count += block(kernel, inputs, wide(channels), expansion)
            inputs = wide(channels)
    return count + inputs * wide(1280) + 4 * wide(1280)


def dense(inputs, outputs):
    return inputs * outputs + outputs


def tail(inputs, hidden):
    return dense(inputs, hidden) + dense(hidden, CLASSES)


B3, B4 = (1.2, 1.4), (1.4, 1.8)
NORM = 4 * 1536
MASK = dense(1536, 64) + dense(64, 16) + dense(16, 8) + dense(8, 1)
SE = 1536 * 192 + 192 * 1536
CBAM = dense(1536, 192) + dense(192, 1536) + 7 * 7 * 2

BY_HAND = {
    "vgg16": vgg16() + tail(512, 1024),
    "efficientnet_b4": efficientnet(*B4) + tail(1792, 1024),
    "efficientnet_b3_attention": efficientnet(*B3) + NORM + MASK + tail(1536, 1000),
    "efficientnet_b3_se": efficientnet(*B3) + NORM + SE + tail(1536, 1000),
    "efficientnet_b3_cbam": efficientnet(*B3) + NORM + CBAM + tail(1536, 1000),
    "bilinear_efficientnet": efficientnet(*B3) + NORM + MASK + tail(1536, 1000),
    "bilinear_vgg16": vgg16() + tail(512 * 512, 1024),
}
# What Keras documents of the headless networks.
DOCUMENTED = {vgg16(): 14_714_688, efficientnet(*B3): 10_783_535, efficientnet(*B4): 17_673_823}
FEATURES = {  # side of the feature map, channels
    "vgg16": (9, 512),
    "efficientnet_b4": (7, 1792),
    "efficientnet_b3_attention": (7, 1536),
    "efficientnet_b3_se": (7, 1536),
    "efficientnet_b3_cbam": (7, 1536),
    "bilinear_efficientnet": (8, 1536),
    "bilinear_vgg16": (18, 512),
}

READER = """
import sys
import keras, numpy
import finegrain.models.layers
for name in sys.argv[2:]:
    path = f"{sys.argv[1]}/{name}"
    model = keras.saving.load_model(path + ".keras", safe_mode=True)
    batch = numpy.load(path + ".npz")
    found = keras.ops.convert_to_numpy(model(batch["image"], training=False))
    numpy.testing.assert_allclose(found, batch["answer"], atol=1e-5, err_msg=name)
    print(name)
"""


@pytest.fixture(scope="module")
def backbones():
    """Each backbone once: a model takes it as the one before has left it."""
    return {}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder for all models after their step, up to 1 GB each, and so emptied in the end."""
    folder = tmp_path_factory.mktemp("birds")
    yield folder
    shutil.rmtree(folder)


def build(name, backbones):
    row = bird_models()[name]
    spec = find_backbone(row.backbone)
    key = row.backbone, row.image_size
    if key not in backbones:
        backbones[key] = build_backbone(spec, "none", (row.image_size, row.image_size))
    return softmax_model(
        backbones[key],
        spec,
        CLASSES,
        row.dropout,
        row.hidden,
        head=find_head(row.head),
        hidden_dropout=row.hidden_dropout,
    )


def test_the_table_has_the_seven_models():
    assert sorted(bird_models()) == sorted(BY_HAND)
    assert find_bird_model("EfficientNet-B3-SE").image_size == 224
    assert list(DOCUMENTED) == list(DOCUMENTED.values())
    with pytest.raises(UserError, match="no model named 'bilinear_vgg'; .*bilinear_vgg16"):
        find_bird_model("bilinear_vgg")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BY_HAND))
def test_a_bird_model_at_its_true_size_trains_a_step(name, backbones, saved):
    keras.utils.set_random_seed(0)
    model = build(name, backbones)
    assert model.count_params() == BY_HAND[name]
    side, channels = FEATURES[name]
    assert model.get_layer("backbone").output_shape == (None, side, side, channels)

    # Not compiled: tracing hundreds of layers takes longer than their one step.
    model.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy", run_eagerly=True)
    size = model.input_shape[1]
    image = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype("float32")
    watched = [model.get_layer("hidden"), model.get_layer("category")]
    before = [layer.get_weights()[0] for layer in watched]
    loss = model.train_on_batch(image, np.eye(CLASSES)[[3]])
    assert np.isfinite(loss)
    for layer, old in zip(watched, before, strict=True):
        new = layer.get_weights()[0]
        assert np.isfinite(new).all() and not np.array_equal(new, old)
    keras.Model(model.input, model.output).save(saved / f"{name}.keras")
    answer = np.asarray(model(image, training=False))
    np.testing.assert_allclose(answer.sum(), 1, atol=1e-5)
    np.savez(saved / f"{name}.npz", image=image, answer=answer)


@pytest.mark.slow
def test_the_bird_models_answer_alike_in_a_fresh_process(saved):
    names = sorted(path.stem for path in saved.glob("*.npz"))
    if not names:
        pytest.skip("no model was trained before")
    done = subprocess.run(
        [sys.executable, "-c", READER, str(saved), *names], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-len(names) :] == names
