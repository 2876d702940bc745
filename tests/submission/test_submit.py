"""Runs and a folder of images in, a submission out, in one process with tiny runs."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from special_files import make_special_files

from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.models.heads import CATEGORY, EMBEDDING
from finegrain.submission.submission_settings import SubmissionSettings
from finegrain.submission.submit import submit

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}

SQUARE = Frame(4, 4)


@dataclass
class ColourRun:
    """A finished run that knows red, green and blue, in the order of its classes."""

    folder: Path
    classes: list[str]
    class_counts: np.ndarray
    frame: Frame = SQUARE
    sharpness: float = 4.0
    category_ids: list[str] | None = None
    keeps_graph: bool = False

    def model(self) -> keras.Model:
        image = keras.Input((*self.frame.size, 3), name="image")
        channels = keras.layers.GlobalAveragePooling2D(name=EMBEDDING)(image)
        wanted = np.stack([COLOURS[name] for name in self.classes], axis=1) / 255
        dense = keras.layers.Dense(
            len(self.classes), activation="softmax", use_bias=False, name=CATEGORY
        )
        model = keras.Model(image, dense(channels))
        dense.set_weights([wanted * self.sharpness / 255])
        return model


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(["blue", "red", "green", "green", "red", "blue", "red"]):
        Image.new("RGB", (9, 7), COLOURS[name]).save(folder / f"{number + 7}.png")
    return folder


TRUTH = {
    "7": "blue",
    "8": "red",
    "9": "green",
    "10": "green",
    "11": "red",
    "12": "blue",
    "13": "red",
}


def run_of(name, classes, counts, **more):
    return ColourRun(Path("runs") / name, classes, np.array(counts), **more)


def settings_of(photos, **more):
    output = photos.parent / "predict.txt"
    return SubmissionSettings(run=(), images=photos, output=output, batch_size=3, **more)


def read_lines(settings, separator=None):
    separator = separator or ("\t" if settings.format == "baidu" else ",")
    return [line.split(separator) for line in settings.output.read_text().splitlines()]


def test_each_image_gets_its_own_label(photos, capsys):
    settings = settings_of(photos)
    submit(settings, [run_of("a", ["blue", "green", "red"], [1, 1, 1])])
    assert [(image, label) for label, image in read_lines(settings)] == list(TRUTH.items())
    assert f"wrote   7 rows to {settings.output}" in capsys.readouterr().out


def test_unreadable_images_get_the_prior_and_are_named(photos, capsys):
    (photos / "8.png").write_bytes(b"")
    (photos / "14.jpg").symlink_to(photos / "gone.jpg")
    settings = settings_of(photos, format="probabilities")
    submit(settings, [run_of("a", ["blue", "green", "red"], [5, 3, 2])])
    header, *rows = read_lines(settings)
    assert header == ["id", "blue", "green", "red"]
    assert [row[0] for row in rows] == [*TRUTH, "14"]
    for row in rows:
        if row[0] in ("8", "14"):
            assert row[1:] == ["0.5", "0.3", "0.2"]
        else:
            assert header[1 + np.argmax([float(value) for value in row[1:]])] == TRUTH[row[0]]
    warning = capsys.readouterr().err
    assert "cannot read 2 of 8 images" in warning
    assert "8.png: empty file" in warning and "14.jpg: no such file" in warning


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_special_files_are_answered_without_waiting(photos, capsys):
    names = make_special_files(photos)
    settings = settings_of(photos)
    submit(settings, [run_of("a", ["blue", "green", "red"], [2, 5, 3])])
    answers = {image: label for label, image in read_lines(settings)}
    assert answers == {**TRUTH, **{Path(name).stem: "green" for name in names}}
    warning = capsys.readouterr().err
    assert f"cannot read {len(names)} of {len(answers)} images" in warning
    assert all(f"  {name}: not a regular file\n" in warning for name in names - {"loop.jpg"})


def test_many_unreadable_images_do_not_fill_the_screen(photos, capsys):
    for number in range(100, 150):
        (photos / f"{number}.jpg").touch()
    settings = settings_of(photos)
    submit(settings, [run_of("a", ["blue", "green", "red"], [5, 3, 2])])
    assert len(read_lines(settings)) == 57
    warning = capsys.readouterr().err.splitlines()
    assert len(warning) == 22 and warning[-1] == "  and 30 more"


def test_runs_are_averaged_by_class_name_each_at_its_own_size(photos):
    (photos / "8.png").write_bytes(b"")
    runs = [
        run_of("a", ["blue", "green", "red"], [5, 3, 2]),
        run_of("b", ["red", "blue", "green"], [6, 4, 0], frame=Frame(6, 8), sharpness=2.0),
    ]
    settings = settings_of(photos, format="probabilities")
    submit(settings, runs)
    header, *rows = read_lines(settings)
    assert header == ["id", "blue", "green", "red"]
    for image_id, *values in rows:
        if image_id == "8":
            expected = [(0.5 + 0.4) / 2, 0.3 / 2, (0.2 + 0.6) / 2]
        else:
            # The softmax of a pure colour: e^sharpness against two ones.
            sure = np.mean([np.exp(k) / (np.exp(k) + 2) for k in (4.0, 2.0)])
            expected = [sure if name == TRUTH[image_id] else (1 - sure) / 2 for name in header[1:]]
        np.testing.assert_allclose([float(value) for value in values], expected, atol=1e-5)


def test_only_what_the_sample_asks_for_is_predicted(photos, capsys):
    sample = photos.parent / "sample.csv"
    sample.write_text("photo,colour\n12.png,0\n7.png,0\n")
    (photos / "8.png").write_bytes(b"")
    settings = settings_of(photos, format="kaggle-label", sample_submission=sample)
    submit(settings, [run_of("a", ["blue", "green", "red"], [1, 1, 1])])
    assert settings.output.read_text() == "photo,colour\n12.png,blue\n7.png,blue\n"
    captured = capsys.readouterr()
    assert "left out 5 of 7 images" in captured.out
    assert captured.err == ""


def test_two_classes_say_whose_probability_it_is(photos, capsys):
    settings = settings_of(photos, format="kaggle-label")
    submit(settings, [run_of("a", ["red", "green"], [1, 1], sharpness=50.0)])
    labels = dict(read_lines(settings)[1:])
    assert labels["8"] == "0.005" and labels["9"] == "0.995" and float(labels["7"]) == 0.5
    assert "the label is the probability of green" in capsys.readouterr().out


IDS = {"red": "30", "green": "10", "blue": "20"}


def test_classes_of_a_json_go_by_their_category_ids(photos, capsys):
    runs = [
        run_of(name, classes, [1, 1, 1], category_ids=ids)
        for name, classes, ids in [
            ("a", ["red", "green", "blue"], ["30", "10", "20"]),
            ("b", ["blue", "red", "green"], ["20", "30", "10"]),
            # Trained on folders of the same classes, it knows of no ids.
            ("c", ["blue", "red", "green"], None),
        ]
    ]
    for submission_format in ("baidu", "kaggle-label"):
        settings = settings_of(photos, format=submission_format)
        submit(settings, runs)
        rows = read_lines(settings)
        pairs = rows[1:] if submission_format == "kaggle-label" else [row[::-1] for row in rows]
        assert dict(pairs) == {image: IDS[name] for image, name in TRUTH.items()}
    assert "category ids of the JSON" in capsys.readouterr().out
    settings = settings_of(photos, format="probabilities")
    submit(settings, runs)
    assert read_lines(settings)[0] == ["id", "30", "10", "20"]


def test_two_classes_of_a_json_get_an_id_and_no_probability(photos, capsys):
    settings = settings_of(photos, format="kaggle-label")
    submit(settings, [run_of("a", ["red", "green"], [1, 1], category_ids=["5", "6"])])
    labels = dict(read_lines(settings)[1:])
    assert labels["8"] == "5" and labels["9"] == "6"
    assert "the label is the probability" not in capsys.readouterr().out


def test_columns_of_a_sample_are_category_ids_too(photos):
    sample = photos.parent / "sample.csv"
    sample.write_text("id,20,10,30\n12,0,0,0\n")
    settings = settings_of(photos, format="probabilities", sample_submission=sample)
    ids = list(IDS.values())
    submit(settings, [run_of("a", ["red", "green", "blue"], [1, 1, 1], category_ids=ids)])
    header, row = read_lines(settings)
    assert header == ["id", "20", "10", "30"] and float(row[1]) > 0.9


def test_runs_whose_ids_contradict_each_other(photos):
    runs = [
        run_of("a", ["red", "green"], [1, 1], category_ids=["5", "6"]),
        run_of("b", ["green", "red"], [1, 1], category_ids=["5", "6"]),
    ]
    with pytest.raises(UserError, match="green has the category_id 6 in one and 5 in"):
        submit(settings_of(photos, format="kaggle-label"), runs)


def test_images_under_the_ids_of_a_json(photos):
    (photos / "8.png").unlink()
    listed = photos.parent / "test.json"
    entries = [{"id": 1000 + int(image), "file_name": f"{image}.png"} for image in TRUTH]
    listed.write_text(json.dumps({"images": entries[::-1]}))
    photos.rename(photos.parent / "test")
    settings = settings_of(listed, format="kaggle-label")
    # The missing one is red, and so is most of what the run was trained on.
    submit(settings, [run_of("a", ["red", "green", "blue"], [3, 1, 1])])
    assert read_lines(settings)[1:] == [
        [str(1000 + int(image)), name] for image, name in reversed(TRUTH.items())
    ]


def test_a_diverged_model_is_not_submitted(photos):
    settings = settings_of(photos)
    settings.output.write_text("earlier")
    with pytest.raises(UserError, match="not finite"):
        submit(settings, [run_of("a", ["red", "green"], [1, 1], sharpness=float("nan"))])
    assert settings.output.read_text() == "earlier"
