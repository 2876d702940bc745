"""Partners inside a batch."""

import itertools
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from finegrain.training.pairs import (
    PairGenerator,
    is_positive_batch,
    pair_batch,
    same_class_targets,
)
from finegrain.training.partners import (
    drawn_partners,
    random_negative_partners,
    swap_positive_partners,
)

label_lists = st.lists(st.integers(0, 5), max_size=40)


def slow_partners(labels):
    """The walk as the design tells it, with no thought for speed."""
    partner = list(range(len(labels)))
    paired = [False] * len(labels)
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            if not paired[i] and not paired[j] and labels[i] == labels[j]:
                partner[i], partner[j] = j, i
                paired[i] = paired[j] = True
    rest = [i for i in range(len(labels)) if not paired[i]]
    while len(rest) > 1:
        i, j = rest.pop(0), rest.pop(0)
        partner[i], partner[j] = j, i
    return partner


def test_a_worked_example():
    assert swap_positive_partners([3, 1, 3, 1, 1, 2, 4]).tolist() == [2, 3, 0, 1, 5, 4, 6]


@given(label_lists)
def test_partners_equal_the_slow_walk_and_are_their_own_inverse(labels):
    partner = swap_positive_partners(np.array(labels, dtype=int))
    assert partner.dtype == np.int32
    assert partner.tolist() == slow_partners(labels)
    assert partner[partner].tolist() == list(range(len(labels)))


@given(label_lists, st.integers(0, 2**32 - 1))
def test_negatives_are_drawn_as_one_after_the_other(labels, seed):
    labels, rng = np.array(labels, dtype=int), np.random.default_rng(seed)
    slow = np.arange(len(labels))
    for index, label in enumerate(labels):
        others = np.flatnonzero(labels != label)
        if len(others):
            slow[index] = rng.choice(others)
    fast = random_negative_partners(labels, np.random.default_rng(seed))
    assert fast.dtype == np.int32 and fast.tolist() == slow.tolist()


@given(label_lists, st.integers(0, 2**32 - 1))
def test_negatives_are_of_another_class_where_there_is_one(labels, seed):
    labels = np.array(labels, dtype=int)
    partner = random_negative_partners(labels, np.random.default_rng(seed))
    if len(set(labels.tolist())) > 1:
        assert (labels[partner] != labels).all()
    else:
        assert partner.tolist() == list(range(len(labels)))


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_drawn_partners_stand_two_by_two(count, seed):
    partner = drawn_partners(count, np.random.default_rng(seed))
    assert (partner[partner] == np.arange(count)).all()
    assert (partner == np.arange(count)).sum() == count % 2


def test_drawn_partners_are_of_one_class_as_often_as_chance_has_it():
    """Of 8 photographs of 2 classes, 3 of the 7 others are of one's own."""
    labels = np.repeat([0, 1], 4)
    rng = np.random.default_rng(0)
    same = [labels[drawn_partners(8, rng)] == labels for _ in range(2000)]
    assert np.mean(same) == pytest.approx(3 / 7, abs=0.02)


def test_a_batch_of_drawn_pairs_says_which_are_of_one_class():
    targets = np.eye(2, dtype="float32")[[0, 0, 1, 1, 0, 1]]
    images = np.zeros((6, 4, 4, 3))
    # The first batch is positive, the next three are drawn.
    drawn = [pair_batch(images, targets, 0.25, 0, number, "drawn") for number in (1, 2, 3)]
    for inputs, answers in drawn:
        same = (targets == targets[inputs["partner"]]).all(axis=1)
        assert (answers["same_class"] == np.stack([~same, same], axis=1)).all()
    assert len({tuple(inputs["partner"]) for inputs, _ in drawn}) > 1


def test_targets_say_same_in_column_one():
    targets = same_class_targets(np.eye(7)[[5, 5, 6]], np.array([1, 0, 0]))
    assert targets.tolist() == [[0, 1], [0, 1], [1, 0]]


def test_targets_of_mixed_images_are_as_soft_as_their_labels():
    shares = np.array([[0.75, 0.25, 0], [0.5, 0, 0.5]], np.float32)
    targets = same_class_targets(shares, np.array([1, 0]))
    # Both show the first class with 0.75 x 0.5, and no other class stands in both.
    assert targets.tolist() == [[0.625, 0.375]] * 2


def batches_of(sizes, classes=4):
    rng = np.random.default_rng(0)
    for size in sizes:
        yield rng.random((size, 2, 2, 3)), np.eye(classes)[rng.integers(0, classes, size)]


@pytest.mark.parametrize("rate,expected", [(0.25, 5), (0.0, 0), (1.0, 20), (0.5, 10)])
def test_positive_batches_come_at_the_set_rate(rate, expected):
    positive = 0
    for inputs, targets in PairGenerator(batches_of([12] * 20), rate):
        labels = targets["category"].argmax(axis=1)
        partner = inputs["partner"]
        assert targets["same_class"][:, 1].tolist() == (labels == labels[partner]).tolist()
        positive += bool((labels == labels[partner]).any())
    assert positive == expected


