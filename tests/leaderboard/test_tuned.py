"""A candidate fold by fold, from a store, on drawn photographs and the small backbone."""

import keras
import numpy as np
import pytest
from commands import REPOSITORY

from finegrain.drawn.breed import demo_breeds
from finegrain.drawn.collection import write_photos
from finegrain.errors import UserError
from finegrain.leaderboard.changes import Changes
from finegrain.leaderboard.clock import OutOfTime
from finegrain.leaderboard.fold_training import Training, answers_by_fold
from finegrain.leaderboard.means import Means
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.tuned import HELD_OUT, TunedBackbone
from finegrain.leaderboard.variant import Backbone, Variant
from finegrain.models.backbone_table import find_backbone
from finegrain.stores.store_folder import GIGABYTE, StoreFolder

WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
SIDE = 64


@pytest.fixture(scope="module")
def partition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_photos(folder, demo_breeds()[:2], per_class=6, seed=2)
    paths = sorted(folder.rglob("*.jpg"))
    of = [path.stem.rpartition("_")[0] for path in paths]
    labels = np.unique(of, return_inverse=True)[1]
    rows = np.arange(len(paths))
    known, held_out = rows[rows % 6 < 4], rows[rows % 6 == 4]
    test = {str(row): paths[row] for row in rows[rows % 6 == 5]}
    return Partition(
        ["one", "other"],
        [paths[row] for row in known],
        labels[known],
        known % 2,
        [paths[row] for row in held_out],
        labels[held_out],
        test,
        {path: str(path) for path in paths},
    )


@pytest.fixture
def means(tmp_path):
    def made(rounded=False, memory_gb=6.0, on_rows=lambda: None):
        folder = StoreFolder(tmp_path / "cache", GIGABYTE)
        return Means(folder, 4, 0, False, 1, memory_gb, rounded, on_rows)

    return made


def variant(views=2):
    backbone = Backbone(find_backbone("xception_small"), str(WEIGHTS))
    return Variant(backbone, SIDE, "block14_sepconv1_act", views)


@pytest.mark.parametrize(
    "changes",
    [
        Changes(unfrozen_epochs=1),
        Changes(1, pair_loss="supervised-contrastive", pooling="gem", neck="bn"),
    ],
)
def test_each_fold_is_answered_by_what_has_not_learnt_it(changes, partition, means):
    opened = TunedBackbone(partition, variant(), means())
    epochs = []
    for count, found in enumerate(answers_by_fold(opened, changes, lambda: epochs.append(1)), 1):
        answered = found.out_of_fold.sum(axis=1)
        np.testing.assert_allclose(answered, partition.folds < count, atol=1e-5)
        for sums in (found.held_out, found.test):
            np.testing.assert_allclose(sums.sum(axis=1), count, atol=1e-5)
    opened.close()
    assert len(epochs) == partition.fold_count == 2


def test_the_saved_model_answers_as_the_training_did(partition, means):
    opened = TunedBackbone(partition, variant(), means())
    everything = np.arange(len(partition.known))
    training = Training(opened, Changes(unfrozen_epochs=1), everything)
    training.learn(everything, 0, lambda: None)
    from_store = training.answer(HELD_OUT, np.arange(len(partition.held_out)))
    frame = opened.frame
    opened.close()
    from finegrain.decode import read_pixels

    pixels = np.stack([read_pixels(path, frame) for path in partition.held_out])
    model = training.finished()
    both = [np.asarray(model(images)) for images in (pixels, pixels[:, :, ::-1])]
    np.testing.assert_allclose(np.mean(both, axis=0), from_store, atol=2e-3)


def test_rounding_is_for_its_own_networks_alone(partition, means, monkeypatch):
    monkeypatch.setattr("finegrain.leaderboard.tuned.gains_by_rounding", lambda _: True)
    opened = TunedBackbone(partition, variant(), means(rounded=True))
    _, model = opened.model(Changes())
    cut = opened.cut(model)
    opened.close()
    assert keras.config.dtype_policy().name == "float32"
    # Both parts: what fills the store compares itself with full precision by it.
    for part in (model.get_layer("backbone"), cut.below, cut.above):
        assert part.dtype_policy.name == "mixed_bfloat16"


def test_what_takes_too_long_or_too_much_memory_ends(partition, means):
    def over():
        raise OutOfTime

    with pytest.raises(OutOfTime, match="the minutes are over"):
        TunedBackbone(partition, variant(), means(on_rows=over))
    with pytest.raises(UserError, match="is likely to take .*; give more --memory-gb"):
        TunedBackbone(partition, variant(), means(memory_gb=0.001))
    # What was stored before the end is there for the next time.
    TunedBackbone(partition, variant(), means()).close()
