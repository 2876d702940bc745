"""The pictures of a run: its course, and its model with a Graphviz that works, or fails."""

import csv

import matplotlib.colors
import pytest
from finished_runs import small_backbone
from matplotlib.figure import Figure

from finegrain.errors import UserError
from finegrain.evaluation.pictures import (
    BLUE,
    ORANGE,
    draw_model,
    plot_history,
    write_model_table,
)
from finegrain.models.backbone import freeze
from finegrain.models.backbone_table import find_backbone
from finegrain.models.merged import Branch, merged_model
from finegrain.models.multi_loss import multi_loss_model

RATES = {"1-frozen": [1e-3, 1e-3], "2-unfrozen": [1e-4, 1e-4, 2e-5], "3-retrained": [1e-5]}


def write_run(run, names):
    """Six epochs in three stages; the numbers that were written, by column."""
    columns = {name: [] for name in names}
    for stage, rates in RATES.items():
        (run / stage).mkdir(parents=True)
        with (run / stage / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", "learning_rate", *names])
            writer.writeheader()
            for epoch, rate in enumerate(rates, start=1):
                count = len(columns[names[0]]) + 1
                row = {name: count / (10 + number) for number, name in enumerate(names)}
                for name, value in row.items():
                    columns[name].append(value)
                writer.writerow({"epoch": epoch, "learning_rate": rate, **row})
    return columns


@pytest.mark.parametrize("output", ["", "category_"])
def test_loss_and_accuracy_of_training_and_validation(tmp_path, monkeypatch, output):
    wanted = ("loss", "accuracy", "val_loss", "val_accuracy")
    names = [name.replace("val_", f"val_{output}") for name in wanted]
    names[:2] = [output + name for name in wanted[:2]]
    # With pairs the sum of both losses stands there too, and is not what is drawn.
    others = ["loss", "val_loss", "val_same_class_loss"] if output else []
    written = write_run(tmp_path, [*names, *others])
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    assert plot_history(tmp_path).stat().st_size > 5000
    for axes, kind in zip(figures[0].axes, ("loss", "accuracy"), strict=True):
        assert kind in axes.get_title()
        curves = {
            matplotlib.colors.to_hex(line.get_color()): list(line.get_ydata())
            for line in axes.get_lines()
            if len(line.get_xdata()) == 6
        }
        assert curves[BLUE] == pytest.approx(written[f"{output}{kind}"])
        assert curves[ORANGE] == pytest.approx(written[f"val_{output}{kind}"])
        uprights = {
            line.get_linestyle(): [] for line in axes.get_lines() if len(line.get_xdata()) == 2
        }
        for line in axes.get_lines():
            if len(line.get_xdata()) == 2:
                uprights[line.get_linestyle()].append(line.get_xdata()[0])
        # Borders after the second and the fifth epoch, the rate falls after the fourth.
        assert uprights == {"-": [2.5, 5.5], ":": [4.5]}
        texts = [text.get_text().strip() for text in axes.texts]
        assert set(RATES) <= set(texts)
        assert ("2e-05" in texts) == (kind == "accuracy")
        assert axes.get_ylim()[1] > max(map(max, curves.values()))
    told = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert told == ["training", "validation", "learning rate lowered to"]


def test_a_run_without_an_epoch_is_drawn_and_not_warned_of(tmp_path, recwarn):
    assert plot_history(tmp_path).is_file()
    assert not [warning for warning in recwarn if "xlim" in str(warning.message)]


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
