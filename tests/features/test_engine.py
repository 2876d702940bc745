"""Which precision computes embeddings, and by what it is judged."""

import sys

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.errors import UserError
from finegrain.features import engine as engine_module
from finegrain.features.engine import engine_of
from finegrain.features.probe import Judged, Probe, Score, draw_probe
from finegrain.frame import Frame
from finegrain.images.pixels import PhotoFiles
from finegrain.inference.kept_graph import KeptGraph
from finegrain.inference.quantized import REPAYING_PIXELS

SIDE = 16
MANY = int(REPAYING_PIXELS / SIDE**2) + 1


@pytest.fixture(scope="module")
def below():
    """Means of a few channels, by which colours are told apart."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    hidden = keras.layers.Rescaling(1 / 255)(image)
    hidden = keras.layers.Conv2D(16, 3, activation="relu")(hidden)
    hidden = keras.layers.Conv2D(24, 3, activation="relu")(hidden)
    return keras.Model(image, [keras.layers.GlobalAveragePooling2D()(hidden)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty photographs of noise in each of three colours, five in a fourth."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths, labels = [], []
    for label, (colour, count) in enumerate([((200, 60, 60), 30), ((60, 200, 60), 30)] * 2):
        for number in range(count if label < 3 else 5):
            noise = rng.normal(colour, 40, (SIDE, SIDE, 3)) + 60 * (label // 2)
            paths.append(folder / f"{label}-{number}.png")
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(paths[-1])
            labels.append(label)
    return PhotoFiles(paths, Frame(SIDE, SIDE)), np.array(labels)


def judged(photos, precision="auto", keep_in=None):
    files, labels = photos
    return Judged(precision, lambda: draw_probe(labels, files.read), keep_in)


def some(photos):
    return np.stack([photos[0].read(index) for index in range(8)])


def open_it(below, photos, expected=MANY, **how):
    images = some(photos)
    return engine_of(below, True, expected, judged=judged(photos, **how))(images), images


def test_a_probe_draws_the_same_photographs_of_large_classes(photos):
    files, labels = photos
    probe, again = (draw_probe(labels, files.read) for _ in range(2))
    np.testing.assert_array_equal(probe.images, again.images)
    assert np.bincount(probe.labels).tolist() == [20, 20, 20, 4]
    # Both halves hold as many of each class.
    assert np.bincount(probe.labels[::2]).tolist() == [10, 10, 10, 2]


def test_no_probe_of_one_large_class_or_of_photographs_that_are_gone(photos, tmp_path):
    files, labels = photos
    assert draw_probe(labels[:33], files.read) is None
    unknown = np.where(np.arange(len(labels)) < 33, labels, -1)
    assert draw_probe(unknown, files.read) is None
    gone = PhotoFiles([tmp_path / path.name for path in files.paths], files.frame)
    assert draw_probe(labels, gone.read) is None


def test_a_score_against_a_slow_reference():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), 10)
    embeddings = rng.normal(size=(4, 6))[labels] + rng.normal(0, 0.8, (40, 6))
    order = rng.permutation(40)
    embeddings, labels = embeddings[order], labels[order]
    found = Probe(np.zeros((40, 1, 1, 3), np.uint8), labels).score(lambda images: embeddings)
    right = 0
    for row in range(40):
        cosines = [
            -2.0
            if other == row
            else embeddings[row]
            @ embeddings[other]
            / np.linalg.norm(embeddings[row])
            / np.linalg.norm(embeddings[other])
            for other in range(40)
        ]
        right += labels[int(np.argmax(cosines))] == labels[row]
    assert found.nearest == pytest.approx(right / 40)
    assert 0 < found.error < 0.75


def test_numbers_without_a_direction_are_scored_too():
    labels = np.repeat([0, 1], 8)
    found = Probe(np.zeros((16, 1, 1, 3), np.uint8), labels).score(lambda images: np.zeros((16, 3)))
    assert found.error == 0.5


@pytest.mark.parametrize(
    "score, good",
    [
        (Score(0.119, 0.801), True),
        (Score(0.121, 0.9), False),
        (Score(0.0, 0.769), False),
        (Score(0.05, 0.95), True),
    ],
)
def test_tolerances(score, good):
    assert score.is_as_good_as(Score(0.1, 0.8)) is good


@pytest.mark.needs("openvino")
def test_few_images_are_not_judged(below, photos):
    def drawn():
        raise AssertionError("a probe is drawn")

    images = some(photos)
    opened = engine_of(below, True, MANY - 2, judged=Judged("auto", drawn, None))(images)
    assert "agrees with Keras" in opened.note
    with pytest.raises(AssertionError, match="a probe is drawn"):
        engine_of(below, True, MANY, judged=Judged("auto", drawn, None))(images)


@pytest.mark.optional("openvino", "nncf")
def test_int8_is_taken_where_it_tells_classes_apart_as_well(below, photos, tmp_path):
    opened, images = open_it(below, photos, keep_in=tmp_path)
    assert ", int8, " in opened.compute.name
    assert "on 64 photographs error 0.0" in opened.note and "in float32" in opened.note
    exact = keras.ops.convert_to_numpy(below(images.astype("float32"))[0])
    (answer,) = opened.run(images)
    off = np.linalg.norm(answer - exact) / np.linalg.norm(exact)
    assert 1e-6 < off < 0.1
    # The next training neither converts nor judges.
    (file,) = tmp_path.glob("graph-*.zip")
    again, _ = open_it(below, photos, keep_in=tmp_path)
    assert again.describe() == opened.describe()
    np.testing.assert_array_equal(again.run(images)[0], answer)
    assert KeptGraph.find(file, "0" * 64) is None
    # NNCF reports its use no more than OpenVINO does.
    assert "openvino_telemetry" not in sys.modules


@pytest.mark.optional("openvino", "nncf")
def test_what_tells_classes_apart_worse_is_left(below, photos, monkeypatch):
    scores = iter([Score(0.1, 0.9), Score(0.3, 0.9), Score(0.1, 0.5)])
    monkeypatch.setattr(Probe, "score", lambda self, embed: next(scores))
    monkeypatch.setattr(engine_module, "faster_precisions", lambda: ["i8", "bf16"])
    opened, _ = open_it(below, photos)
    assert ", float32, " in opened.compute.name
    assert "int8 is worse, error 0.300" in opened.note
    assert "bfloat16 is worse, error 0.100, nearest neighbour right 0.500" in opened.note


@pytest.mark.optional("openvino", "nncf")
def test_a_precision_that_is_asked_for_is_taken(below, photos):
    for precision in ("int8", "bfloat16"):
        opened, images = open_it(below, photos, expected=MANY, precision=precision)
        assert f", {precision}, " in opened.compute.name and opened.note == "as asked"
        assert np.isfinite(opened.run(images)[0]).all()
    opened, _ = open_it(below, photos, precision="float32")
    assert ", float32, " in opened.compute.name and "agrees" in opened.note


@pytest.mark.needs("openvino")
def test_int8_that_cannot_be_is_refused(below, photos, monkeypatch):
    monkeypatch.setattr("finegrain.inference.quantized.can_quantize", lambda: False)
    with pytest.raises(UserError, match="needs NNCF.*pip install -r requirements-int8.txt"):
        open_it(below, photos, precision="int8")
    monkeypatch.setattr("finegrain.inference.quantized.can_quantize", lambda: True)
    few = photos[0], photos[1][:9]
    with pytest.raises(UserError, match="two classes of 4 images"):
        open_it(below, few, precision="int8")


def test_keras_computes_where_openvino_is_missing(below, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    opened, images = open_it(below, photos, keep_in=tmp_path)
    assert opened.compute.name.startswith("Keras")
    assert opened.run(images)[0].shape == (8, 24)
    assert not list(tmp_path.iterdir())


@pytest.mark.optional("openvino", "nncf")
def test_it_is_judged_again_where_nncf_has_come(below, photos, tmp_path, monkeypatch):
    both = ("finegrain.features.engine", "finegrain.inference.quantized")
    for module in both:
        monkeypatch.setattr(f"{module}.can_quantize", lambda: False)
    before, _ = open_it(below, photos, keep_in=tmp_path)
    assert ", int8, " not in before.compute.name
    for module in both:
        monkeypatch.setattr(f"{module}.can_quantize", lambda: True)
    after, _ = open_it(below, photos, keep_in=tmp_path)
    assert ", int8, " in after.compute.name
