"""The picture of a run's course shows its numbers, stages and rates."""

import csv

import matplotlib.colors
import pytest
from matplotlib.figure import Figure

from finegrain.evaluation.history_plot import BLUE, ORANGE, plot_history

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
