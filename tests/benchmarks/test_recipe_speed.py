"""The speed benchmark as a user runs it, on a few drawn photographs."""

import importlib
import json
import re
import sys

import pytest
import tyro
from commands import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

TINY = (
    "--backbone",
    "mobilenet_v2_0.35",
    "--image-size",
    "32",
    "--photos",
    "32",
    "--valid-fraction",
    "0.25",
    "--batch-size",
    "8",
    "--unfreeze-from",
    "block_16_expand",
    "--views",
    "2",
    "--epochs",
    "2",
    "1",
    "1",
    "--repeats",
    "1",
    "--export-photos",
    "0",
)
STAGE = {"epochs": 2, "epoch_seconds": [8.0, 2.0], "seconds": 10.0, "valid_error": 0.25}
# Parts that the test below finds measured already: stage 1 without augmentation, 10 times faster.
THEIRS = {
    "device": "CPU (1 cores), tensorflow",
    "images": {"train": 24, "valid": 8},
    "stages": {"1-frozen": STAGE},
    "wall_seconds": 20.0,
    "peak_bytes": 1e9,
    "disk_bytes": 0,
}
OURS = {**THEIRS, "stages": {"1-frozen": {**STAGE, "seconds": 1.0, "epoch_seconds": [0.2, 0.2]}}}
RATES = {"tensorflow float32": {"whole": 100.0, "below": 200.0}}


@pytest.mark.thorough
@pytest.mark.needs("openvino")
def test_it_measures_what_is_not_measured_yet(script, drawn_data, tmp_path):
    import recipe_speed
    from side_by_side.kept_parts import KeptParts

    output = tmp_path / "speed"
    flags = (
        "--source",
        str(drawn_data.parent / "photos"),
        "--output",
        str(output),
        *TINY,
        "--no-without-openvino",
    )
    settings = tyro.cli(recipe_speed.Settings, args=flags)
    parts = KeptParts(output, recipe_speed.shaping(settings))
    parts.part("first-coded-plain-0", lambda folder: THEIRS)
    parts.part("ours-plain-0", lambda folder: OURS)
    done = script("benchmarks/recipe_speed.py", *flags, "--no-loader")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (output / "table.md").read_text()
    assert table in done.stdout
    assert "32 photographs" in table and "say nothing of the recipe" in table
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    names = [row[0].strip() for row in rows]
    assert names[:3] == [
        "stage 1, with augmentation (2 views) (2 epochs)",
        "stage 1, without augmentation (2 epochs)",
        "stage 2, without augmentation (1 epoch)",
    ]
    assert "the same, 10 photographs" in names[-2:]
    assert all(float(row[3]) > 0 for row in rows) and rows[1][3].strip() == "10.0"
    # 24 photographs, 2 views and 8 for validation: embeddings of 1280 numbers in float16.
    ours = parts.read("ours-recipe-0")
    assert ours["disk_bytes"] > (24 * 2 + 8) * 1280 * 2
    assert len(ours["stages"]["1-frozen"]["epoch_seconds"]) == 2
    first = parts.read("first-coded-recipe-0")
    assert first["images"] == {"valid": 8, "train": 24} and first["peak_bytes"] > 2e8
    for part in ("first-coded-predict-0", "ours-predict-0"):
        lines = (output / part / "predict.txt").read_text().splitlines()
        assert len(lines) == 32 and all(line.count("\t") == 1 for line in lines)

    # The same command again measures only what is asked for in addition.
    parts.part("forward-rates", lambda folder: RATES)
    again = script("benchmarks/recipe_speed.py", *flags, "--profile")
    assert again.returncode == 0, again.stdout + again.stderr
    started = [line.split()[2] for line in again.stdout.splitlines() if line.startswith("$ ")]
    assert started == ["benchmarks/loader_speed.py", "benchmarks/loader_growth.py"]
    assert re.search(r"\| loader on (one core|2 cores): PhotoBatches, as in", again.stdout)
    assert re.search(r"into a sink, images a second by cores: [\d,]+ on 1.*% of lin", again.stdout)
    assert "| tensorflow float32 | 100 | 200 |" in again.stdout
    # 24 photographs and 8 at 100 a second, and 0.4 seconds of epochs.
    plain = "| 1-frozen | 10.0 | 1.0 | 0.6 s, 60% | 0.4 s, 40% | 32 of whole at 100/s | 10.0 "
    assert plain + "| 13.9 |" in again.stdout
    refused = script("benchmarks/recipe_speed.py", *flags, "--photos", "40")
    assert refused.returncode == 2 and "photos '32' there, '40' now" in refused.stderr


