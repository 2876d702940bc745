"""Whatever features depend on changes their key; nothing else does."""

import os

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.features.cut import cut_at_boundary, cut_at_embedding
from finegrain.features.stored import feature_key
from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation
from finegrain.images.batches import PhotoBatches
from finegrain.models.backbone import BACKBONE_LAYER, build_backbone, freeze
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model

SQUARE = Frame(32, 32)

SQUARE = Frame(32, 32)


@pytest.fixture
def paths(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.glob("*.png"))


def model(side=32):
    keras.utils.set_random_seed(3)
    spec = find_backbone("xception_small")
    return softmax_model(build_backbone(spec, "none", (side, side)), spec, 2)


def key(
    cut,
    paths,
    sums="abc",
    augmentation=None,
    seed=0,
    views=1,
    frame=SQUARE,
    engine="keras",
    plain=False,
):
    batches = PhotoBatches(paths, np.arange(3) % 2, 2, frame, 2, seed, augmentation, plain)
    checksums = dict(zip(paths, sums, strict=True))
    return feature_key(cut, {"train": batches}, checksums, views, engine)


def test_the_same_again_has_the_same_key(paths):
    assert key(cut_at_embedding(model()), paths) == key(cut_at_embedding(model()), paths)
    # Without augmentation the seed draws nothing.
    cut = cut_at_embedding(model())
    assert key(cut, paths, seed=1) == key(cut, paths, seed=2)


def test_every_other_source_has_another_key(paths):
    plain = model()
    cut, augmentation = cut_at_embedding(plain), Augmentation()
    freeze(plain.get_layer(BACKBONE_LAYER), 100)
    keys = [
        key(cut, paths),
        key(cut, paths, sums="abd"),
        key(cut, paths[::-1], sums="cba"),
        key(cut, paths, engine="openvino"),
        key(cut, paths, frame=Frame(32, 32, "crop")),
        key(cut, paths, frame=Frame(32, 32, "pad")),
        key(cut, paths, augmentation=augmentation),
        key(cut, paths, augmentation=augmentation, seed=1),
        key(cut, paths, augmentation=augmentation, views=2),
        key(cut, paths, augmentation=augmentation, views=2, plain=True),
        key(cut, paths, augmentation=Augmentation(rotation=10)),
        key(cut_at_boundary(plain, 100), paths),
        key(cut_at_embedding(model(side=64)), paths, frame=Frame(64, 64)),
    ]
    os.utime(paths[1], ns=(1, 1))
    keys.append(key(cut, paths))
    backbone = plain.get_layer(BACKBONE_LAYER)
    kernel = backbone.trainable_variables[0]
    kernel.assign(kernel + 1e-6)
    keys.append(key(cut, paths))
    texts = [str(entry) for entry in keys]
    assert len(set(texts)) == len(texts)


def test_training_above_the_cut_leaves_the_key(paths):
    plain = model()
    freeze(plain.get_layer(BACKBONE_LAYER), 100)
    before = key(cut_at_boundary(plain, 100), paths)
    for variable in plain.trainable_variables:
        variable.assign(variable + 1)
    assert key(cut_at_boundary(plain, 100), paths) == before
