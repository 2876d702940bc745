"""single_model_test.py and baidu_dog_test.py as a user runs them."""

import csv
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.models.heads import CATEGORY
from finegrain.models.multi_loss import multi_loss_model
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
SINGLE, MULTI = "single_model_test.py", "baidu_dog_test.py"
CLASSES = ["collie, rough", "Shih-Tzu", "狗"]


def call(script, *flags, **surroundings):
    """The script in a process of its own, as a user starts it."""
    command = [sys.executable, str(ROOT / script), *(str(flag) for flag in flags)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=120,
        env={**os.environ, **surroundings},
    )


def make_run(folder, recipe, classes, counts, side=32, seed=0):
    """A finished run of a tiny network that never learnt a thing, but answers."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((side, side, 3))
    backbone = keras.Model(image, keras.layers.Conv2D(32, 5, strides=3)(image), name="backbone")
    assemble = multi_loss_model if recipe == "multi-loss" else softmax_model
    model = assemble(backbone, find_backbone("mobilenet_v2"), len(classes))
    # Answers far apart, so that a row in the wrong place cannot hide.
    category = model.get_layer(CATEGORY)
    category.kernel.assign(category.kernel * 10)
    config = {
        "recipe": recipe,
        "settings": {},
        "backbone": "tiny",
        "image_size": [side, side],
        "data": {"digest": "0" * 64, "class_counts": counts, "folder": "absent"},
        "weights": {"digest": "0" * 64},
    }
    RunFolder.start(folder, config, classes).save_model(model)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same classes in another order and one of other classes."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "single", "softmax", CLASSES, [5, 3, 2])
    make_run(folder / "multi", "multi-loss", CLASSES[::-1], [2, 2, 4], side=48, seed=1)
    make_run(folder / "pets", "softmax", ["cat", "dog"], [5, 5])
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve photographs of noise and one that is cut short."""
    folder = tmp_path_factory.mktemp("test photos")
    numbers = np.random.default_rng(0)
    for name in range(1, 13):
        noise = numbers.integers(0, 256, (4, 5, 3), dtype="uint8")
        Image.fromarray(noise).resize((70, 60)).save(folder / f"{name}.jpg")
    (folder / "13.jpg").write_bytes((folder / "12.jpg").read_bytes()[:200])
    return folder


def answers_one_by_one(run_folder, photos, flip):
    """id -> class name -> probability, the slow way; the class prior for the broken photograph."""
    run = open_finished_run(run_folder)
    model = run.classifier()
    prior = run.class_counts / run.class_counts.sum()
    answers = {"13": dict(zip(run.classes, prior, strict=True))}
    for name in range(1, 13):
        pixels = read_pixels(photos / f"{name}.jpg", run.frame).astype("float32")
        views = [pixels, pixels[:, ::-1]] if flip else [pixels]
        mean = np.mean([keras.ops.convert_to_numpy(model(view[None]))[0] for view in views], axis=0)
        answers[str(name)] = dict(zip(run.classes, mean, strict=True))
    return answers


def read_probabilities(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row.pop("id"): row for row in csv.DictReader(file)}


def test_single_model_writes_the_baidu_format(runs, photos, tmp_path):
    output = tmp_path / "predict.txt"
    done = call(SINGLE, "--run", runs / "single", "--images", photos, "--output", output)
    assert done.returncode == 0, done.stderr
    expected = answers_one_by_one(runs / "single", photos, flip=False)
    lines = [line.split("\t") for line in output.read_text(encoding="utf-8").splitlines()]
    assert [image for _, image in lines] == [str(name) for name in range(1, 14)]
    for label, image in lines:
        assert label == max(expected[image], key=expected[image].get)
    assert f"wrote   13 rows to {output}" in done.stdout
    assert "notice" not in done.stdout
    assert "engine  Keras, tensorflow float32; OpenVINO " in done.stdout
    assert "cannot read 1 of 13 images" in done.stderr and "13.jpg" in done.stderr


def test_runs_are_averaged_with_their_mirror_images(runs, photos, tmp_path):
    output = tmp_path / "predict.csv"
    done = call(
        MULTI,
        "--run",
        runs / "multi",
        runs / "single",
        "--images",
        photos,
        "--output",
        output,
        "--format",
        "probabilities",
        "--flip",
        "--batch-size",
        5,
    )
    assert done.returncode == 0, done.stderr
    expected = [answers_one_by_one(runs / name, photos, flip=True) for name in ("multi", "single")]
    written = read_probabilities(output)
    assert list(written) == [str(name) for name in range(1, 14)]
    for image, row in written.items():
        assert list(row) == CLASSES[::-1]
        for name, value in row.items():
            mean = (expected[0][image][name] + expected[1][image][name]) / 2
            assert float(value) == pytest.approx(mean, abs=1e-4)
    assert f"notice  {runs / 'single'} was trained with softmax only" in done.stdout
    assert f"notice  {runs / 'multi'}" not in done.stdout


