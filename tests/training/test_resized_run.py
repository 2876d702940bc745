"""A finished run's model for pictures of another size."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_config import read_config
from finegrain.runs.run_folder import RunFolder
from finegrain.training.build import rebuild_model, take_trained
from finegrain.training.objectives import find_objective
from finegrain.training.resized_run import resized_run

CLASSES = ["collie", "pug", "whippet"]


@pytest.fixture(scope="module", params=["softmax", "multi-loss"])
def folder(request, tmp_path_factory):
    """A finished run of a pretrained network's layers, untrained, on crops of 32 pixels."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    config = {
        "recipe": request.param,
        "backbone": "mobilenet_v2_0.35",
        "image_size": [32, 32],
        "settings": {"fit": "crop"},
        "data": {"digest": "0" * 64, "class_counts": [1, 2, 3], "folder": "absent"},
        "weights": {"digest": "0" * 64},
    }
    run = RunFolder.start(folder, config, CLASSES)
    keras.utils.set_random_seed(5)
    model = rebuild_model(read_config(folder), (32, 32), len(CLASSES))
    for variable in model.weights:
        # Neither statistics nor biases that are nought or one.
        variable.assign(variable + keras.random.uniform(variable.shape, 0, 0.1))
    run.save_model(find_objective(request.param).finished(model))
    return folder


def enlarged(folder):
    """The classifier for 64 pixels, by putting another input into the saved model's own layers."""
    model = open_finished_run(folder).classifier()
    text = model.to_json()
    assert text.count("[null, 32, 32, 3]") >= 2
    wider = keras.models.model_from_json(text.replace("[null, 32, 32, 3]", "[null, 64, 64, 3]"))
    wider.set_weights(model.get_weights())
    return wider


def test_the_same_layers_answer_for_larger_pictures(folder):
    run = open_finished_run(folder)
    large = resized_run(run, 64)
    assert large.frame == Frame(64, 64, "crop") and large.classes == CLASSES
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    answers = keras.ops.convert_to_numpy(large.classifier()(pictures))
    expected = keras.ops.convert_to_numpy(enlarged(folder)(pictures))
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    assert answers.std() > 1e-4


def test_at_its_own_size_a_run_stays_as_it_is(folder):
    run = open_finished_run(folder)
    assert resized_run(run, None) is run and resized_run(run, 32) is run


def test_a_submission_at_another_size(folder, script_here, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "answers.csv"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype="uint8")
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).resize((90, 70)).save(photos / f"{number}.png")
    script = "single_model_test.py" if "softmax" in folder.name else "baidu_dog_test.py"
    flags = ("--images", photos, "--output", output, "--format", "probabilities")
    status, out, errors = script_here(script, "--run", folder, *flags, "--image-size", 64)
    assert status == 0, errors
    assert "64 x 64 pixels" in out
    with output.open(newline="") as file:
        rows = {row.pop("id"): list(map(float, row.values())) for row in csv.DictReader(file)}
    model = enlarged(folder)
    for path in sorted(photos.iterdir()):
        pixels = read_pixels(path, Frame(64, 64, "crop"))[None].astype("float32")
        expected = keras.ops.convert_to_numpy(model(pixels))[0]
        np.testing.assert_allclose(rows[path.stem], expected, atol=1e-4)


def test_a_size_that_the_backbone_cannot_take_is_refused(folder):
    config = json.loads((folder / "config.json").read_text()) | {"backbone": "inception_v3"}
    (folder.parent / "other").mkdir(exist_ok=True)
    for name in ("classes.json", "model.keras"):
        (folder.parent / "other" / name).write_bytes((folder / name).read_bytes())
    (folder.parent / "other" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="inception_v3 cannot be built for --image-size 48"):
        resized_run(open_finished_run(folder.parent / "other"), 48)


def test_weights_that_go_with_the_size_are_refused():
    def flat(side):
        image = keras.Input((side, side, 3), name="image")
        return keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))

    with pytest.raises(UserError, match="pictures of 8 pixels, so that it cannot take those of 12"):
        take_trained(flat(12), flat(8))