@pytest.mark.parametrize("augmented", [True, False])
@pytest.mark.parametrize("openvino", [True, False])
def test_the_scripts_know_the_flags_they_are_given(augmented, openvino, tmp_path, monkeypatch):
    from side_by_side import plan as planning
    from side_by_side.commands import command

    commands = []

    def record(folder, name, **flags):
        script, *arguments = command(name, **flags)
        commands.append((script, arguments))
        return planning.Cost(1.0, 1.0, 1)

    monkeypatch.setattr(planning, "script", record)
    monkeypatch.setattr(planning, "our_stages", lambda run: {})
    plan = planning.Plan(
        tmp_path,
        "xception",
        "none",
        299,
        32,
        epochs=(10, 5, 5),
        timed_epochs=2,
        views=4,
        unfreeze_from=None,
        precision="mixed_bfloat16",
    )
    plan.ours(tmp_path, seed=3, augmented=augmented, openvino=openvino)
    given = []
    for name, arguments in commands:
        settings = importlib.import_module(name.removesuffix(".py")).Settings
        given.append(tyro.cli(settings, args=arguments))
    froze, *tricks = given
    assert len(tricks) == augmented
    assert all(settings.stop_patience == settings.reduce_patience == 0 for settings in given)
    assert all(settings.openvino == openvino for settings in given)
    assert {settings.cache for settings in given} == {tmp_path / "cache"}
    assert (froze.seed, froze.frozen_epochs, froze.precision) == (3, 10, "mixed_bfloat16")
    if augmented:
        assert froze.rotation > 0 and froze.views == 4
        assert not froze.unfrozen_augmentation and froze.unfrozen_epochs == 5
        assert tricks[0].epochs == 5
    else:
        assert froze.stages("last")[0].augmentation is None and froze.unfrozen_epochs == 0


def test_forward_rates_of_every_engine(script, tmp_path):
    file = tmp_path / "rates.json"
    done = script(
        "benchmarks/forward_rates.py",
        "--backbone",
        "mobilenet_v2_0.35",
        "--image-size",
        "32",
        "--batch-size",
        "2",
        "--batches",
        "1",
        "--json",
        file,
    )
    assert done.returncode == 0, done.stderr
    rates = json.loads(file.read_text())
    assert {"tensorflow float32", "tensorflow mixed_bfloat16"} <= set(rates)
    assert all(numbers["whole"] > 0 and numbers["below"] > 0 for numbers in rates.values())


@pytest.mark.parametrize(
    "flags,words",
    [
        (("--first-coded-epochs", "1"), "--first-coded-epochs must be 0 or at least 2"),
        (("--source", "nowhere"), "there is no folder nowhere"),
        (("--backbone", "resnet50"), "--backbone resnet50 is none"),
        (("--weights", "nowhere.h5"), "--weights 'nowhere.h5' is no file"),
    ],
)
def test_what_cannot_be_measured_is_refused(drawn_data, tmp_path, flags, words):
    import recipe_speed

    from finegrain.errors import UserError

    output = tmp_path / "speed"
    sound = ("--source", str(drawn_data.parent / "photos"), "--output", str(output), *TINY)
    with pytest.raises(UserError, match=words):
        recipe_speed.main(tyro.cli(recipe_speed.Settings, args=(*sound, *flags)))
    assert not output.exists()