def test_any_iterator_of_any_batch_size_the_short_last_one_included():
    batches = list(batches_of([5, 1, 3]))
    for (inputs, targets), (images, labels) in zip(
        PairGenerator(batches, 0.5), batches, strict=True
    ):
        np.testing.assert_array_equal(inputs["image"], images)
        np.testing.assert_array_equal(targets["category"], labels)
        assert inputs["partner"].shape == (len(images),)
        assert targets["same_class"].shape == (len(images), 2)


def test_a_resumed_generator_goes_on_as_it_would_have():
    batches = list(batches_of([8] * 10))
    whole = [inputs["partner"].tolist() for inputs, _ in PairGenerator(batches, seed=3)]
    rest = PairGenerator(batches[4:], seed=3, first_batch=4)
    assert [inputs["partner"].tolist() for inputs, _ in rest] == whole[4:]


@pytest.fixture
def flow(tmp_path):
    """Keras's own iterator over ten images of two classes, in batches of 4, 4 and 2."""
    from finegrain.images.drop_in import ImageDataGenerator

    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.new("RGB", (9, 9), (40 * number, 0, 0)).save(tmp_path / label / f"{number}.png")
    return ImageDataGenerator().flow_from_directory(
        tmp_path, target_size=(8, 8), batch_size=4, seed=1
    )


def test_over_keras_own_flow_from_directory(flow):
    pairs = PairGenerator(flow)
    sizes = [len(next(pairs)[0]["partner"]) for _ in range(6)]
    assert sizes == [4, 4, 2, 4, 4, 2]


def softmax_and_pair_head():
    """The smallest model that takes what a pair generator gives, and keeps what it was given."""
    image, partner = keras.Input((8, 8, 3), name="image"), keras.Input((), name="partner")
    embedding = keras.layers.GlobalAveragePooling2D()(image)
    both = keras.layers.Concatenate()([embedding, keras.layers.Reshape((1,))(partner)])
    outputs = {
        "category": keras.layers.Dense(2, activation="softmax")(embedding),
        "same_class": keras.layers.Dense(2, activation="softmax")(both),
    }
    model = keras.Model({"image": image, "partner": partner}, outputs)
    model.compile("sgd", dict.fromkeys(outputs, "categorical_crossentropy"))
    return model


class Steps(keras.callbacks.Callback):
    """Counts the batches of each epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs = [*getattr(self, "epochs", []), 0]

    def on_train_batch_end(self, batch, logs=None):
        self.epochs[-1] += 1


@pytest.mark.parametrize("steps", [None, 3])
def test_a_flow_of_images_goes_straight_into_fit(flow, steps):
    counted = Steps()
    softmax_and_pair_head().fit(
        PairGenerator(flow), steps_per_epoch=steps, epochs=2, verbose=0, callbacks=[counted]
    )
    assert counted.epochs == [3, 3]


def test_each_epoch_of_a_fit_has_every_image_and_positive_batches_at_the_set_rate(flow):
    pairs = PairGenerator(flow, 0.5)
    seen, positive = [], 0
    for _ in range(4):
        for index in range(pairs.num_batches):
            inputs, targets = pairs[index]
            seen += inputs["image"][:, 0, 0, 0].tolist()
            labels = targets["category"].argmax(axis=1)
            assert (
                targets["same_class"][:, 1].tolist()
                == (labels == labels[inputs["partner"]]).tolist()
            )
            positive += is_positive_batch(pairs.batch + index, 0.5)
        pairs.on_epoch_end()
    assert sorted(seen) == sorted(4 * [40.0 * number for number in range(5)] * 2)
    assert seen[:10] != seen[10:20]
    assert positive == 6


def test_a_stream_without_an_end_goes_into_fit_without_losing_a_batch():
    drawn = []

    def stream():
        for number in itertools.count():
            drawn.append(number)
            yield np.full((2, 8, 8, 3), number, "float32"), np.eye(2)

    pairs = PairGenerator(stream(), 0.0)
    # As Keras does on TensorFlow: two batches to see their shapes, then from the first on.
    asked = [0, 1, 0, 1, 2, 3]
    given = [int(pairs[index][0]["image"][0, 0, 0, 0]) for index in asked]
    assert given == asked and drawn == [0, 1, 2, 3]
    counted = Steps()
    softmax_and_pair_head().fit(
        PairGenerator(stream()),
        steps_per_epoch=3,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[counted],
    )
    assert counted.epochs == [3, 3]


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(ValueError, match="positive_rate=1.5"):
        PairGenerator([], 1.5)


def test_images_over_255_are_noticed_once():
    labels = np.eye(2, dtype="float32")
    scaled = [(np.full((2, 4, 4, 3), 0.5), labels)] * 2
    pairs = PairGenerator(scaled)
    with pytest.warns(UserWarning, match="leave rescale=1/255 out"):
        next(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(pairs)
        next(PairGenerator([(np.full((2, 4, 4, 3), 200.0), labels)]))
        # Features are of any size.
        next(PairGenerator([({"embedding": np.zeros((2, 8))}, labels)]))
