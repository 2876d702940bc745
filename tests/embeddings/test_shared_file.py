"""Embeddings as people share them, read as this project's own."""

import h5py
import numpy as np
import pytest

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.shared_file import SharedFile, open_features
from finegrain.errors import UserError
from finegrain.merging.joined import join_features

RNG = np.random.default_rng(0)
TRAIN, VALID, TEST = (RNG.normal(size=(rows, 4)).astype("float32") for rows in (6, 3, 5))
LABELS = np.array([0, 0, 1, 1, 2, 2])


def write(path, **columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
    return path


def test_the_layout_of_dogs_against_cats(tmp_path):
    path = write(tmp_path / "gap_A.h5", train=TRAIN, label=LABELS, test=TEST)
    with open_features(path, ["7", "3", "1", "9", "4"]) as file:
        assert isinstance(file, SharedFile) and file.knows_test
        assert file.classes == ["0", "1", "2"] and file.width == 4
        assert file.splits["train"].labels.tolist() == LABELS.tolist()
        assert file.splits["unlabelled"].ids.tolist() == ["7", "3", "1", "9", "4"]
        assert (file.splits["unlabelled"].labels == -1).all()
        assert (file.read("train", [5, 0]) == TRAIN[[5, 0]]).all()
        assert (file.read("unlabelled", [2]) == TEST[[2]]).all()


@pytest.mark.parametrize("one_hot", [True, False])
def test_the_layout_of_the_flowers(tmp_path, one_hot):
    labels, valid = LABELS, np.array([2, 0, 1])
    if one_hot:
        labels, valid = (np.eye(3, dtype="float32")[each] for each in (labels, valid))
    columns = {"train_x": TRAIN, "train_label": labels, "valid_x": VALID, "valid_label": valid}
    path = write(tmp_path / "a.h5", **columns, test=TEST.astype("float16"))
    with open_features(path) as file:
        assert file.splits["valid"].labels.tolist() == [2, 0, 1]
        assert file.splits["train"].labels.tolist() == LABELS.tolist()
        assert (file.read("valid", [0, 1, 2]) == VALID).all()
        assert file.read("unlabelled", [0]).dtype == np.float32
        assert not file.knows_test


def test_a_file_without_test_rows_leaves_nothing_to_be_named(tmp_path):
    with open_features(write(tmp_path / "a.h5", train=TRAIN, label=LABELS)) as file:
        assert file.knows_test and "unlabelled" not in file.splits


def test_files_of_one_order_are_joined_and_others_refused(tmp_path):
    one = open_features(write(tmp_path / "a.h5", train=TRAIN, label=LABELS, test=TEST))
    two = open_features(write(tmp_path / "b.h5", train=TRAIN * 2, label=LABELS, test=TEST))
    joined = join_features([one, two])
    read = joined.read(["a", "b"], "train", np.array([1, 4]))
    assert (read["b"] == 2 * read["a"]).all()
    other = open_features(write(tmp_path / "c.h5", train=TRAIN, label=LABELS[::-1], test=TEST))
    with pytest.raises(UserError, match=r"c\.h5 gives 4 photographs of train other labels"):
        join_features([one, other])


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"train": TRAIN, "label": LABELS[:4]}, "6 rows and 4 labels"),
        ({"train": TRAIN, "label": LABELS - 1}, "label holds no class numbers"),
        ({"train": TRAIN, "label": LABELS + 0.5}, "label holds no class numbers"),
        ({"train": TRAIN, "label": LABELS * np.nan}, "label holds no class numbers"),
        ({"train": TRAIN, "label": LABELS * np.inf}, "label holds no class numbers"),
        ({"train": TRAIN[:, :, None], "label": LABELS}, "instead of \\(N, D\\) numbers"),
        ({"train": TRAIN, "label": LABELS, "test": TEST[:, :2]}, "of another width"),
        ({"train": TRAIN, "label": LABELS, "test": TEST, "test_path": ["a"]}, "1 paths of 5 rows"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, columns, said):
    with pytest.raises(UserError, match=said):
        open_features(write(tmp_path / "a.h5", **columns))


def test_as_many_names_as_rows_are_wanted(tmp_path):
    path = write(tmp_path / "a.h5", train=TRAIN, label=LABELS, test=TEST)
    with pytest.raises(UserError, match="has 5 rows of test images, and 2 were named"):
        open_features(path, ["1", "2"])


def test_other_files_are_opened_as_before(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"none")
    for path in (tmp_path / "a.h5", write(tmp_path / "b.h5", something=TRAIN)):
        with pytest.raises(UserError) as ours:
            open_features(path)
        with pytest.raises(UserError) as theirs:
            FeatureFile(path)
        assert str(ours.value) == str(theirs.value)
