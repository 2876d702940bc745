"""Joined rows: by path, each once, the same from memory and from disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.errors import UserError
from finegrain.merging import rows as rows_module
from finegrain.merging.answers import answer
from finegrain.merging.joined import join_features
from finegrain.merging.rows import FeatureRows, shuffled_in_blocks
from finegrain.merging.split import split_rows


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 50), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_an_order_in_blocks_holds_each_row_once(count, block, buffer, seed):
    order = shuffled_in_blocks(count, block, buffer, np.random.default_rng(seed))
    assert sorted(order) == list(range(count))
    # A buffer is made of whole blocks but for those cut at its two ends and the last of all.
    blocks = {}
    for place, row in enumerate(order):
        blocks.setdefault(row // block, set()).add(place // buffer)
    for used in blocks.values():
        assert max(used) - min(used) <= -(-block // buffer)


def marked(split, numbers):
    """Rows whose every number tells the photograph."""
    return (
        [f"{split}/{n}.jpg" for n in numbers],
        [n % 2 for n in numbers],
        np.array([[n, 10 * n] for n in numbers], "float32"),
    )


@pytest.fixture
def joined(tmp_path, make_features):
    orders = {"a": (range(40), range(100, 120)), "b": (range(39, -1, -1), range(119, 99, -1))}
    files = []
    for name, (train, valid) in orders.items():
        splits = {"train": marked("train", train), "valid": marked("valid", valid)}
        files.append(FeatureFile(make_features(tmp_path / f"{name}.h5", ["x", "y"], splits)))
    return join_features(files)


@pytest.mark.parametrize("in_memory", [True, False])
def test_each_row_comes_once_with_its_own_numbers_in_both_files(joined, in_memory, monkeypatch):
    monkeypatch.setattr(rows_module, "BUFFER_BYTES", 16 * 12)
    monkeypatch.setattr(rows_module, "BLOCK_ROWS", 3)
    parts = (("train", np.arange(5, 40)), ("valid", np.array([0, 7, 3])))
    rows = FeatureRows(joined, parts, in_memory)
    numbers = [int(path.split("/")[1][:-4]) for path in rows.paths]
    orders = []
    for epoch in range(2):
        seen = []
        for embeddings, labels in rows.shuffled(["a", "b"], 4, np.random.default_rng(epoch)):
            np.testing.assert_array_equal(embeddings["a"], embeddings["b"])
            assert (labels == embeddings["a"][:, 0] % 2).all() and len(labels) <= 4
            seen += embeddings["a"][:, 0].astype(int).tolist()
        assert sorted(seen) == sorted(numbers)
        orders.append(seen)
    assert orders[0] != orders[1]
    in_order = [row for values, _ in rows.in_order(["b"]) for row in values["b"][:, 0].tolist()]
    assert in_order == numbers


def test_copies_of_a_photograph_and_its_views_stay_on_one_side(tmp_path, make_features):
    paths = [f"train/{n % 2}/{n}.jpg" for n in range(40)] * 2
    labels, view = [n % 2 for n in range(40)] * 2, np.repeat([0, 1], 40)
    group = np.array([1 + n // 4 if n < 8 else 0 for n in range(40)] * 2)
    path = make_features(
        tmp_path / "a.h5",
        ["x", "y"],
        {"train": (paths, labels, np.zeros((80, 2), "float32"))},
        group={"train": group},
        view={"train": view},
        views="flip",
    )
    joined = join_features([FeatureFile(path)])
    draws = set()
    for seed in range(5):
        split = split_rows(joined, 0.3, seed, 1e9)
        train, valid = set(split.train.paths), set(split.valid.paths)
        assert not train & valid and len(train | valid) == 40
        assert len(split.train) == 2 * len(train) and len(split.valid) == 2 * len(valid)
        for copies in (range(4), range(4, 8)):
            sides = {f"train/{n % 2}/{n}.jpg" in valid for n in copies}
            assert len(sides) == 1
        draws.add(frozenset(valid))
    assert len(draws) > 1
    with pytest.raises(UserError, match="--valid-fraction"):
        split_rows(joined, None, 0, 1e9)


@pytest.mark.parametrize(("views", "expected"), [("flip", [0.3, 0.7]), ("augmented", [0.2, 0.6])])
def test_mirror_images_are_averaged_and_augmented_views_left_out(
    tmp_path, make_features, views, expected
):
    given = np.array([[0.2], [0.6], [0.4], [0.8]], "float32")
    splits = {
        "train": (["train/0.jpg", "train/1.jpg"] * 2, [0, 1, 0, 1], given),
        "valid": (["valid/0.jpg", "valid/1.jpg"] * 2, [0, 1, 0, 1], given),
    }
    view = {split: np.array([0, 0, 1, 1]) for split in splits}
    path = make_features(tmp_path / "a.h5", ["x", "y"], splits, view=view, views=views)
    split = split_rows(join_features([FeatureFile(path)]), None, 0, 1e9)
    assert len(split.train) == 4

    class Itself:
        def predict_on_batch(self, embeddings):
            return embeddings["a"]

    answers = answer(Itself(), split.valid, ["a"], 2)
    assert answers.paths.tolist() == ["valid/0.jpg", "valid/1.jpg"]
    np.testing.assert_allclose(answers.probabilities[:, 1], expected, rtol=1e-6)
    assert answers.labels.tolist() == [0, 1]
