"""How a photograph of any shape becomes a picture of one size, and who must do it the same way."""

import csv
import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.embeddings.stored import run_embeddings
from finegrain.explain.pictures import read_photograph
from finegrain.exporting.export import model_card
from finegrain.frame import Frame
from finegrain.models.classifier import embedder
from finegrain.runs.finished_run import open_finished_run

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
SIDES, FITS = st.integers(1, 200), ("squeeze", "crop", "pad")


@pytest.fixture
def striped(tmp_path):
    """60 x 40 pixels: ten columns of blue, forty of red, ten of green."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:50], pixels[:, 50:] = BLUE, RED, GREEN
    Image.fromarray(pixels).save(tmp_path / "striped.png")
    return tmp_path / "striped.png"


def test_crop_takes_the_largest_square_in_the_middle(striped):
    assert (read_pixels(striped, Frame(20, 20, "crop")) == RED).all()


def test_pad_shows_all_of_it_between_black_borders(striped):
    pixels = read_pixels(striped, Frame(30, 30, "pad"))
    assert (pixels[:5] == BLACK).all() and (pixels[25:] == BLACK).all()
    assert (pixels[5:25, :4] == BLUE).all() and (pixels[5:25, -4:] == GREEN).all()
    expected = Image.open(striped).resize((30, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels[5:25], expected)


def test_squeeze_shows_all_of_it_in_other_proportions(striped):
    pixels = read_pixels(striped, Frame(20, 30))
    assert (pixels[:, :4] == BLUE).all() and (pixels[:, -4:] == GREEN).all()


def test_a_standing_photograph_is_fitted_as_a_lying_one(striped, tmp_path):
    Image.open(striped).transpose(Image.Transpose.TRANSPOSE).save(tmp_path / "standing.png")
    for fit in FITS:
        frame = Frame(16, 16, fit)
        standing = read_pixels(tmp_path / "standing.png", frame)
        np.testing.assert_array_equal(standing.swapaxes(0, 1), read_pixels(striped, frame))


@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 40), st.sampled_from(FITS))
def test_any_shape_fits_any_frame(width, height, frame_width, frame_height, fit):
    frame, image = Frame(frame_height, frame_width, fit), Image.new("RGB", (width, height), RED)
    pixels = np.asarray(frame.fitted(image))
    assert pixels.shape == (frame_height, frame_width, 3)
    if fit != "pad":
        assert (pixels == RED).all()
    else:
        rows, columns = (pixels[..., 0] == 255).nonzero()
        # Either the full height or the full width is photograph.
        assert np.ptp(rows) + 1 == frame_height or np.ptp(columns) + 1 == frame_width
        assert ((pixels == RED).all(axis=2) | (pixels == BLACK).all(axis=2)).all()
    # What people are shown has the frame's proportions, to a pixel, unless it was squeezed.
    shown = frame.shown(image)
    if fit == "squeeze":
        assert shown.size == image.size
    else:
        wanted = shown.height * frame_width / frame_height
        assert abs(shown.width - wanted) <= 1 + frame_width / frame_height


def test_people_are_shown_what_the_model_sees(striped):
    photo = read_photograph(striped, Frame(20, 20, "crop"))
    assert photo.shown.shape == (40, 40, 3) and (photo.shown == RED).all()
    assert read_photograph(striped, Frame(20, 20, "pad")).shown.shape == (60, 60, 3)
    assert read_photograph(striped, Frame(20, 20)).shown.shape == (40, 60, 3)


def test_stores_that_squeezed_stay_valid():
    assert Frame(32, 48).key() == {"image_size": [32, 48]}
    assert Frame(32, 48, "pad").key() == {"image_size": [32, 48], "fit": "pad"}


@pytest.fixture(scope="module")
def cropped(tmp_path_factory, script, drawn_data):
    """A run that was trained on cropped photographs."""
    run = tmp_path_factory.mktemp("runs") / "cropped"
    flags = ("--backbone", "mobilenet_v2_0.35", "--weights", "none", "--image-size", "32")
    epochs = ("--frozen-epochs", "0", "--unfrozen-epochs", "1", "--no-openvino")
    fit = ("--fit", "crop", "--unfrozen-views", "1")
    done = script("single_model.py", "--data", drawn_data, "--run", run, *flags, *epochs, *fit)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def wide(tmp_path, drawn_data):
    """Photographs of which squeezing and cropping make quite different pictures."""
    folder = tmp_path / "wide"
    folder.mkdir()
    for number, path in enumerate(sorted((drawn_data / "valid").rglob("*.*"))[:4]):
        Image.open(path).convert("RGB").resize((160, 50)).save(folder / f"{number}.png")
    return folder


def test_a_run_trained_with_crop_predicts_with_crop(cropped, wide, script_here, tmp_path):
    assert json.loads((cropped / "config.json").read_text())["settings"]["fit"] == "crop"
    output = tmp_path / "answers.csv"
    flags = ("--images", wide, "--output", output, "--format", "probabilities", "--no-openvino")
    status, _, errors = script_here("single_model_test.py", "--run", cropped, *flags)
    assert status == 0, errors
    with output.open(newline="") as file:
        rows = {
            row.pop("id"): [float(value) for value in row.values()] for row in csv.DictReader(file)
        }
    classifier = open_finished_run(cropped).classifier()
    for path in sorted(wide.iterdir()):
        image = Image.open(path).crop((55, 0, 105, 50)).resize((32, 32), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, "float32")[None]
        expected = keras.ops.convert_to_numpy(classifier(pixels))[0]
        np.testing.assert_allclose(rows[path.stem], expected, atol=1e-5)


def test_embeddings_and_the_card_of_an_export_follow_the_run(cropped, drawn_data):
    run = open_finished_run(cropped)
    assert run.frame == Frame(32, 32, "crop")
    embed = embedder(run.model())
    with run_embeddings(cropped, openvino=False) as features:
        path = features.splits["valid"].paths[0]
        pixels = read_pixels(drawn_data / path, run.frame)[None].astype("float32")
        expected = keras.ops.convert_to_numpy(embed(pixels))
        np.testing.assert_allclose(features.read("valid", [0]), expected, atol=1e-4)
    card = model_card(run)
    assert card.fit == "crop" and "in its middle" in card.input
