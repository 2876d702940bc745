"""Small networks whose answers tell images, outputs and modes apart."""

import keras
import numpy as np
import pytest

from finegrain.models.layers import Preprocess

SIDE = 32


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "openvino" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs("openvino"))


@pytest.fixture(scope="session")
def openvino():
    """The module, without which a test is skipped."""
    from finegrain.inference.openvino_engine import load_openvino

    return load_openvino()


@pytest.fixture(scope="session")
def network():
    """Twelve outputs of several shapes; batch norm and dropout behave otherwise in training."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    part = keras.Input((SIDE, SIDE, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(part)
    hidden = keras.layers.SeparableConv2D(16, 3, padding="same")(hidden)
    backbone = keras.Model(part, keras.layers.BatchNormalization()(hidden), name="backbone")
    mean, variance = np.linspace(-1, 1, 16), np.linspace(0.5, 2, 16)
    backbone.layers[-1].moving_mean.assign(mean)
    backbone.layers[-1].moving_variance.assign(variance)
    features = backbone(Preprocess("tf")(image))
    embedding = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.5)(features))
    category = keras.layers.Dense(5, activation="softmax")(embedding)
    scaled = [embedding * float(factor) for factor in range(1, 10)]
    return keras.Model(image, [features, *scaled, embedding, category])


@pytest.fixture(scope="session")
def images():
    """Seventeen images of noise in a colour of their own, (17,H,W,3) uint8."""
    numbers = np.random.default_rng(0)
    colours = numbers.uniform(30, 220, (17, 1, 1, 3))
    noise = numbers.normal(0, 30, (17, SIDE, SIDE, 3))
    return (colours + noise).clip(0, 255).astype("uint8")


@pytest.fixture
def counting_conversions(monkeypatch):
    """A list that grows with each conversion to OpenVINO."""
    from finegrain.inference import opening

    done = []

    def converted(model, dtype):
        done.append(dtype)
        return original(model, dtype)

    original = opening.converted
    monkeypatch.setattr(opening, "converted", converted)
    return done
