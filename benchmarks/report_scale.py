"""How long a report takes when the data set is large: 1,000 classes and 20,000 validation images.

    python benchmarks/report_scale.py --output runs/scale

Makes a run folder without any training: pictures of coloured noise, a small untrained model, and
answers drawn by chance, of which a quarter is wrong and mostly goes to a neighbouring class. Then
its embeddings are computed, as a run that was reported before has them, and tools/report.py is
started: printed are its time, its peak memory and the size of the page. The same command again
measures again without drawing again. Needs 0.5 GB of disk.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from finegrain.command import run_command
from finegrain.datasets.manifest import CLASSES, MANIFEST, open_data_set
from finegrain.errors import UserError
from finegrain.flags import Count, ImageSize
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Measure tools/report.py on a large run that was never trained."""

    # folder for data set and run
    output: Path
    classes: Count = 1_000
    training_images: Count = 20_000
    validation_images: Count = 20_000
    # small, since only embeddings and Grad-CAM of an untrained model are made
    backbone: str = "mobilenet_v2_0.35"
    image_size: ImageSize = 64
    # compute the embeddings before the report
    embeddings: bool = True


def main(settings: Settings) -> None:
    data, run = settings.output / "data", settings.output / "run"
    if not (data / MANIFEST).exists():
        draw(data, settings)
    if not (run / "evaluation.json").exists():
        make_run(data, run, settings)
    if settings.embeddings:
        embed(run)
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "tools/report.py", "--run", str(run)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"tools/report.py ended with {os.waitstatus_to_exitcode(status)}")
    # Linux counts memory in kilobytes.
    print(
        f"{settings.classes} classes, {settings.validation_images} validation images: "
        f"{time.monotonic() - started:.1f} s, peak {usage.ru_maxrss / 1e6:.2f} GB, "
        f"{(run / 'report.html').stat().st_size / 1e6:.1f} MB"
    )


def draw(data: Path, settings: Settings) -> None:
    """A data set folder of JPEGs of coloured noise."""
    rng = np.random.default_rng(0)
    names = [f"class {number:04d}" for number in range(settings.classes)]
    counts = {"train": settings.training_images, "valid": settings.validation_images}
    rows = []
    with tqdm(total=sum(counts.values()), desc="drawing", unit="image", disable=None) as bar:
        for split, count in counts.items():
            for number in range(count):
                label = names[number % len(names)]
                path = f"{split}/{label}/{number}.jpg"
                (data / path).parent.mkdir(parents=True, exist_ok=True)
                noise = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
                picture.save(data / path)
                rows.append((path, label, split, 160, 120, f"{split}{number:035d}"))
                bar.update()
    (data / CLASSES).write_text(json.dumps(names), encoding="utf-8")
    columns = ["path", "label", "split", "width", "height", "sha1"]
    pd.DataFrame(rows, columns=columns).to_csv(data / MANIFEST, index=False)


def make_run(data: Path, run: Path, settings: Settings) -> None:
    """A run folder with an untrained model, and answers by chance."""
    load_keras()
    from finegrain.evaluation.evaluate import evaluate_split
    from finegrain.evaluation.evaluation_file import EVALUATION, write_evaluation
    from finegrain.models.backbone import build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.multi_loss import multi_loss_model
    from finegrain.runs.predictions import (
        PREDICTIONS,
        joined_answers,
        prediction_rows,
        read_predictions,
        top_answers,
        write_predictions,
    )
    from finegrain.runs.run_folder import RunFolder, describe_data

    opened = open_data_set(data)
    spec, size = find_backbone(settings.backbone), (settings.image_size,) * 2
    model = multi_loss_model(build_backbone(spec, "none", size), spec, len(opened.classes))
    config = {
        "recipe": "multi-loss",
        "settings": {},
        "backbone": spec.name,
        "precision": "float32",
        "image_size": list(size),
        "data": describe_data(opened),
        "weights": {"name": "none", "digest": ""},
    }
    folder = RunFolder.start(run, config, opened.classes)
    folder.save_model(model)
    (run / "1-frozen").mkdir(exist_ok=True)
    (run / "1-frozen" / "history.csv").write_text(
        "epoch,learning_rate,category_loss,val_category_loss\n1,0.001,6.2,5.1\n2,0.001,4.9,4.4\n"
    )
    labels, rng = opened.labels("valid"), np.random.default_rng(1)
    blocks = np.array_split(np.arange(len(labels)), max(1, len(labels) // 1000))
    answers = joined_answers(
        [
            top_answers(chance_answers(labels[rows], len(opened.classes), rng), labels[rows])
            for rows in blocks
        ]
    )
    paths = opened.rows("valid")["path"].tolist()
    table = prediction_rows(paths, "valid", labels, answers, opened.classes)
    write_predictions(run / PREDICTIONS, table)
    judged = evaluate_split(read_predictions(run / PREDICTIONS), opened.classes, None)
    write_evaluation(run / EVALUATION, {"splits": {"valid": judged}})


def chance_answers(labels: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """(N,C) float32 probabilities, three quarters right, most mistakes one class further."""
    scores = rng.standard_normal((len(labels), classes), np.float32)
    chance = rng.random(len(labels))
    anywhere = rng.integers(0, classes, len(labels))
    given = np.where(chance < 0.75, labels, (labels + 1) % classes)
    given = np.where(chance > 0.95, anywhere, given)
    rows = np.arange(len(labels))
    scores[rows, labels] += 6
    scores[rows, given] += rng.uniform(4, 12, len(labels)).astype(np.float32)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def embed(run: Path) -> None:
    """Compute the run's embeddings, if they are not there yet."""
    load_keras()
    from finegrain.embeddings.stored import run_embeddings

    started = time.monotonic()
    run_embeddings(run).close()
    print(f"embeddings there after {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    run_command(main, Settings)
