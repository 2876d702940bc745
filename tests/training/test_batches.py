"""A batch learnt in parts, against the same batch learnt whole."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.models.layers import SquaredDifference, TakePartner
from finegrain.training.batches import ValidationParts, training_parts
from finegrain.training.objectives import find_objective
from finegrain.training.optimizers.accumulated import model_in_parts
from finegrain.training.pairs import (
    PairGenerator,
    random_negative_partners,
    same_class_targets,
    swap_positive_partners,
)

CLASSES, SIDE = 3, 6
SPLIT, SPLIT_PAIRS = (find_objective(name).split for name in ("softmax", "multi-loss"))


def chance(seed=0):
    return np.random.default_rng(seed)


def photos(count, seed=0, classes=CLASSES):
    labels = chance(seed).integers(0, classes, count)
    images = chance(seed + 1).uniform(0, 255, (count, SIDE, SIDE, 3)).astype("float32")
    return images, np.eye(classes, dtype="float32")[labels]


def pair_batch(count, positive, seed=0):
    images, one_hot = photos(count, seed)
    labels = one_hot.argmax(axis=1)
    partner = (
        swap_positive_partners(labels)
        if positive
        else random_negative_partners(labels, chance(seed))
    )
    targets = {"category": one_hot, "same_class": same_class_targets(one_hot, partner)}
    return {"image": images, "partner": partner}, targets


def pairs_of(inputs, targets):
    """Every row as (image, partner's image, class, same class), in an order of its own."""
    images = inputs["image"][:, 0, 0, 0]
    return sorted(
        zip(
            images.tolist(),
            images[inputs["partner"]].tolist(),
            targets["category"].argmax(axis=1).tolist(),
            targets["same_class"][:, 1].tolist(),
            strict=True,
        )
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 99))
def test_swapped_pairs_stay_together(count, parts, seed):
    batch = pair_batch(count, positive=True, seed=seed)
    cut = SPLIT_PAIRS(*batch, parts, chance())
    pairs = [pair for part in cut for pair in pairs_of(*part)]
    assert pairs and sorted(pairs) == pairs_of(*batch)
    sizes = [len(inputs["image"]) for inputs, _ in cut]
    assert max(sizes) - min(sizes) <= 2
    assert len(cut) == min(parts, -(-count // 2))
    for inputs, _ in cut:
        assert inputs["partner"].dtype == np.int32


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 20), st.integers(1, 4), st.integers(0, 99))
def test_negatives_are_drawn_anew_inside_each_part(count, parts, seed):
    inputs, targets = pair_batch(count, positive=False, seed=seed)
    if (inputs["partner"][inputs["partner"]] == np.arange(count)).all():
        return
    cut = SPLIT_PAIRS(inputs, targets, parts, chance())
    seen = np.concatenate([part["image"] for part, _ in cut])
    assert sorted(seen[:, 0, 0, 0]) == sorted(inputs["image"][:, 0, 0, 0])
    for part, goal in cut:
        labels = goal["category"].argmax(axis=1)
        same = labels[part["partner"]] == labels
        np.testing.assert_array_equal(goal["same_class"][:, 1], same)
        if len(set(labels.tolist())) > 1:
            assert not same.any()


def test_weights_make_the_parts_mean_that_of_the_batch():
    batches = [photos(7, 1), photos(8, 2), photos(1, 3)]
    losses = iter(chance().uniform(size=16))
    got = list(training_parts(batches, SPLIT, 3))
    assert len(got) == 9
    assert [len(images) for images, _, _ in got[:6]] == [3, 2, 2, 3, 3, 2]
    for start, batch in zip((0, 3, 6), batches, strict=True):
        per_image = {image[0, 0, 0]: next(losses) for image in batch[0]}
        means = [
            np.mean(weights * [per_image[image[0, 0, 0]] for image in images])
            for images, _, weights in got[start : start + 3]
        ]
        assert np.mean(means) == pytest.approx(np.mean(list(per_image.values())))


def test_a_resumed_cut_goes_on_as_it_would_have():
    batches = [pair_batch(6, positive=False, seed=seed) for seed in range(6)]
    whole = [
        part[0]["partner"].tolist() for part in training_parts(batches, SPLIT_PAIRS, 2, seed=5)
    ]
    rest = training_parts(batches[4:], SPLIT_PAIRS, 2, seed=5, first_batch=4)
    assert [part[0]["partner"].tolist() for part in rest] == whole[8:]


