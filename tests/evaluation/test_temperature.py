"""Temperature scaling: found again, exact in the model, and the same as softmax(z / T)."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from finegrain.errors import UserError
from finegrain.evaluation import temperature as scaling
from finegrain.evaluation.temperature import (
    answers_from_embeddings,
    divide_logits,
    fit_temperature,
    head_weights,
    log_loss_of_logits,
)


def overconfident(images, times, seed=0, classes=6, width=5):
    """Images whose labels follow softmax(z), and a head that answers softmax(times * z)."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(images, width)).astype("float32")
    kernel, bias = rng.normal(size=(width, classes)), rng.normal(size=classes)
    shares = softmax(embeddings @ kernel + bias, axis=1)
    labels = np.array([rng.choice(classes, p=share) for share in shares])
    return embeddings, (times * kernel).astype("float32"), (times * bias).astype("float32"), labels


@pytest.mark.parametrize("times", [0.4, 1.0, 3.0])
def test_finds_by_how_much_a_model_is_too_sure(times):
    embeddings, kernel, bias, labels = overconfident(4000, times)
    found = fit_temperature(embeddings, kernel, bias, labels)
    assert found == pytest.approx(times, rel=0.08)
    logits = embeddings @ kernel + bias
    best = log_loss(labels, softmax(logits / found, axis=1))
    for other in (0.97 * found, 1.03 * found):
        assert best < log_loss(labels, softmax(logits / other, axis=1))
    assert log_loss_of_logits(logits, labels, found) == pytest.approx(best, rel=1e-5)


def test_the_loss_of_an_answer_of_probability_zero_is_finite():
    logits = np.array([[0.0, -500.0]], "float32")
    expected = -log_softmax(logits, axis=1)[0, 1]
    assert log_loss_of_logits(logits, np.array([1]), 1.0) == pytest.approx(expected)


def test_all_right_and_no_idea_have_no_temperature():
    embeddings, kernel, bias, _ = overconfident(50, 1)
    right = (embeddings @ kernel + bias).argmax(axis=1)
    with pytest.raises(UserError, match="answered rightly"):
        fit_temperature(embeddings, kernel, bias, right)
    with pytest.raises(UserError, match="say nothing"):
        fit_temperature(embeddings, kernel, bias, (right + 1) % 6)


def test_of_very_many_logits_a_part_is_enough(monkeypatch):
    embeddings, kernel, bias, labels = overconfident(6000, 2.0)
    whole = fit_temperature(embeddings, kernel, bias, labels)
    monkeypatch.setattr(scaling, "MOST_LOGITS", 6 * 2000)
    part = fit_temperature(embeddings, kernel, bias, labels)
    assert part != whole and part == pytest.approx(whole, rel=0.1)


def test_a_model_divided_by_t_answers_softmax_of_z_over_t():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(6, "softmax", name="category")(inputs))
    embeddings, kernel, bias, labels = overconfident(600, 3)
    model.get_layer("category").set_weights([kernel, bias])
    divide_logits(model, 2.5)
    answers = np.asarray(model.predict_on_batch(embeddings))
    expected = softmax((embeddings @ kernel + bias) / 2.5, axis=1)
    assert answers == pytest.approx(expected, abs=1e-5)
    table = answers_from_embeddings(embeddings, *head_weights(model), labels)
    assert table.true_probability == pytest.approx(expected[np.arange(600), labels], abs=1e-5)
    assert (table.classes[:, 0] == (embeddings @ kernel + bias).argmax(axis=1)).all()
    divide_logits(model, 1 / 2.5)
    again_kernel, again_bias = head_weights(model)
    assert again_kernel == pytest.approx(kernel, rel=3e-7)
    assert again_bias == pytest.approx(bias, rel=3e-7)
