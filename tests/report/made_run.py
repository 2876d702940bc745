"""Run folders that no training made, for the tests of the report."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from finegrain.datasets.manifest import open_data_set
from finegrain.evaluation.evaluate import evaluate_split
from finegrain.evaluation.evaluation_file import write_evaluation
from finegrain.runs.predictions import (
    prediction_rows,
    read_sound_predictions,
    top_answers,
    write_predictions,
)
from finegrain.runs.run_folder import describe_data

BEAGLE, EVIL, LONG = "beagle", "<script>alert('&amp;')</script>", "a" * 70
CLASSES = [BEAGLE, EVIL, LONG, "NA"]


def draw_data(folder: Path, classes=CLASSES, train=4, valid=5, photographs=True) -> Path:
    """A data set folder; file names carry what HTML takes for its own."""
    rng, rows = np.random.default_rng(0), []
    for split, count in (("train", train), ("valid", valid)):
        for place, name in enumerate(classes):
            for number in range(count):
                path = f"{split}/{place}/<b>&\"{number}'.jpg"
                if photographs:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                    Image.fromarray(noise).resize((64, 48)).save(folder / path)
                rows.append((path, name, split, 64, 48, f"{split}{place:06d}{number:029d}"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.json").write_text(json.dumps(classes))
    columns = ["path", "label", "split", "width", "height", "sha1"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    return folder


def make_run(folder: Path, data: Path, recipe="multi-loss", seed=0, strength=3.0) -> Path:
    """A run folder with history, answers and measures, without a model."""
    opened = open_data_set(data, may_lack_images=True)
    (folder / "1-frozen").mkdir(parents=True)
    config = {
        "recipe": recipe,
        "settings": {"seed": seed, "frozen_epochs": 2},
        "backbone": "mobilenet_v2_0.35",
        "image_size": [32, 32],
        "precision": "float32",
        "data": describe_data(opened),
        "weights": {"name": "none", "digest": "0123456789abcdef"},
        "versions": {"keras": "3"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "classes.json").write_text(json.dumps(opened.classes))
    write_history(folder / "1-frozen" / "history.csv", [1e-3, 1e-3, 1e-4])
    labels = opened.labels("valid")
    if len(labels):
        write_answers(folder, opened, labels, seed, strength)
    return folder


def write_history(file: Path, rates: list[float]) -> None:
    """A history whose losses fall."""
    names = (
        "loss",
        "val_loss",
        "category_loss",
        "val_category_loss",
        "category_accuracy",
        "val_category_accuracy",
    )
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["epoch", "learning_rate", *names])
        for epoch, rate in enumerate(rates, start=1):
            writer.writerow([epoch, rate, *[0.9 / epoch] * len(names)])


def write_answers(folder: Path, opened, labels, seed: int, strength: float) -> None:
    """Answers by chance, the right one the likelier the larger `strength`."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((len(labels), len(opened.classes)))
    scores[np.arange(len(labels)), labels] += strength * rng.random(len(labels))
    powers = np.exp(scores)
    answers = top_answers(powers / powers.sum(axis=1, keepdims=True), labels)
    paths = opened.rows("valid")["path"].tolist()
    write_predictions(
        folder / "predictions.csv",
        prediction_rows(paths, "valid", labels, answers, opened.classes),
    )
    measure(folder, opened.classes)


def measure(folder: Path, classes: list[str]) -> None:
    """Write evaluation.json from predictions.csv."""
    table, _ = read_sound_predictions(folder / "predictions.csv")
    judged = evaluate_split(table, classes, None)
    write_evaluation(folder / "evaluation.json", {"splits": {"valid": judged}})


def add_model(folder: Path, classes: int) -> None:
    """An untrained model, as a finished training leaves one."""
    from finegrain.models.backbone import build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.multi_loss import multi_loss_model
    from finegrain.runs.run_folder import RunFolder

    spec = find_backbone("mobilenet_v2_0.35")
    model = multi_loss_model(build_backbone(spec, "none", (32, 32)), spec, classes)
    RunFolder.open(folder).save_model(model)
