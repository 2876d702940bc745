"""What a run says of one photograph and of two, against its models asked by hand."""

import shutil

import keras
import numpy as np
import pytest
from finished_runs import SIDE, make_run
from sklearn.metrics.pairwise import cosine_similarity

from finegrain.datasets.manifest import open_data_set
from finegrain.decode import read_pixels
from finegrain.demo.answers import DemoModels, TrainingImages, open_training_images
from finegrain.errors import UserError
from finegrain.explain.grad_cam import GradCam, PairCam
from finegrain.explain.pictures import lay_over, read_photograph
from finegrain.frame import Frame
from finegrain.models.classifier import embedder
from finegrain.models.multi_loss import same_class
from finegrain.runs.finished_run import open_finished_run


@pytest.fixture(scope="module")
def data(drawn_data):
    return open_data_set(drawn_data)


@pytest.fixture(scope="module")
def run(drawn_data, tmp_path_factory):
    return open_finished_run(make_run(tmp_path_factory.mktemp("runs") / "multi", drawn_data))


def ask(model, *inputs):
    given = [one[None].astype("float32") for one in inputs]
    answer = model(given if len(given) > 1 else given[0], training=False)
    return keras.ops.convert_to_numpy(answer)[0]


def test_one_photograph(run, data):
    photo = read_photograph(data.paths("valid")[0], run.frame)
    np.testing.assert_array_equal(photo.pixels, read_pixels(photo.path, Frame(SIDE, SIDE)))
    answers = DemoModels(run)
    np.testing.assert_allclose(answers.probabilities(photo), ask(run.classifier(), photo.pixels))
    expected = lay_over(photo.shown, GradCam(run.model()).heat(photo.pixels, 2))
    np.testing.assert_array_equal(answers.overlay(photo, 2), expected)
    assert answers.nearest(photo, 3) == []


def test_the_nearest_training_images(run, data):
    images = open_training_images(run.folder)
    assert len(images.paths) == len(data.paths("train"))
    path = data.paths("train")[3]
    near = DemoModels(run, images).nearest(read_photograph(path, run.frame), 5)
    assert near[0].path == path and near[0].similarity == pytest.approx(1, abs=1e-4)
    assert near[0].name == data.classes[data.labels("train")[3]]
    embed = embedder(run.model())
    rows = np.stack(
        [ask(embed, read_pixels(one, Frame(SIDE, SIDE))) for one in data.paths("train")]
    )
    expected = np.sort(cosine_similarity(rows[3:4], rows)[0])[::-1][:5]
    np.testing.assert_allclose([one.similarity for one in near], expected, atol=1e-4)


def test_fewer_images_than_asked_for_and_embeddings_without_length():
    images = TrainingImages(["a", "b"], ["x", "y"], np.array([[0.0, 0.0], [-3.0, 0.0]]))
    near = images.nearest(np.array([2.0, 0.0]), 10)
    assert [(one.path, one.name, one.similarity) for one in near] == [("a", "x", 0), ("b", "y", -1)]
    assert [one.similarity for one in images.nearest(np.zeros(2), 2)] == [0, 0]


def test_without_the_data_set_there_are_no_neighbours(run, tmp_path):
    orphan = tmp_path / "run"
    shutil.copytree(run.folder, orphan)
    config = (orphan / "config.json").read_text()
    (orphan / "config.json").write_text(config.replace('/data"', '/gone"'))
    with pytest.raises(UserError, match="gone"):
        open_training_images(orphan)


def test_two_photographs_by_the_pair_head(run, data):
    paths = data.paths("valid")
    photos = [read_photograph(path, run.frame) for path in (paths[0], paths[-1])]
    found = DemoModels(run).pair(*photos)
    pixels = [photo.pixels for photo in photos]
    assert found.same == pytest.approx(float(ask(same_class(run.model()), *pixels)[1]), abs=1e-5)
    assert found.says_same == (found.same >= 0.5)
    embeddings = [ask(embedder(run.model()), one) for one in pixels]
    assert found.cosine == pytest.approx(cosine_similarity([embeddings[0]], [embeddings[1]])[0, 0])
    heats = PairCam(run.model()).heats(*pixels, same=found.says_same)
    for overlay, photo, heat in zip(found.overlays, photos, heats, strict=True):
        np.testing.assert_array_equal(overlay, lay_over(photo.shown, heat))


def test_two_photographs_without_a_pair_head(drawn_data, data, tmp_path):
    run = open_finished_run(make_run(tmp_path / "softmax", drawn_data, "softmax"))
    photo = read_photograph(data.paths("valid")[0], run.frame)
    found = DemoModels(run).pair(photo, photo)
    assert found.same is None and found.overlays is None
    assert found.cosine == pytest.approx(1, abs=1e-5)