def small_model(pairs, seed=3):
    """The shape of the project's models, without a backbone worth the name."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(image)
    features = keras.layers.Conv2D(4, 3, activation="relu")(scaled)
    embedding = keras.layers.GlobalAveragePooling2D(dtype="float32")(features)
    category = keras.layers.Dense(CLASSES, activation="softmax", dtype="float32", name="category")(
        embedding
    )
    if not pairs:
        return keras.Model(image, category)
    partner = keras.Input((), dtype="int32", name="partner")
    difference = SquaredDifference()([embedding, TakePartner()([embedding, partner])])
    same = keras.layers.Dense(2, activation="softmax", dtype="float32", name="same_class")(
        difference
    )
    return keras.Model(
        {"image": image, "partner": partner}, {"category": category, "same_class": same}
    )


def arguments(pairs):
    loss = "categorical_crossentropy"
    if not pairs:
        return {"loss": loss, "metrics": ["accuracy"]}
    names = ("category", "same_class")
    return {
        "loss": dict.fromkeys(names, loss),
        "loss_weights": {"category": 1.0, "same_class": 0.5},
        "metrics": {name: ["accuracy"] for name in names},
    }


def optimizers():
    return {
        "adam": lambda: keras.optimizers.Adam(0.01),
        "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    }


def numbers(variable):
    return keras.ops.convert_to_numpy(variable)


def trained(batches, parts, pairs, optimizer="sgd", epochs=2):
    """Weights, optimizer state and history of a training in so many parts."""
    model = small_model(pairs)
    model.compile(optimizer=optimizers()[optimizer](), **arguments(pairs))
    model.optimizer.build(model.trainable_variables)
    fitted = model_in_parts(model, parts, arguments(pairs))
    endless = (batch for _ in range(epochs + 1) for batch in batches)
    if parts > 1:
        endless = training_parts(endless, SPLIT_PAIRS if pairs else SPLIT, parts)
    history = fitted.fit(
        endless, steps_per_epoch=parts * len(batches), epochs=epochs, shuffle=False, verbose=0
    ).history
    state = [*model.get_weights(), *map(numbers, model.optimizer.variables)]
    return state, history


def assert_same_training(mine, theirs, rtol=2e-4, losses=True):
    for ours, others in zip(mine[0], theirs[0], strict=True):
        np.testing.assert_allclose(ours, others, rtol=rtol, atol=2e-6)
    assert mine[1].keys() == theirs[1].keys()
    for name in mine[1] if losses else ():
        np.testing.assert_allclose(mine[1][name], theirs[1][name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("optimizer,parts", [("sgd", 2), ("adam", 4)])
def test_softmax_in_parts_learns_what_the_whole_batch_teaches(optimizer, parts):
    batches = [photos(16, seed) for seed in range(3)]
    whole = trained(batches, 1, pairs=False, optimizer=optimizer)
    assert_same_training(trained(batches, parts, pairs=False, optimizer=optimizer), whole)


def test_positive_pairs_in_parts_learn_what_the_whole_batch_teaches():
    batches = [pair_batch(16, positive=True, seed=seed) for seed in range(3)]
    whole = trained(batches, 1, pairs=True)
    for parts in (2, 4):
        assert_same_training(trained(batches, parts, pairs=True), whole)


def test_short_and_crooked_batches_teach_the_same_too():
    batches = [photos(7, 0), photos(5, 1), photos(1, 2)]
    whole = trained(batches, 1, pairs=False)
    # What is logged of unequal parts is only nearly the mean of the epoch.
    assert_same_training(trained(batches, 3, pairs=False), whole, losses=False)


def test_the_optimizer_counts_batches_not_parts():
    batches = [photos(8, seed) for seed in range(3)]
    state, _ = trained(batches, 4, pairs=False, epochs=1)
    assert state[len(small_model(False).weights)] == 3


def test_float16_in_parts_keeps_its_loss_scale():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_model(False)
        model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), **arguments(False))
        model.optimizer.build(model.trainable_variables)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        fitted = model_in_parts(model, 2, arguments(False))
        assert fitted.optimizer.wrapped is model.optimizer
        # A scale at which float16 overflows: whole steps are left out until it has come down.
        model.optimizer.dynamic_scale.assign(2.0**24)
        before = model.get_weights()
        fitted.fit(
            training_parts([photos(8)], SPLIT, 2), steps_per_epoch=2, shuffle=False, verbose=0
        )
        for ours, others in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, others)
        assert float(model.optimizer.dynamic_scale) == 2.0**23
        batches = [photos(8, seed) for seed in range(20)]
        fitted.fit(training_parts(batches, SPLIT, 2), steps_per_epoch=40, shuffle=False, verbose=0)
        taken = int(model.optimizer.inner_optimizer.iterations)
        assert 0 < taken < 20
        assert float(model.optimizer.dynamic_scale) == 2.0 ** (23 - (20 - taken))
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
    finally:
        keras.config.set_dtype_policy("float32")


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def validated(model, batches):
    return model.evaluate(batches, verbose=0, return_dict=True)


def test_validation_in_parts_finds_the_same_losses():
    model = small_model(True)
    model.compile(**arguments(True))
    even = Batches(list(PairGenerator([photos(8, 0), photos(8, 1)], positive_rate=1.0)))
    cut = ValidationParts(even, SPLIT_PAIRS, 2)
    assert validated(model, cut) == pytest.approx(validated(model, even), rel=1e-5)
    short = Batches(list(PairGenerator([photos(8, 0), photos(5, 1)], positive_rate=1.0)))
    cut = ValidationParts(short, SPLIT_PAIRS, 4)
    assert len(cut) == 4 + 3
    found, expected = validated(model, cut), validated(model, short)
    # On TensorFlow Keras takes the mean of an output's loss by batch, whatever its size.
    for name in ("loss", "category_accuracy", "same_class_accuracy"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)
