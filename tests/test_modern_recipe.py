"""`--recipe modern` of the training scripts as a user meets it."""

import json

import pytest

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
    assert settings["label_smoothing"] == (0 if more[:1] == ("--label-smoothing",) else 0.1)
    status, table, errors = script_here("tools/compare.py", "--run", str(run))
    assert status == 0 and table.splitlines()[1].startswith(f"{described}  "), errors
