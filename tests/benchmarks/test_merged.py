"""The benchmarks of merged embeddings, on a handful of photographs."""

import json
import re

import pytest

SMALL = "mobilenet_v2_0.35"


def numbers(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_results_stand_in_a_table(script, tmp_path):
    from finegrain.drawn.breed import demo_breeds
    from finegrain.drawn.collection import write_photos

    write_photos(tmp_path / "photos", demo_breeds()[:3], per_class=10, seed=1)
    command = (
        "benchmarks/merged_results.py",
        "--source",
        tmp_path / "photos",
        "--output",
        tmp_path / "results",
        "--backbones",
        f"{SMALL},mobilenet_v2",
        "--weights",
        "none",
        "--image-size",
        32,
        *"--classifiers logistic --normalise l2".split(),
    )
    done = script(*command, "--seeds", 0)
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "results" / "table.md").read_text()
    rows = [numbers(line) for line in table.splitlines()[2:]]
    labels = ["all 2 merged", f"{SMALL} alone", "mobilenet_v2 alone"]
    assert sorted(row[1] for row in rows) == sorted(labels)
    for row in rows:
        error, low, high = float(row[5]), *map(float, re.findall(r"\d\.\d+", row[6]))
        assert 0 <= low == error == high <= 1
    # Of several seeds the mean, and the range of the test errors.
    kept = next((tmp_path / "results").glob("scores-*.json"))
    other = json.loads(kept.read_text())
    for scores in other.values():
        scores["test"]["top1_error"] = 1.0
    kept.with_name("scores-logistic-7.json").write_text(json.dumps(other))
    done = script(*command, "--seeds", 0, 7)
    mean = [float(numbers(line)[5]) for line in done.stdout.splitlines() if "| logistic" in line]
    assert mean == pytest.approx([(1 + float(row[5])) / 2 for row in rows], abs=1e-4)
    # What is there is not computed again.
    assert "$ python" not in done.stdout


@pytest.mark.thorough
def test_both_exports_are_measured_on_the_same_photographs(script, tmp_path):
    done = script(
        "benchmarks/export_speed.py",
        "--output",
        tmp_path,
        "--photos",
        40,
        "--few",
        20,
        "--image-sizes",
        32,
        "--no-openvino",
        "--json",
        tmp_path / "kept.json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "kept.json").read_text())["40"]
    assert [kept[side]["images"] for side in ("plain", "ours")] == [30, 40]
    plain, ours = (numbers(line) for line in done.stdout.splitlines()[-2:])
    # One of the four of each class is for validation, which the plain way leaves out.
    assert [plain[0], ours[0]] == ["30", "40"]
    assert all(float(row[2]) > 0 and float(row[5]) > 0.1 for row in (plain, ours))


def test_merging_is_measured_from_memory_and_from_disk(script, tmp_path):
    done = script(
        "benchmarks/merged_speed.py",
        "--output",
        tmp_path,
        "--photographs",
        100,
        "--many-photographs",
        2000,
        "--repeats",
        1,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [numbers(line) for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [row[:3] for row in rows] == [["100", "3 x 2,048", "2"], ["2,000", "1 x 2,048", "997"]]
    assert all(0 < float(row[4]) < float(row[5]) for row in rows)
