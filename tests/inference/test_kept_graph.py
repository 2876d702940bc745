"""A graph that is kept answers as the model did, and only for the model and machine it is of."""

import zipfile

import keras
import numpy as np
import pytest

from finegrain.inference import kept_graph
from finegrain.inference.kept_graph import KeptGraph, keep_graph
from finegrain.inference.opening import open_inference

DIGEST = "0" * 64


@pytest.fixture
def kept(openvino, network, images, tmp_path):
    """The file of a graph, and what its model was opened as."""
    opened = open_inference(network, images)
    keep_graph(tmp_path / "graph.zip", DIGEST, opened, {"width": "5"})
    return tmp_path / "graph.zip", opened


def test_it_answers_to_the_bit_as_when_it_was_kept(kept, images):
    file, opened = kept
    found = KeptGraph.find(file, DIGEST)
    assert found.about.facts == {"width": "5"}
    again = found.open()
    assert again.describe() == opened.describe()
    for answer, right in zip(again.run(images), opened.run(images), strict=True):
        np.testing.assert_array_equal(answer, right)


def test_only_the_wanted_outputs(kept, images):
    file, opened = kept
    answers = KeptGraph.find(file, DIGEST).open([11, 0]).run(images)
    right = opened.run(images)
    assert len(answers) == 2
    np.testing.assert_array_equal(answers[0], right[11])
    np.testing.assert_array_equal(answers[1], right[0])


def test_no_graph_of_another_model_machine_or_version(kept, monkeypatch):
    file, _ = kept
    assert KeptGraph.find(file.with_name("absent.zip"), DIGEST) is None
    assert KeptGraph.find(file, "1" * 64) is None
    here = kept_graph._here()
    for name in here:
        monkeypatch.setattr(kept_graph, "_here", lambda name=name: {**here, name: "another"})
        assert KeptGraph.find(file, DIGEST) is None
    monkeypatch.setattr(kept_graph, "_here", lambda: here)
    assert KeptGraph.find(file, DIGEST) is not None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_no_graph_that_was_cut_short(kept, share):
    file, _ = kept
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert KeptGraph.find(file, DIGEST) is None


def test_no_graph_of_which_a_bit_has_turned(kept):
    file, _ = kept
    with zipfile.ZipFile(file) as archive:
        part = archive.getinfo("graph.bin")
    content = bytearray(file.read_bytes())
    content[part.header_offset + part.file_size // 2] ^= 1
    file.write_bytes(content)
    assert KeptGraph.find(file, DIGEST) is None


def test_what_keras_computes_is_not_kept(network, images, tmp_path):
    keep_graph(tmp_path / "graph.zip", DIGEST, open_inference(network, images, use_openvino=False))
    assert not list(tmp_path.iterdir())


def test_no_graph_without_openvino(kept, monkeypatch):
    def missing():
        raise ImportError("no module named openvino")

    file, _ = kept
    monkeypatch.setattr(kept_graph, "load_openvino", missing)
    assert KeptGraph.find(file, DIGEST) is None


def test_it_is_made_of_the_weights_that_were_opened(openvino, network, images, tmp_path):
    model = keras.models.clone_model(network)
    opened = open_inference(model, images)
    before = opened.run(images)
    for variable in model.trainable_variables:
        variable.assign(variable * 2)
    keep_graph(tmp_path / "graph.zip", DIGEST, opened)
    again = KeptGraph.find(tmp_path / "graph.zip", DIGEST).open()
    for answer, right in zip(again.run(images), before, strict=True):
        np.testing.assert_array_equal(answer, right)
