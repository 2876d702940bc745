"""`recipes/bird_fine_tune.py --recipe original` against what its sources are known to have done.

The numbers are typed from the write-ups, not taken from the code.
"""

import json
import sys

import keras
import pytest
from commands import REPOSITORY

from finegrain.models.bird_models import bird_models, find_bird_model
from finegrain.models.image_heads import find_head, head_embedding

# Backbone, side in pixels, head, width and two dropouts before the softmax, epochs of stage 2.
SOURCES = {
    "vgg16": ("vgg16", 300, "plain", 1024, 0, 0.5, 30),
    "efficientnet_b4": ("efficientnet_b4", 224, "plain", 1024, 0, 0.5, 30),
    "efficientnet_b3_attention": (
        *("efficientnet_b3", 224, "attention_coded"),
        *(1000, 0.25, 0.25, 30),
    ),
    "efficientnet_b3_se": ("efficientnet_b3", 224, "se_coded", 1000, 0.25, 0.25, 30),
    "efficientnet_b3_cbam": ("efficientnet_b3", 224, "cbam_coded", 1000, 0.25, 0.25, 30),
    "bilinear_efficientnet": (
        *("efficientnet_b3", 256, "bilinear_attention_coded"),
        *(1000, 0.25, 0.25, 30),
    ),
    "bilinear_vgg16": ("vgg16", 300, "bilinear", 1024, 0, 0.5, 100),
}
# Of 1536 channels: scale and shift of the BatchNormalization, then the attention.
NORM, C = 2 * 1536, 1536
MASK = (C * 64 + 64) + (64 * 16 + 16) + (16 * 8 + 8) + (8 + 1)
TRAINABLE = {
    "attention_coded": NORM + MASK,
    "se_coded": NORM + (C * 192 + 192) + (192 * C + C),
    # The two dense layers, and a convolution of 7 x 7 over mean and maximum.
    "cbam_coded": NORM + (C * 192 + 192) + (192 * C + C) + 7 * 7 * 2,
    "bilinear_attention_coded": NORM + MASK + C,
}


@pytest.fixture
def recipe_script(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "recipes"))
    import bird_fine_tune

    yield bird_fine_tune
    sys.modules.pop("bird_fine_tune")


def settings_of(script, name, tmp_path, recipe, **more):
    asked = script.Settings.recipes()[recipe] | {"recipe": recipe, **more}
    settings = script.Settings(data=tmp_path, run=tmp_path, model=name, **asked)
    return script.complete(settings, find_bird_model(name))


def test_every_model_has_a_source():
    assert set(SOURCES) == set(bird_models())


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_original_is_to_the_letter(name, recipe_script, tmp_path):
    settings = settings_of(recipe_script, name, tmp_path, "original")
    *head, epochs = SOURCES[name]
    names = ("backbone", "image_size", "head", "hidden", "hidden_dropout", "dropout")
    assert [getattr(settings, each) for each in names] == head
    assert settings.batch_size == 32
    frozen, unfrozen = settings.stages(settings.unfreeze_from)
    assert (frozen.epochs, unfrozen.epochs) == (3, epochs)
    assert frozen.unfreeze_from is None and unfrozen.unfreeze_from == "0"
    for stage in (frozen, unfrozen):
        assert (stage.optimizer, stage.learning_rate) == ("adam", 1e-4)
        assert stage.augmentation is None and stage.train_batch_norm
        assert (stage.monitor, stage.schedule) == ("accuracy", "plateau")
        assert (stage.reduce_factor, stage.reduce_patience, stage.stop_patience) == (0.2, 4, 5)


def test_what_is_given_wins_over_the_source(recipe_script, tmp_path):
    more = {"head": "se", "unfrozen_epochs": 2, "backbone": "mobilenet_v2"}
    settings = settings_of(recipe_script, "efficientnet_b3_se", tmp_path, "original", **more)
    assert (settings.head, settings.unfrozen_epochs, settings.image_size) == ("se", 2, None)


def test_our_own_defaults_stand(recipe_script, tmp_path):
    settings = settings_of(recipe_script, "bilinear_vgg16", tmp_path, "ours")
    assert (settings.backbone, settings.unfrozen_epochs) == ("vgg16_conv5", 30)
    frozen, unfrozen = settings.stages("0")
    assert (frozen.learning_rate, unfrozen.learning_rate) == (1e-3, 1e-4)
    assert unfrozen.augmentation is not None and unfrozen.monitor == "loss"


@pytest.mark.parametrize("name", sorted(TRAINABLE))
def test_a_head_as_first_coded_has_the_layers_of_its_source(name):
    features = keras.Input((7, 7, C))
    model = keras.Model(features, head_embedding(features, find_head(name)))
    learning = sum(int(keras.ops.size(variable)) for variable in model.trainable_variables)
    assert learning == TRAINABLE[name]
    assert model.get_layer("head_norm").momentum == 0.99
    if name == "se_coded":
        begun = model.get_layer("se_narrow").kernel_initializer
        assert isinstance(begun, keras.initializers.HeNormal)
    if name == "bilinear_attention_coded":
        (kernel,) = model.get_layer("attention_fan_out").get_weights()
        assert (kernel == 1).all()


def test_a_run_of_the_original_is_judged_by_its_accuracy(script_here, drawn_data, tmp_path):
    run = tmp_path / "run"
    status, said, errors = script_here(
        *("recipes/bird_fine_tune.py", "--recipe", "original", "--model", "efficientnet_b3_se"),
        *("--data", drawn_data, "--run", run, "--backbone", "mobilenet_v2_0.35"),
        *("--weights", "none", "--image-size", "32", "--batch-size", "8"),
        *("--frozen-epochs", "3", "--unfrozen-epochs", "1"),
    )
    assert status == 0, errors
    assert "adam 0.0001; without augmentation" in said
    state = json.loads((run / "1-frozen" / "state.json").read_text())
    accuracies = [row["val_accuracy"] for row in state["history"]]
    best = accuracies.index(max(accuracies)) + 1
    assert state["best"] == f"epoch-{best:04d}.weights.h5"
    numbers = json.loads((run / "results.json").read_text())["stages"]["1-frozen"]
    assert numbers["valid_error"] == pytest.approx(1 - max(accuracies), abs=1e-6)
