"""A model's table, and its picture with Graphviz, without, and with one that does not work."""

import pytest
from finished_runs import small_backbone

from finegrain.errors import UserError
from finegrain.evaluation.model_picture import draw_model, write_model_table
from finegrain.models.backbone import freeze
from finegrain.models.backbone_table import find_backbone
from finegrain.models.merged import Branch, merged_model
from finegrain.models.multi_loss import multi_loss_model

DRAWS = '#!/bin/sh\n/bin/cat "$2"\n'
FAILS = "#!/bin/sh\necho 'Format: \"png\" not recognized.' >&2\nexit 1\n"


@pytest.fixture
def merged():
    return merged_model({name: Branch(8, "l2") for name in ("resnet", "vgg", "xception")}, 5, 0.5)


@pytest.fixture
def put_dot(tmp_path, monkeypatch):
    """Make a script the only program there is, by the name of Graphviz's."""

    def put(script):
        dot = tmp_path / "bin/dot"
        dot.parent.mkdir()
        dot.write_text(script)
        dot.chmod(0o755)
        monkeypatch.setenv("PATH", str(dot.parent))

    return put


@pytest.mark.parametrize("columns", ["40", None])
def test_the_table_holds_every_layer_and_whether_it_learns(tmp_path, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    model = multi_loss_model(small_backbone(), find_backbone("mobilenet_v2"), 5)
    backbone = model.get_layer("backbone")
    freeze(backbone, 3)
    write_model_table(model, tmp_path / "model.txt")
    lines = (tmp_path / "model.txt").read_text(encoding="utf-8").splitlines()
    for layer in [*model.layers, *backbone.layers]:
        (row,) = [line for line in lines if f" {layer.name} " in "".join(line.split("│")[:2])]
        if layer.weights and layer is not backbone:
            assert row.split()[-2] == ("Y" if layer.trainable else "N")
    assert any("squared_difference[0][0]" in line for line in lines)
    assert "Trainable params" in "\n".join(lines)


def test_without_graphviz_a_sentence_says_how_to_get_it(merged, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="Graphviz, .* is not installed; .* apt install graphviz"):
        draw_model(merged, tmp_path / "model.png")
    assert not list(tmp_path.iterdir())


def test_a_graphviz_that_fails_is_said_to(merged, tmp_path, put_dot, capfd):
    put_dot(FAILS)
    with pytest.raises(UserError, match="`dot -Tpng` does not work"):
        draw_model(merged, tmp_path / "model.png")
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_graphviz_is_given_every_layer(merged, tmp_path, put_dot):
    put_dot(DRAWS)
    draw_model(merged, tmp_path / "model.PNG")
    drawn = (tmp_path / "model.PNG").read_text()
    assert all(f"<b>{layer.name}</b>" in drawn for layer in merged.layers)


@pytest.mark.optional("dot")
@pytest.mark.parametrize("suffix,start", [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_graphviz_draws(merged, tmp_path, suffix, start):
    picture = tmp_path / f"model{suffix}"
    draw_model(merged, picture)
    assert picture.read_bytes().startswith(start) and picture.stat().st_size > 2000