@pytest.mark.parametrize(
    "flag", [pytest.param("--openvino", marks=pytest.mark.needs("openvino")), "--no-openvino"]
)
def test_the_engine_is_said_and_answers_are_the_same(flag, photos, tmp_path):
    """Thirteen images so large that OpenVINO pays."""
    run = make_run(tmp_path / "large", "softmax", CLASSES, [5, 3, 2], side=1000)
    output = tmp_path / "predict.csv"
    done = call(
        SINGLE,
        "--run",
        run,
        "--images",
        photos,
        "--output",
        output,
        "--format",
        "probabilities",
        "--batch-size",
        4,
        flag,
    )
    assert done.returncode == 0, done.stderr
    (engine,) = [line for line in done.stdout.splitlines() if line.startswith("engine")]
    if flag == "--openvino":
        assert engine.startswith("engine  OpenVINO 20") and "agrees with Keras on 7" in engine
    else:
        assert engine == "engine  Keras, tensorflow float32; OpenVINO was declined"
    # Numbers of the answers come close in bfloat16, not the same.
    expected = answers_one_by_one(run, photos, flip=False)
    for image, row in read_probabilities(output).items():
        assert {name: float(value) for name, value in row.items()} == pytest.approx(
            expected[image], abs=0.02
        )


@pytest.mark.needs("openvino")
@pytest.mark.parametrize("recipe", ["softmax", "multi-loss"])
def test_a_kept_graph_answers_without_keras(recipe, photos, tmp_path):
    run = make_run(tmp_path / "large", recipe, CLASSES, [5, 3, 2], side=1000)
    for name in ("keras", "tensorflow", "jax", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('it is not to be imported')")
    labelled = tmp_path / "labelled"
    for number, name in enumerate(CLASSES, 1):
        (labelled / name).mkdir(parents=True)
        shutil.copy(photos / f"{number}.jpg", labelled / name)
    script = SINGLE if recipe == "softmax" else MULTI
    flags = ["--run", run, "--images", photos, "--format", "probabilities", "--output"]
    first = call(script, *flags, tmp_path / "first.csv")
    assert first.returncode == 0, first.stderr
    again = call(script, *flags, tmp_path / "again.csv", PYTHONPATH=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout.replace("first.csv", "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "first.csv").read_bytes()
    if recipe == "softmax":
        measured = tmp_path / "measured"
        judge = "tools/evaluate.py", "--run", run, "--images", labelled, "--output", measured
        done = call(*judge, PYTHONPATH=str(tmp_path))
        assert done.returncode == 0, done.stderr
        first_rows = read_probabilities(tmp_path / "first.csv")
        rows = list(csv.DictReader((measured / "predictions.csv").open(encoding="utf-8")))
        assert len(rows) == len(CLASSES)
        for row in rows:
            known = {name: float(of) for name, of in first_rows[Path(row["path"]).stem].items()}
            assert row["predicted"] == max(known, key=known.get)
            assert float(row["probability"]) == pytest.approx(max(known.values()), abs=1e-5)


@pytest.mark.needs("openvino")
def test_a_graph_of_an_earlier_model_is_made_anew(photos, tmp_path):
    output, flags = tmp_path / "predict.csv", ["--images", photos, "--format", "probabilities"]
    run = make_run(tmp_path / "run", "softmax", CLASSES, [5, 3, 2], side=1000)
    other = make_run(tmp_path / "other", "softmax", CLASSES, [5, 3, 2], side=1000, seed=3)
    assert call(SINGLE, "--run", run, *flags, "--output", output).returncode == 0
    before, graph = read_probabilities(output), (run / "graph.zip").read_bytes()
    shutil.copy(other / "model.keras", run / "model.keras")
    assert call(SINGLE, "--run", run, *flags, "--output", output).returncode == 0
    after = read_probabilities(output)
    assert after != before
    expected = answers_one_by_one(run, photos, flip=False)
    for image, row in after.items():
        numbers = {name: float(value) for name, value in row.items()}
        assert numbers == pytest.approx(expected[image], abs=0.02)
    assert (run / "graph.zip").read_bytes() != graph


def test_single_model_says_so_when_the_run_is_a_multi_loss_one(runs, photos, tmp_path):
    output = tmp_path / "new" / "predict.csv"
    sample = tmp_path / "sample.csv"
    sample.write_text("image,breed\n10.jpg,x\n13.jpg,x\n2.jpg,x\n")
    done = call(
        SINGLE,
        "--run",
        runs / "multi",
        "--images",
        photos,
        "--output",
        output,
        "--format",
        "kaggle-label",
        "--sample-submission",
        sample,
    )
    assert done.returncode == 0, done.stderr
    assert "is a multi-loss run" in done.stdout and "left out 10 of 13" in done.stdout
    with output.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "breed"]
    assert [row[0] for row in rows] == ["10.jpg", "13.jpg", "2.jpg"]
    # The prior of the photograph that cannot be read: the class with most training images.
    assert rows[1][1] == CLASSES[0]


@pytest.mark.parametrize("script", [SINGLE, MULTI])
def test_help_lists_the_flags(script):
    done = call(script, "--help")
    assert done.returncode == 0
    flags = ("run", "images", "output", "format", "sample-submission", "flip", "batch-size")
    for flag in (*flags, "openvino"):
        assert f"--{flag}" in done.stdout


MISTAKES = {
    "no such folder": ({"--images": ["{tmp}/none"]}, "there is no folder"),
    "images is a file": ({"--images": ["{photos}/1.jpg"]}, "is a file"),
    "empty folder": ({"--images": ["{tmp}/empty"]}, "holds no images"),
    "one id twice": ({"--images": ["{tmp}/twice"]}, "have one id, 7"),
    "training classes": ({"--images": ["{tmp}/train"]}, "subfolders only (狗)"),
    "no batch": ({"--batch-size": ["0"]}, "--batch-size must be at least 1"),
    "no run": ({"--run": []}, "--run names no run folder"),
    "no such run": ({"--run": ["{tmp}/none"]}, "is no run folder"),
    "unfinished run": ({"--run": ["{tmp}/unfinished"]}, "has no finished model"),
    "damaged model": ({"--run": ["{tmp}/damaged"]}, "cannot be loaded"),
    "other classes": ({"--run": ["{runs}/single", "{runs}/pets"]}, "adds cat, dog"),
    "output is a folder": ({"--output": ["{tmp}/empty"]}, "is a folder"),
    "no such sample": ({"--sample-submission": ["{tmp}/none.csv"]}, "there is no file"),
    "sample for baidu": ({"--sample-submission": ["{tmp}/sample.csv"]}, "takes no sample"),
    "sample of other images": (
        {"--sample-submission": ["{tmp}/sample.csv"], "--format": ["kaggle-label"]},
        "asks for 99",
    ),
}


@pytest.fixture
def mistaken_files(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in ("twice/7.jpg", "twice/7.png", f"train/{CLASSES[2]}/1.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    (tmp_path / "sample.csv").write_text("id,label\n1,0\n99,0\n")
    for folder in (tmp_path / "unfinished", tmp_path / "damaged"):
        folder.mkdir()
        for name in ("config.json", "classes.json"):
            (folder / name).write_bytes((runs / "single" / name).read_bytes())
    whole = (runs / "single" / "model.keras").read_bytes()
    (tmp_path / "damaged" / "model.keras").write_bytes(whole[: len(whole) // 2])
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake, runs, photos, mistaken_files, monkeypatch, capfd):
    output = mistaken_files / "predict.txt"
    output.write_text("earlier")
    mistaken, complaint = MISTAKES[mistake]
    flags = {"--run": ["{runs}/single"], "--images": ["{photos}"], "--output": [str(output)]}
    names = {"tmp": mistaken_files, "runs": runs, "photos": photos}
    words = [
        word.format(**names)
        for flag, values in {**flags, **mistaken}.items()
        for word in (flag, *values)
    ]
    status, error = call_here(SINGLE if len(mistake) % 2 else MULTI, words, monkeypatch, capfd)
    assert status == 2
    (sentence,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert complaint in sentence
    assert output.read_text() == "earlier"


def call_here(script, words, monkeypatch, capfd):
    """Exit status and standard error of the script, without another 5 s to import Keras."""
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    return ended.value.code, capfd.readouterr().err


def test_a_mistake_leaves_no_traceback(runs, photos, tmp_path):
    flags = ["--run", runs / "pets", "--images", photos, "--output", tmp_path]
    done = call(SINGLE, *flags)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"error: --output {tmp_path} is a folder" in done.stderr
