"""From a JSON of annotations to a submission under its ids, by the scripts that users run."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.datasets.manifest import open_data_set
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.models.heads import CATEGORY
from finegrain.runs.run_folder import RunFolder, describe_data

# Category id, name and colour; the names sort in another order than the ids.
FLOWERS = {0: ("rose", (250, 5, 5)), 1: ("hellebore", (5, 250, 5)), 4: ("bluebell", (5, 5, 250))}
HASHES = ["f3", "0a", "77", "b1", "29", "c8"]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory) -> Path:
    """As FGVC lays them out: train.json without file names, test.json with them."""
    root = tmp_path_factory.mktemp("flowers")
    numbers = np.random.default_rng(0)

    def picture(category: int, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = numbers.integers(-5, 6, (9, 9, 3)) + FLOWERS[category][1]
        Image.fromarray(noise.astype(np.uint8)).resize((40, 40)).save(path)

    annotations = []
    for image in range(30):
        category = list(FLOWERS)[image % 3]
        picture(category, root / f"train/category_{category + 1}/{image}.jpg")
        annotations.append({"id": image, "image_id": image, "category_id": category})
    categories = [{"id": number, "name": name} for number, (name, _) in FLOWERS.items()]
    content = {"annotations": annotations, "categories": categories}
    (root / "train.json").write_text(json.dumps(content))
    images = []
    for row, name in enumerate(HASHES):
        picture(list(FLOWERS)[row % 3], root / "test" / f"{name}.jpg")
        images.append({"id": 501 + row, "file_name": f"{name}.jpg"})
    (root / "test.json").write_text(json.dumps({"images": images}))
    rows = [f"{501 + row},0\n" for row in (4, 0, 5, 2, 1, 3)]
    (root / "sample.csv").write_text("".join(["id,predicted\n", *rows]))
    return root


def colour_run(folder: Path, data_folder: Path) -> Path:
    """A finished run whose head was not trained but told the colour of each class."""
    data = open_data_set(data_folder)
    image = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    backbone = keras.Model(image, mean, name="backbone")
    model = softmax_model(backbone, find_backbone("mobilenet_v2"), len(data.classes))
    colours = dict(FLOWERS.values())
    kernel = np.stack([colours[name] for name in data.classes], axis=1)
    model.get_layer(CATEGORY).kernel.assign(kernel / 50)
    config = {
        "recipe": "softmax",
        "settings": {},
        "backbone": "mean",
        "image_size": [8, 8],
        "data": describe_data(data),
        "weights": {"digest": "0" * 64},
    }
    RunFolder.start(folder, config, data.classes).save_model(model)
    return folder


def test_from_json_to_a_submission_under_its_ids(flowers: Path, tmp_path: Path, script):
    made = script("img2keras.py", "--source", flowers, "--output", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    run = colour_run(tmp_path / "run", tmp_path / "data")
    assert json.loads((run / "classes.json").read_text()) == ["bluebell", "hellebore", "rose"]
    output = tmp_path / "predict.csv"
    done = script(
        "single_model_test.py",
        "--run",
        run,
        "--images",
        flowers / "test.json",
        "--format",
        "kaggle-label",
        "--sample-submission",
        flowers / "sample.csv",
        "--output",
        output,
    )
    assert done.returncode == 0, done.stderr
    with output.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "predicted"]
    assert rows == [[str(501 + row), str((0, 1, 4)[row % 3])] for row in (4, 0, 5, 2, 1, 3)]


def test_ids_that_do_not_match_are_named(flowers: Path, tmp_path: Path, script):
    script("img2keras.py", "--source", flowers, "--output", tmp_path / "data")
    run = colour_run(tmp_path / "run", tmp_path / "data")
    # Without the JSON the ids are the names of the files, which the sample knows nothing of.
    done = script(
        "single_model_test.py",
        "--run",
        run,
        "--images",
        flowers / "test",
        "--format",
        "kaggle-label",
        "--sample-submission",
        flowers / "sample.csv",
        "--output",
        tmp_path / "predict.csv",
    )
    assert done.returncode == 2
    assert "asks for 505, which has no image" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "predict.csv").exists()
