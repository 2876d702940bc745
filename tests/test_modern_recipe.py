"""`--recipe modern` of the training scripts as a user meets it."""

import csv
import json

import keras
import numpy as np
import pytest

from finegrain.training import stage_settings

SMALL = (
    "--backbone mobilenet_v2_0.35 --weights none --image-size 32 --batch-size 8 "
    "--unfrozen-epochs 2 --unfrozen-views 1"
).split()
SCRIPTS = (
    ("single_model.py", (), "softmax, modern recipe"),
    ("froze_fine_tune.py", ("--label-smoothing", "0"), "multi-loss, modern recipe"),
    (
        "recipes/bird_fine_tune.py",
        ("--model", "efficientnet_b3_se"),
        "efficientnet_b3_se, softmax, modern recipe",
    ),
)


@pytest.mark.parametrize("name, more, described", SCRIPTS, ids=[row[0] for row in SCRIPTS])
def test_it_sets_what_is_not_given(name, more, described, script_here, drawn_data, tmp_path):
    run = tmp_path / "run"
    asked = ("--data", str(drawn_data), "--run", str(run), "--recipe", "modern", *SMALL, *more)
    status, said, errors = script_here(name, *asked)
    assert status == 0, errors
    # One stage, of the last blocks and not of all layers.
    assert "2-unfrozen 2 epochs" in said and "1-frozen" not in said
    assert "(block_13_expand)" in said and "adamw 0.0003" in said
    config = json.loads((run / "config.json").read_text())
    settings = config["settings"]
    assert config["defaults"] == "modern"
    assert settings["head_rate"] == 10 and settings["schedule"] == "cosine"
    assert settings["rotation"] == 15 and settings["plain_views"] is True
    state = json.loads((run / "2-unfrozen" / "state.json").read_text())
    assert settings["monitor"] == "last" and state["best"] == "epoch-0002.weights.h5"
    assert settings["label_smoothing"] == (0 if more[:1] == ("--label-smoothing",) else 0.1)
    status, table, errors = script_here("tools/compare.py", "--run", str(run))
    assert status == 0 and table.splitlines()[1].startswith(f"{described}  "), errors


def test_weights_between_are_kept_and_found_again_after_ctrl_c(
    script_here, drawn_data, tmp_path, monkeypatch
):
    from finegrain.training import train_stage
    from finegrain.training.interpolation import Place

    def half(model, answering, batches, start, end):
        return [Place(0.5, np.full(4, 0.1)), Place(1.0, np.full(4, 0.2))]

    def interrupted(*_):
        raise KeyboardInterrupt

    states = []
    for name, firsts in (("whole", [half]), ("stopped", [interrupted, half])):
        run = tmp_path / name
        asked = ("--data", drawn_data, "--run", run, "--recipe", "modern", *SMALL)
        asked = (*asked, "--interpolate")
        for places in firsts:
            monkeypatch.setattr(train_stage, "places", places)
            status, said, errors = script_here("single_model.py", *asked)
            assert status == (130 if places is interrupted else 0), errors
        assert "50% of the way from the stage's first weights" in said
        folder = run / "2-unfrozen"
        state = json.loads((folder / "state.json").read_text())
        assert state["finished"] and state["best"] == state["last"]
        assert state["best"].endswith("-share-050.weights.h5")
        assert [file.name for file in folder.glob("*.h5")] == [state["best"]]
        states.append(keras.saving.load_model(run / "model.keras").get_weights())
        # Measured on the weights that are kept, not on those of an epoch.
        numbers = json.loads((run / "results.json").read_text())["stages"]["2-unfrozen"]
        with (run / "predictions.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "valid"]
        wrong = sum(row["true_rank"] != "1" for row in rows)
        assert numbers["valid_error"] == pytest.approx(wrong / len(rows))
    for one, other in zip(*states, strict=True):
        assert (one == other).all()


def test_a_run_goes_on_with_the_numbers_its_recipe_had(
    script_here, drawn_data, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    asked = ("--data", drawn_data, "--run", run, "--recipe", "modern", *SMALL)
    older = stage_settings.MODERN | stage_settings.MODERN_BEFORE
    with monkeypatch.context() as before:
        before.setattr(stage_settings, "MODERN", older)
        assert script_here("single_model.py", *asked)[0] == 0
    # Written before there was such a flag.
    config = json.loads((run / "config.json").read_text())
    assert config["settings"].pop("plain_views") is False
    assert config["settings"]["monitor"] == "loss"
    (run / "config.json").write_text(json.dumps(config))
    status, said, errors = script_here("single_model.py", *asked)
    assert status == 0 and "finished before" in said, errors
    # All else is compared as ever, what is damaged too.
    status, _, errors = script_here("single_model.py", *asked, "--rotation", "20")
    assert status == 2 and "rotation 45.0 there, 20.0 now" in errors
    config = json.loads((run / "config.json").read_text())
    config["settings"] |= {"rotation": "ten", "dropout": 0.2}
    (run / "config.json").write_text(json.dumps(config))
    status, _, errors = script_here("single_model.py", *asked)
    assert status == 2 and "rotation 'ten' there, 15.0 now" in errors
    assert "dropout 0.2 there, 0.3 now" in errors
