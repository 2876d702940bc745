"""Logistic regression as scikit-learn has it, folded into one kernel and bias."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from finegrain.embeddings.logistic import STRENGTHS, TOLERANCE, fit_softmax
from finegrain.errors import UserError


def clusters(seed, count, classes, width=6):
    """Embeddings that tell the class, but not too well, the last number of all the same."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = np.arange(count) % classes
    embeddings = 5 + 3 * (centres[labels] + 0.8 * rng.normal(size=(count, width)))
    embeddings[:, -1] = 7
    return embeddings.astype("float32"), labels


def reference(train, valid):
    """C, answers and log loss of scikit-learn's own pipeline, one C after the other."""
    scaler = StandardScaler().fit(train[0])
    regression = LogisticRegression(max_iter=200, tol=TOLERANCE, warm_start=True)
    tried = []
    for strength in STRENGTHS:
        regression.set_params(C=strength).fit(scaler.transform(train[0]), train[1])
        answers = make_pipeline(scaler, regression).predict_proba(valid[0])
        tried.append((strength, answers, log_loss(valid[1], answers.astype("float64"))))
        if len(tried) > 1 and tried[-1][2] >= tried[-2][2]:
            return tried[-2]
    return tried[-1]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 5))
def test_it_is_the_pipeline_of_scikit_learn_with_the_best_c(seed, classes):
    train, valid = clusters(seed, 60, classes), clusters(seed + 1, 40, classes)
    found = fit_softmax(train, valid, classes)
    strength, answers, loss = reference(train, valid)
    assert found.strength == strength
    np.testing.assert_allclose(softmax(found.logits(valid[0]), axis=1), answers, atol=1e-4)
    assert found.log_loss(*valid) == pytest.approx(loss, rel=1e-3)
    assert found.top1_error(*valid) == (answers.argmax(axis=1) != valid[1]).mean()


def test_a_class_without_a_training_image_is_never_answered():
    train, valid = clusters(1, 60, 2), clusters(2, 40, 2)
    found = fit_softmax((train[0], 3 * train[1]), (valid[0], 3 * valid[1]), 5)
    assert found.kernel.shape == (6, 5) and set(found.logits(valid[0]).argmax(axis=1)) == {0, 3}
    with pytest.raises(UserError, match="all are of one"):
        fit_softmax((train[0], 0 * train[1]), valid, 5)
