"""Paths to probabilities, with classifiers small enough to compute by hand."""

import os
import random
import threading

import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.frame import Frame
from finegrain.inference import predict
from finegrain.inference.answer_views import AnswerViews
from finegrain.inference.predict import predict_probabilities

FRAME = Frame(6, 8)


@pytest.fixture(scope="module")
def left_and_right():
    """Three numbers a picture, of which none stays the same in the mirror image."""
    image = keras.Input((*FRAME.size, 3))
    left = keras.layers.GlobalAveragePooling2D()(keras.layers.Cropping2D(((0, 0), (0, 5)))(image))
    return keras.Model(image, keras.layers.Softmax()(left / 64))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eleven pictures of random colours and sizes, in random order."""
    folder = tmp_path_factory.mktemp("photos")
    numbers = np.random.default_rng(0)
    for name in range(11):
        pixels = numbers.integers(0, 256, (*numbers.integers(5, 40, 2), 3), dtype="uint8")
        Image.fromarray(pixels).save(folder / f"{name}.png")
    paths = sorted(folder.iterdir())
    return random.Random(1).sample(paths, len(paths))


def one_by_one(classifier, paths, mirror=False):
    pixels = [read_pixels(path, FRAME).astype("float32") for path in paths]
    return np.stack(
        [np.asarray(classifier((image[:, ::-1] if mirror else image)[None]))[0] for image in pixels]
    )


@pytest.mark.parametrize("batch_size", [1, 4, 11, 64])
def test_each_row_is_its_own_files(left_and_right, photos, batch_size):
    predictions = predict_probabilities(left_and_right, photos, FRAME, batch_size)
    assert predictions.paths == photos
    assert predictions.unreadable == {}
    assert predictions.probabilities.dtype == np.float32
    expected = one_by_one(left_and_right, photos)
    assert len(np.unique(expected.round(3), axis=0)) == len(photos)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-6)


def test_rows_follow_the_files_when_these_are_shuffled(left_and_right, photos):
    order = random.Random(2).sample(range(len(photos)), len(photos))
    first = predict_probabilities(left_and_right, photos, FRAME, 4)
    second = predict_probabilities(left_and_right, [photos[i] for i in order], FRAME, 4)
    np.testing.assert_allclose(second.probabilities, first.probabilities[order], atol=1e-6)


def test_flip_is_the_mean_with_the_mirror_image(left_and_right, photos):
    plain = one_by_one(left_and_right, photos)
    mirrored = one_by_one(left_and_right, photos, mirror=True)
    assert np.abs(plain - mirrored).max() > 0.05
    predictions = predict_probabilities(
        left_and_right, photos, FRAME, 4, views=AnswerViews(flip=True)
    )
    np.testing.assert_allclose(predictions.probabilities, (plain + mirrored) / 2, atol=1e-6)


def test_unreadable_files_keep_their_rows(left_and_right, photos, tmp_path):
    empty, cut = tmp_path / "empty.jpg", tmp_path / "cut.png"
    empty.touch()
    cut.write_bytes(photos[0].read_bytes()[:60])
    paths = [empty, *photos[:5], cut, tmp_path / "gone.jpg"]
    predictions = predict_probabilities(
        left_and_right, paths, FRAME, 3, views=AnswerViews(flip=True)
    )
    assert list(predictions.unreadable) == [0, 6, 7]
    assert predictions.unreadable[0] == "empty file"
    assert predictions.unreadable[7] == "no such file"
    assert np.isnan(predictions.probabilities[[0, 6, 7]]).all()
    readable = predict_probabilities(
        left_and_right, photos[:5], FRAME, 3, views=AnswerViews(flip=True)
    )
    np.testing.assert_allclose(predictions.probabilities[1:6], readable.probabilities, atol=1e-6)

    prior = np.array([0.5, 0.3, 0.2])
    filled = predict_probabilities(left_and_right, paths, FRAME, 3, unreadable_row=prior)
    np.testing.assert_allclose(filled.probabilities[[0, 6, 7]], np.tile(prior, (3, 1)), atol=1e-7)


def test_nothing_but_unreadable_files(left_and_right, tmp_path):
    predictions = predict_probabilities(left_and_right, [tmp_path / "gone.jpg"], FRAME, 8)
    assert predictions.probabilities.shape == (1, 3)
    assert predictions.unreadable == {0: "no such file"}


def test_one_graph_is_traced_whatever_the_last_batch(photos):
    traced = []

    class Counting(keras.Model):
        def call(self, images):
            traced.append(images.shape)
            return keras.ops.softmax(keras.ops.mean(images, axis=(1, 2)) / 64)

    predict_probabilities(Counting(), photos, FRAME, 4, views=AnswerViews(flip=True))
    assert set(traced) == {(4, *FRAME.size, 3)}
    if keras.backend.backend() != "torch":
        assert len(traced) <= 2


def test_few_files_are_decoded_ahead(monkeypatch, tmp_path):
    """However many files there are, and in their order although the threads finish in any."""
    lock = threading.Lock()
    started, taken, most = [0], [0], [0]

    def slow_read(path, frame):
        with lock:
            started[0] += 1
            most[0] = max(most[0], started[0] - taken[0])
        if path.name == "13":
            raise UnreadableImage("bad luck")
        return np.full((*frame.size, 3), int(path.name) % 250, dtype="uint8")

    class FirstPixel:
        def predict_on_batch(self, batch):
            with lock:
                taken[0] += len(batch)
            return batch[:, 0, 0, :]

    monkeypatch.setattr(predict, "read_pixels", slow_read)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    paths = [tmp_path / str(number) for number in range(1000)]
    predictions = predict_probabilities(FirstPixel(), paths, FRAME, 10)
    assert most[0] <= 30
    expected = np.arange(1000, dtype="float32") % 250
    expected[13] = np.nan
    np.testing.assert_array_equal(predictions.probabilities[:, 1], expected)


@pytest.mark.parametrize("paths, batch_size", [([], 4), (["a.jpg"], 0)])
def test_refuses_nothing_to_do(left_and_right, paths, batch_size):
    with pytest.raises(ValueError, match="Received"):
        predict_probabilities(left_and_right, paths, FRAME, batch_size)


def windows_one_by_one(path, views):
    """The views of a photograph, each decoded and cut for itself."""
    height, width = FRAME.size
    for scale in views.scales:
        looks = [(scale, "middle")] + [
            (scale / views.crop_share, place)
            for place in ("top left", "top right", "bottom left", "bottom right", "middle")
        ]
        for larger, place in looks[: views.crops]:
            tall, wide = round(height * larger), round(width * larger)
            pixels = read_pixels(path, Frame(tall, wide))
            top, left = round((tall - height) / 2), round((wide - width) / 2)
            if place != "middle":
                top = 0 if "top" in place else tall - height
                left = 0 if "left" in place else wide - width
            view = pixels[top : top + height, left : left + width]
            yield from [view, view[:, ::-1]] if views.flip else [view]


@pytest.mark.parametrize(
    "views,count",
    [
        (AnswerViews(crops=5), 5),
        (AnswerViews(flip=True, crops=6, crop_share=0.5), 12),
        (AnswerViews(scales=(1.0, 1.15, 1.5)), 3),
        (AnswerViews(flip=True, crops=5, crop_share=0.7, scales=(1.3, 1.0)), 20),
    ],
)
def test_crops_and_scales_are_averaged(left_and_right, photos, views, count):
    predictions = predict_probabilities(left_and_right, photos, FRAME, 4, views=views)
    assert len(views) == count and str(views) == f" x {count} views" and not views.is_plain
    for path, row in zip(photos, predictions.probabilities, strict=True):
        looks = np.stack(list(windows_one_by_one(path, views)))
        assert looks.shape == (count, *FRAME.size, 3)
        expected = np.mean([np.asarray(left_and_right(look[None]))[0] for look in looks], axis=0)
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_one_look_at_the_whole_picture_is_the_answer_itself(left_and_right, photos):
    plain = predict_probabilities(left_and_right, photos, FRAME, 4)
    same = predict_probabilities(left_and_right, photos, FRAME, 4, views=AnswerViews(scales=(1,)))
    np.testing.assert_array_equal(plain.probabilities, same.probabilities)
    assert AnswerViews().is_plain and not AnswerViews(scales=(1.2,)).is_plain
