"""A model's picture, with Graphviz and without."""

import importlib.util
import shutil

import keras
import matplotlib
import pytest
from PIL import Image

from finegrain.evaluation import model_picture
from finegrain.evaluation.model_picture import draw_model, model_graph
from finegrain.models.merged import Branch, merged_model


@pytest.fixture
def merged():
    return merged_model({name: Branch(8, "l2") for name in ("resnet", "vgg", "xception")}, 5, 0.5)


def test_the_graph_is_the_models(merged):
    layers, arrows = model_graph(merged)
    names = [layer.name for layer in layers]
    expected = {(name, f"{name}_l2") for name in ("resnet", "vgg", "xception")}
    expected |= {(f"{name}_l2", "merged") for name in ("resnet", "vgg", "xception")}
    expected |= {("merged", "dropout"), ("dropout", "category")}
    assert {(names[a], names[b]) for a, b in arrows} == expected
    assert len(arrows) == len(expected)


def test_a_layer_called_twice_is_one_box():
    image = keras.Input((4,), name="image")
    dense = keras.layers.Dense(4, name="shared")
    twice = keras.Model(image, keras.layers.Add(name="sum")([dense(image), dense(image)]))
    layers, arrows = model_graph(twice)
    assert [layer.name for layer in layers] == ["image", "shared", "sum"]
    assert arrows == [(0, 1), (1, 2)]


def test_without_graphviz_every_layer_is_there_with_type_and_shape(merged, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw_model(merged, tmp_path / "model.svg")
    drawn = (tmp_path / "model.svg").read_text()
    for layer in merged.layers:
        assert f">{layer.name}<" in drawn
        shape = " x ".join(map(str, layer.output.shape[1:]))
        assert f"{type(layer).__name__}   {shape}" in drawn
    draw_model(merged, tmp_path / "model.png")
    with Image.open(tmp_path / "model.png") as picture:
        width, height = picture.size
    # Three boxes beside each other, five ranks.
    assert width > 3 * 120 * model_picture.BOX_WIDTH and height > 5 * 120 * model_picture.BOX_HEIGHT


@pytest.mark.skipif(
    shutil.which("dot") is None or importlib.util.find_spec("pydot") is None,
    reason="no pydot and Graphviz",
)
def test_with_graphviz_keras_draws(merged, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("drawn by ourselves")

    monkeypatch.setattr(model_picture, "_by_ourselves", refuse)
    draw_model(merged, tmp_path / "model.svg")
    assert "merged" in (tmp_path / "model.svg").read_text()
