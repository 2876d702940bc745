"""Grad-CAM against formulas worked by hand, and on answers that leave no heat."""

import keras
import numpy as np
import pytest

from finegrain.explain.grad_cam import GradCam, PairCam, weighted_heat
from finegrain.explain.pictures import lay_over
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import classifier, embedder, softmax_model
from finegrain.models.multi_loss import multi_loss_model

SIZE = (96, 64)


@pytest.fixture(scope="module")
def model():
    """A multi-loss model with a pair head that has learnt something."""
    keras.utils.set_random_seed(1)
    spec = find_backbone("mobilenet_v2_0.35")
    model = multi_loss_model(build_backbone(spec, "none", SIZE), spec, 4)
    kernel = np.random.default_rng(0).normal(0, 1, (1280, 2))
    model.get_layer("same_class").kernel.assign(kernel)
    model.get_layer("category").bias.assign([0.1, -0.2, 0.0, 0.3])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def maps_of(model, images):
    """The backbone's maps, by its own layers."""
    pixels = model.get_layer("preprocess")(images.astype("float32"))
    return keras.ops.convert_to_numpy(model.get_layer("backbone")(pixels, training=False))


def normalised(heat):
    heat = np.maximum(heat, 0)
    return heat / heat.max() if heat.max() > 0 else heat


def test_of_a_pooled_softmax_it_is_the_class_activation_map(model, images):
    # Selvaraju et al., appendix A: behind a global average the weights are the Dense's own.
    maps, kernel = maps_of(model, images), numbers(model.get_layer("category").kernel)
    cam = GradCam(model)
    for index in range(4):
        found = cam.heats(images, [index] * 3)
        for heat, one in zip(found, maps, strict=True):
            np.testing.assert_allclose(heat, normalised(one @ kernel[:, index]), atol=1e-4)


def test_the_likeliest_class_is_asked_about_unless_told(model, images):
    likeliest = numbers(classifier(model)(images)).argmax(axis=1)
    cam = GradCam(model)
    np.testing.assert_array_equal(cam.heats(images), cam.heats(images, likeliest))
    np.testing.assert_allclose(cam.heat(images[1]), cam.heats(images)[1], atol=1e-5)


def test_a_hidden_layer_between_is_differentiated(images):
    keras.utils.set_random_seed(2)
    spec = find_backbone("mobilenet_v2_0.35")
    model = softmax_model(build_backbone(spec, "none", SIZE), spec, 3, hidden=7)
    maps = maps_of(model, images[:1])[0]
    hidden, category = (numbers(model.get_layer(name).kernel) for name in ("hidden", "category"))
    active = maps.mean(axis=(0, 1)) @ hidden > 0
    assert active.any() and not active.all()
    weights = hidden[:, active] @ category[active, 2]
    heat = GradCam(classifier(model)).heat(images[0], 2)
    np.testing.assert_allclose(heat, normalised(maps @ weights), atol=1e-4)


def test_a_picture_of_any_size_is_squeezed_and_keeps_its_size(model):
    pixels = np.random.default_rng(5).integers(0, 256, (150, 210, 3), dtype=np.uint8)
    cam = GradCam(model)
    picture = lay_over(pixels, cam.heat(pixels, 1))
    assert picture.shape == pixels.shape and picture.dtype == np.uint8
    assert cam.heat(pixels).shape == (3, 2)
    with pytest.raises(ValueError, match="uint8"):
        cam.heat(pixels / 255.0)


def test_no_heat_leaves_the_plain_picture(model, images):
    kept = model.get_layer("category").kernel.numpy()
    try:
        for kernel in (np.zeros_like(kept), np.full_like(kept, -1), np.full_like(kept, np.nan)):
            model.get_layer("category").kernel.assign(kernel)
            plain = lay_over(images[0], GradCam(model).heat(images[0], 0))
            np.testing.assert_array_equal(plain, images[0])
    finally:
        model.get_layer("category").kernel.assign(kept)


def test_heat_of_numbers_worked_by_hand():
    maps = np.zeros((2, 2, 2, 2))
    maps[0, 0, 0], maps[0, 1, 1] = (4, 1), (1, 4)
    maps[1] = np.inf
    slopes = np.zeros((2, 2, 2, 2))
    slopes[:, 0, 0] = (4, 0)
    slopes[:, 0, 1] = (0, -8)
    # Averaged over four places the channels weigh 1 and -2.
    np.testing.assert_array_equal(weighted_heat(maps, slopes)[0], [[1, 0], [0, 0]])
    np.testing.assert_array_equal(weighted_heat(maps, slopes)[1], np.zeros((2, 2)))


def test_the_hottest_place_is_magenta_and_the_cold_ones_are_as_they_were():
    pixels = np.full((40, 60, 3), 128, np.uint8)
    heat = np.zeros((2, 3), np.float32)
    heat[1, 2] = 1
    coloured = lay_over(pixels, heat).astype(int)
    tint = coloured[..., ::2].min(axis=2) - coloured[..., 1]
    assert coloured[39, 59, ::2].min() > coloured[39, 59, 1] + 50
    assert tint[39, 59] > tint[20, 45] > tint[10, 30]
    # Seen through the tint the picture keeps its detail.
    striped = np.where(np.arange(60)[None, :, None] % 2, 200, 40).astype(np.uint8)
    seen = lay_over(np.repeat(striped.repeat(40, axis=0), 3, axis=2), np.ones((2, 3), np.float32))
    assert np.ptp(seen[20, :, 1].astype(int)) > 50
    # Bicubic enlarging lets a trace of heat through.
    np.testing.assert_allclose(coloured[:10, :20], 128, atol=1)


def test_same_is_what_two_images_share(model, images):
    one, other = maps_of(model, images[:2])
    e1, e2 = numbers(embedder(model)(images[:2]))
    kernel = numbers(model.get_layer("same_class").kernel)
    odds = kernel[:, 1] - kernel[:, 0]
    heat_1, heat_2 = PairCam(model).heats(images[0], images[1])
    np.testing.assert_allclose(heat_1, normalised(one @ (-2 * odds * e2)), atol=1e-3)
    np.testing.assert_allclose(heat_2, normalised(other @ (-2 * odds * e1)), atol=1e-3)


def test_different_is_the_slope_of_the_head(model, images):
    one, other = maps_of(model, images[:2])
    e1, e2 = numbers(embedder(model)(images[:2]))
    kernel = numbers(model.get_layer("same_class").kernel)
    odds = kernel[:, 1] - kernel[:, 0]
    heat_1, heat_2 = PairCam(model).heats(images[0], images[1], same=False)
    np.testing.assert_allclose(heat_1, normalised(one @ (-2 * odds * (e1 - e2))), atol=1e-3)
    np.testing.assert_allclose(heat_2, normalised(other @ (-2 * odds * (e2 - e1))), atol=1e-3)


def test_nothing_tells_an_image_from_itself(model, images):
    for heat in PairCam(model).heats(images[0], images[0], same=False):
        assert not heat.any()
