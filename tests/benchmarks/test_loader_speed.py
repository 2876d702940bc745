"""The loaders' benchmark on a few drawn photographs."""

import re


def test_the_table_names_every_loader_and_how_far_it_is_off(drawn_data, script):
    done = script(
        "benchmarks/loader_speed.py",
        "--data",
        drawn_data,
        "--image-size",
        150,
        "--epochs",
        2,
        "--batch-size",
        8,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (.+?) \| \d+ \| \d+ \| [\d.]+ \| (.*) \| (.*) \|$", done.stdout, re.M)
    differences = {name: largest for name, _, largest in rows}
    assert next(iter(differences)) == "ImageDataGenerator" and len(differences) == 5
    assert float(differences["FusedImageDataGenerator"]) <= 0.02
    assert float(differences["the same with a cache"]) <= 0.02
    assert float(differences["the same in uint8"]) <= 0.52
    assert "| read from the store |" in done.stdout


def test_mistakes_are_one_sentence(tmp_path, drawn_data, script):
    for arguments, words in (
        (("--data", tmp_path / "none"), "there is no data set folder"),
        (("--data", drawn_data, "--epochs", 1), "has no second epoch"),
    ):
        done = script("benchmarks/loader_speed.py", *arguments)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
