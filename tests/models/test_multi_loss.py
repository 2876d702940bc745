"""The shared-tower model against the slow and obvious one: two towers, the backbone run twice."""

import keras
import numpy as np
import pytest

from finegrain.models.backbone import BACKBONE_LAYER, build_backbone, freeze
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import classifier, embedder, softmax_model
from finegrain.models.multi_loss import multi_loss_model, same_class, two_towers
from finegrain.training.pairs import same_class_targets, two_images
from finegrain.training.partners import swap_positive_partners

CLASSES, SIDE = 3, 64
LABELS = np.array([0, 1, 0, 2, 2, 1, 1])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(4)
    spec = find_backbone("xception_small")
    backbone = build_backbone(spec, "none", (SIDE, SIDE))
    built = multi_loss_model(backbone, spec, CLASSES, dropout=0.0)
    # Frozen BatchNormalization with real statistics, as after pretraining.
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(np.random.normal(0, 0.1, shape))
            layer.moving_variance.assign(np.random.uniform(0.5, 1.5, shape))
    freeze(backbone, 0)
    return built


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(1).uniform(0, 255, (len(LABELS), SIDE, SIDE, 3))
    return images.astype("float32"), swap_positive_partners(LABELS)


def two_tower_model(model):
    """Two image inputs, every image through the backbone twice; shares the model's weights."""
    first, second = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))

    def tower(image):
        features = model.get_layer(BACKBONE_LAYER)(model.get_layer("preprocess")(image))
        return model.get_layer("embedding")(features)

    one, two = tower(first), tower(second)
    difference = keras.layers.Lambda(lambda pair: (pair[0] - pair[1]) ** 2)([one, two])
    return keras.Model(
        [first, second],
        {
            "category": model.get_layer("category")(one),
            "same_class": model.get_layer("same_class")(difference),
        },
    )


def loss_and_gradients(model, inputs, targets):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = 0.0
        for name, weight in (("category", 1.0), ("same_class", 0.5)):
            entropy = keras.losses.categorical_crossentropy(targets[name], outputs[name])
            loss += weight * keras.ops.mean(entropy)
    variables = [variable.value for variable in model.trainable_variables]
    names = [variable.path for variable in model.trainable_variables]
    gradients = tape.gradient(loss, variables)
    return float(loss), {n: g.numpy() for n, g in zip(names, gradients, strict=True)}


def test_equals_two_towers_in_loss_and_gradients(model, batch):
    images, partner = batch
    targets = {
        "category": np.eye(CLASSES, dtype="float32")[LABELS],
        "same_class": same_class_targets(np.eye(CLASSES)[LABELS], partner),
    }
    loss, gradients = loss_and_gradients(model, {"image": images, "partner": partner}, targets)
    slow = two_tower_model(model)
    slow_loss, slow_gradients = loss_and_gradients(slow, [images, images[partner]], targets)

    assert loss == pytest.approx(slow_loss, rel=1e-5)
    assert gradients.keys() == slow_gradients.keys()
    largest = max(np.abs(gradient).max() for gradient in slow_gradients.values())
    assert largest > 1e-3
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient, slow_gradients[name], atol=2e-5 * largest, err_msg=name
        )


def test_sub_models_share_the_training_models_answers(model, batch):
    images, partner = batch
    outputs = model({"image": images, "partner": partner})
    np.testing.assert_allclose(classifier(model)(images), outputs["category"], atol=1e-6)
    pair = same_class(model)([images, images[partner]])
    np.testing.assert_allclose(pair, outputs["same_class"], atol=1e-5)
    embedding = np.asarray(embedder(model)(images))
    assert embedding.shape == (len(images), model.get_layer(BACKBONE_LAYER).output_shape[-1])
    np.testing.assert_allclose(np.asarray(outputs["category"]).sum(axis=1), 1, atol=1e-5)


def test_saved_model_loads_safely_with_the_same_answers(model, batch, tmp_path):
    images, partner = batch
    bare = keras.Model(model.input, model.output)
    bare.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    before = model({"image": images, "partner": partner})
    after = loaded({"image": images, "partner": partner})
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)


def test_softmax_model_is_the_multi_loss_models_classifier(batch):
    keras.utils.set_random_seed(0)
    spec = find_backbone("mobilenet_v2_0.35")
    backbone = build_backbone(spec, "none", (SIDE, SIDE))
    multi = multi_loss_model(backbone, spec, CLASSES)
    single = softmax_model(backbone, spec, CLASSES)
    single.get_layer("category").set_weights(multi.get_layer("category").get_weights())
    images, _ = batch
    np.testing.assert_allclose(single(images), classifier(multi)(images), atol=1e-6)


def test_two_towers_learn_what_the_shared_form_learns(batch):
    """Where pairs swap places both see every image once, so a step of either is the same."""
    images, partner = batch
    targets = np.eye(CLASSES, dtype="float32")[LABELS]
    same = same_class_targets(targets, partner)
    spec = find_backbone("xception_small")
    backbone = build_backbone(spec, "none", (SIDE, SIDE))
    freeze(backbone, 0)
    shared = multi_loss_model(backbone, spec, CLASSES, dropout=0.0)
    start = shared.get_weights()
    learnt = []
    for towers in (False, True):
        shared.set_weights(start)
        model, weights = shared, [1.0, 0.5]
        inputs = {"image": images, "partner": partner}
        answers = {"category": targets, "same_class": same}
        if towers:
            model, weights = two_towers(shared), [0.5, 0.5, 0.5]
            ((inputs, answers),) = two_images([(inputs, answers)])
        names = ["categorical_crossentropy"] * len(weights)
        loss = names if towers else dict(zip(answers, names, strict=True))
        loss_weights = weights if towers else dict(zip(answers, weights, strict=True))
        model.compile(keras.optimizers.SGD(0.01), loss=loss, loss_weights=loss_weights)
        given = keras.tree.map_structure(keras.ops.convert_to_tensor, (inputs, answers))
        model.train_on_batch(*(list(part) if towers else part for part in given))
        learnt.append(shared.get_weights())
    assert any(abs(one - old).max() > 1e-4 for one, old in zip(learnt[0], start, strict=True))
    for one, other in zip(*learnt, strict=True):
        assert one == pytest.approx(other, abs=2e-5)
