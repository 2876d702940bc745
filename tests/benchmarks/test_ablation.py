"""ablation.py: what it sums up of finished runs, and what it refuses."""

import csv
import json

import pytest
from commands import REPOSITORY

from finegrain.errors import UserError


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import ablation

    return ablation


def write_run(run, valid, test, seconds):
    (run / "2-unfrozen").mkdir(parents=True)
    with (run / "2-unfrozen" / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "seconds"])
        writer.writeheader()
        writer.writerows({"epoch": epoch, "seconds": seconds / 2} for epoch in (1, 2))
    numbers = {"valid_error": valid, "test_error": test}
    baseline = {"valid_error": 0.3, "test_error": 0.3, "seconds": 1}
    results = {"model_from": "2-unfrozen", "stages": {"2-unfrozen": numbers}, "baseline": baseline}
    (run / "results.json").write_text(json.dumps(results))


def write_answers(folder, error):
    folder.mkdir()
    measures = {"measures": {"top1_accuracy": {"value": 1 - error}}}
    splits = {"splits": {"valid": measures, "test": measures}}
    (folder / "evaluation.json").write_text(json.dumps(splits))
    (folder / "seconds.txt").write_text("5")


def test_parts_are_sorted_by_what_they_save_a_second(benchmark, tmp_path, capsys):
    """Dropout saves 0.02 in 10 s; eight views save 0.04 in 40 s; mixup costs 0.01."""
    rows = {row.name: row.folder for row in benchmark.ROWS}
    for seed, shift in ((0, 0.0), (1, 0.1)):
        for name, error, seconds in (
            (benchmark.MODERN, 0.10, 10),
            ("dropout", 0.12, 8),
            ("8 stored views, not 4", 0.06, 40),
            ("mixup", 0.11, 20),
        ):
            folder = tmp_path / "birds" / f"seed-{seed}" / rows[name]
            write_run(folder, error + shift, error + shift, seconds)
        write_answers(tmp_path / "birds" / f"seed-{seed}" / rows["answers: flip"], 0.09 + shift)
    source = tmp_path / "photos"
    source.mkdir()
    benchmark.main(benchmark.Settings((f"birds={source}",), tmp_path, seeds=(0, 1, 2), train=False))
    expected = """
| part | birds | saved, validation | saved, test | seconds |
|---|---|---|---|---|
| the modern recipe | 0.1500 (0.1000 to 0.2000) |  |  | 10 |
| logistic regression on frozen embeddings | 0.3000 (0.3000 to 0.3000) \\
| +0.1500 (+0.1000 to +0.2000) | +0.1500 (+0.1000 to +0.2000) | 10 |
| without dropout | 0.1700 (0.1200 to 0.2200) | +0.0200 (+0.0200 to +0.0200) \\
| +0.0200 (+0.0200 to +0.0200) | 10 |
| with 8 stored views, not 4 | 0.1100 (0.0600 to 0.1600) | +0.0400 (+0.0400 to +0.0400) \\
| +0.0400 (+0.0400 to +0.0400) | 40 |
| with answers: flip | 0.1400 (0.0900 to 0.1900) | +0.0100 (+0.0100 to +0.0100) \\
| +0.0100 (+0.0100 to +0.0100) | 15 |
| with mixup | 0.1600 (0.1100 to 0.2100) | -0.0100 (-0.0100 to -0.0100) \\
| -0.0100 (-0.0100 to -0.0100) | 20 |
""".replace("\\\n", "").lstrip()
    assert capsys.readouterr().out == expected + "\n"
    assert (tmp_path / "table.md").read_text() == expected


def test_no_two_rows_share_a_folder(benchmark):
    folders = [row.folder for row in benchmark.ROWS]
    assert len(set(folders)) == len(folders)


def test_rows_and_sources_that_are_not_there_are_refused(benchmark, tmp_path):
    with pytest.raises(UserError, match="--only mixdown is in no row; the rows are: "):
        benchmark.chosen_rows(["mixdown"])
    with pytest.raises(UserError, match="must be NAME=FOLDER"):
        benchmark.named_sources([str(tmp_path)])
