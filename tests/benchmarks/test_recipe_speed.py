"""The speed benchmark as a user runs it, on a few drawn photographs."""

import json

import pytest

TINY = (
    "--backbone", "mobilenet_v2_0.35", "--image-size", "32", "--photos", "32",
    "--valid-fraction", "0.25", "--batch-size", "8", "--unfreeze-from", "block_16_expand",
    "--views", "2", "--no-without-openvino",
)  # fmt: skip


@pytest.mark.slow
def test_it_measures_both_sides_and_goes_on_where_it_stopped(script, drawn_data, tmp_path):
    output = tmp_path / "speed"
    command = (
        "benchmarks/recipe_speed.py", "--source", drawn_data.parent / "photos",
        "--output", output, *TINY, "--epochs", "2", "1", "1",
    )  # fmt: skip
    done = script(*command)
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
    assert "baidu_dog_test.py, whole process" in names[-2:]
    assert all(float(row[3]) > 0 for row in rows)
    # 24 photographs, 2 views and 8 for validation: embeddings of 1280 numbers in float32.
    ours = json.loads((output / "ours-recipe-0" / "part.json").read_text())
    assert ours["disk_bytes"] > (24 * 2 + 8) * 1280 * 4
    assert len(ours["stages"]["1-frozen"]["epoch_seconds"]) == 2
    first = json.loads((output / "first-coded-recipe-0" / "part.json").read_text())
    assert first["images"] == {"valid": 8, "train": 24}
    assert first["peak_bytes"] > 2e8

    # What is finished is kept; what is missing is measured.
    again = script(*command, "--profile")
    assert again.returncode == 0, again.stdout + again.stderr
    started = [line.split()[2] for line in again.stdout.splitlines() if line.startswith("$ ")]
    assert started == ["benchmarks/forward_rates.py"]
    assert "| 1-frozen |" in again.stdout and "outside the stages" in again.stdout
    refused = script(*command, "--photos", "40")
    assert refused.returncode == 2
    assert "photos '32' there, '40' now" in refused.stderr


@pytest.mark.parametrize(
    "flags,words",
    [
        (("--first-coded-epochs", "1"), "--first-coded-epochs must be 0 or at least 2"),
        (("--epochs", "10", "0", "5"), "--epochs must be at least 1"),
        (("--source", "nowhere"), "there is no folder nowhere"),
        (("--backbone", "resnet50"), "--backbone resnet50 is none"),
        (("--weights", "nowhere.h5"), "--weights 'nowhere.h5' is no file"),
    ],
)
def test_what_cannot_be_measured_is_refused(script, drawn_data, tmp_path, flags, words):
    output = tmp_path / "speed"
    done = script("benchmarks/recipe_speed.py", "--source", drawn_data.parent / "photos",
                  "--output", output, *TINY, *flags)  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and words in done.stderr
    assert not output.exists()
