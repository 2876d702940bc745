"""Changes of whole batches, against loops over pixels and classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.images.batch_changes import CutMix, Mixup, OneOf


def slow_mixup(images, targets, share, partner):
    """Number by number, as the paper's formula has it."""
    mixed_images = np.zeros(images.shape)
    mixed_targets = np.zeros(targets.shape)
    for row, other in enumerate(partner):
        for place in np.ndindex(images.shape[1:]):
            mixed_images[row][place] = (
                share * images[row][place] + (1 - share) * images[other][place]
            )
        for label in range(targets.shape[1]):
            mixed_targets[row, label] = (
                share * targets[row, label] + (1 - share) * targets[other, label]
            )
    return mixed_images, mixed_targets


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
@pytest.mark.parametrize("count", [1, 5])
def test_mixup_against_a_slow_loop(dtype, alpha, count):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, 4, 5, 3)).astype(dtype)
    # Already soft: changes follow one another.
    targets = rng.dirichlet(np.ones(4), count).astype("float32")
    before = images.copy(), targets.copy()
    for seed in range(5):
        draw = np.random.default_rng(seed)
        share, partner = draw.beta(alpha, alpha), draw.permutation(count)
        expected_images, expected_targets = slow_mixup(images, targets, share, partner)
        mixed, soft = Mixup(alpha)(images, targets, np.random.default_rng(seed))
        assert mixed.dtype == dtype and soft.dtype == np.float32
        np.testing.assert_allclose(
            mixed, expected_images, atol=0.5001 if dtype == "uint8" else 1e-3
        )
        np.testing.assert_allclose(soft, expected_targets, atol=1e-6)
        np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(targets, before[1])


def slow_cutmix(images, targets, rows, columns, partner):
    """Pixel by pixel: whose does each show, and how many are whose?"""
    mixed_images, mixed_targets = images.copy(), np.zeros(targets.shape)
    places = list(np.ndindex(images.shape[1:3]))
    for row, other in enumerate(partner):
        for place in places:
            inside = place[0] in rows and place[1] in columns
            shown = other if inside else row
            mixed_images[row][place] = images[shown][place]
            mixed_targets[row] += targets[shown] / len(places)
    return mixed_images, mixed_targets


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uint8", "float32"]),
    st.floats(0.1, 3),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_cutmix_against_a_slow_loop(seed, dtype, alpha, count, height, width):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, height, width, 3)).astype(dtype)
    targets = rng.dirichlet(np.ones(4), count).astype("float32")
    before = images.copy(), targets.copy()
    draw = np.random.default_rng(seed)
    side = (1 - draw.beta(alpha, alpha)) ** 0.5
    spans = []
    for size in (height, width):
        middle = draw.random()
        first, last = max(middle - side / 2, 0), min(middle + side / 2, 1)
        spans.append(range(round(first * size), round(last * size)))
    expected = slow_cutmix(images, targets, *spans, draw.permutation(count))
    mixed, soft = CutMix(alpha)(images, targets, np.random.default_rng(seed))
    assert mixed.dtype == dtype and soft.dtype == np.float32
    np.testing.assert_array_equal(mixed, expected[0])
    np.testing.assert_allclose(soft, expected[1], atol=1e-5)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(targets, before[1])


def test_of_two_changes_each_batch_takes_one_fairly():
    rng = np.random.default_rng(1)
    images, targets = rng.random((6, 8, 8, 3), "float32"), np.eye(6, dtype="float32")
    changes, taken = (Mixup(1.0), CutMix(1.0)), []
    for seed in range(200):
        mixed, _ = OneOf(changes)(images, targets, np.random.default_rng(seed))
        # Only CutMix leaves every pixel that of some image.
        taken.append(bool(np.isin(mixed, images).all()))
        again, _ = OneOf(changes)(images, targets, np.random.default_rng(seed))
        np.testing.assert_array_equal(again, mixed)
    assert 75 < sum(taken) < 125


def test_shares_follow_the_distribution():
    images, targets = np.zeros((2, 1, 1, 3), "uint8"), np.eye(2, dtype="float32")
    for alpha, spread in ((0.2, 0.179), (1.0, 1 / 12)):
        shares = []
        for seed in range(2000):
            rng = np.random.default_rng(seed)
            soft = Mixup(alpha)(images, targets, rng)[1]
            shares.append(soft[0, 0])
        mixed = np.array([share for share in shares if 0 < share < 1])
        # The pairs whose partner is not themselves: Beta(alpha, alpha) has this variance.
        assert 800 < len(mixed) < 1200
        assert np.var(mixed) == pytest.approx(spread, rel=0.1)
