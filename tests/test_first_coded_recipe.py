"""`--recipe as-first-coded` of the dogs' scripts as a user meets it."""

import json

import keras
import numpy as np
import pytest

from finegrain.models.layers import Preprocess

# What the sources have, beside what is asked for to be quick.
CODED = {
    "frozen_optimizer": "nadam",
    "unfrozen_optimizer": "sgd",
    "unfrozen_learning_rate": 1e-4,
    "momentum": 0.9,
    "unfrozen_augmentation": False,
    "pixels": "unit",
    "rotation": 45,
    "shear": 0.2,
    "zoom": 0.2,
    "horizontal_flip": True,
    "dropout": 0.5,
    "reduce_factor": 0.1,
    "reduce_patience": 3,
    "stop_patience": 3,
    "schedule": "plateau",
    "views": 0,
    "unfrozen_views": 0,
}
PAIRS = {
    "category_weight": 2,
    "frozen_same_class_weight": 0,
    "same_class_weight": 0.5,
    "positive_rate": 0.25,
    "negatives": "drawn",
    "pair_start": "random",
}
SMALL = "--backbone mobilenet_v2_0.35 --weights none --image-size 32 --batch-size 8".split()


SHORT = ("--frozen-epochs", "1", "--unfrozen-epochs", "1")


@pytest.mark.parametrize(
    "name, own",
    [("single_model.py", {"batch_size": 8}), ("froze_fine_tune.py", PAIRS)],
)
def test_it_is_as_it_was_first_coded(name, own, script_here, drawn_data, tmp_path):
    run = tmp_path / "run"
    asked = ("--data", drawn_data, "--run", run, "--recipe", "as-first-coded", *SMALL)
    status, said, errors = script_here(name, *asked, *SHORT)
    assert status == 0, errors
    config = json.loads((run / "config.json").read_text())
    assert config["defaults"] == "as-first-coded"
    wanted = CODED | own
    assert {key: config["settings"][key] for key in wanted} == wanted
    assert "nadam 0.002; with augmentation, new views every epoch" in said
    assert "sgd 0.0001; without augmentation" in said
    model = keras.saving.load_model(run / "model.keras")
    assert model.get_layer("preprocess").mode == "unit"
    if name == "froze_fine_tune.py":
        stages = [
            json.loads((run / stage / "state.json").read_text())["settings"]
            for stage in ("1-frozen", "2-unfrozen")
        ]
        assert [stage["same_class_weight"] for stage in stages] == [0, 0.5]
        # Nothing taught the head of pairs in stage 1, and it did not begin with zeros.
        assert abs(model.get_layer("same_class").get_weights()[0]).min() > 0
        status, said, errors = script_here("trick_tune.py", "--run", run)
        assert status == 0 and "3-retrained 10 epochs of" in said, errors
    status, table, errors = script_here("tools/compare.py", "--run", run)
    assert status == 0 and ", as first coded, " in table, errors


def test_its_numbers_are_the_sources(drawn_data, tmp_path):
    """What a quick run is asked for in another way."""
    from froze_fine_tune import Settings as Multi
    from single_model import Settings as Single

    for kind, batch in ((Single, 64), (Multi, 128)):
        settings = kind(drawn_data, tmp_path, **kind.recipes()["as-first-coded"])
        assert settings.batch_size == batch
        frozen, unfrozen = settings.stages("block12_sepconv1_act")
        assert (frozen.epochs, unfrozen.epochs) == (30, 30)
        assert frozen.augmentation is not None and unfrozen.augmentation is None


def test_pixels_are_scaled_as_asked():
    images = np.repeat([0, 51, 255], 3).reshape(1, 3, 1, 3).astype("float32")
    for mode, seen in (("unit", (0, 0.2, 1)), ("none", (0, 51, 255))):
        scaled = keras.ops.convert_to_numpy(Preprocess(mode)(images))
        assert scaled[0, :, 0, 0] == pytest.approx(seen)
