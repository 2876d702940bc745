"""bird_results.py: what it sums up of finished runs."""

import csv
import json
import sys

import pytest
from commands import REPOSITORY

from finegrain.errors import UserError


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import bird_results

    return bird_results


def write_run(run, test_error, valid_error):
    for stage, epoch_seconds in (("1-frozen", [2, 1]), ("2-unfrozen", [4, 3])):
        (run / stage).mkdir(parents=True)
        with (run / stage / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", "seconds"])
            writer.writeheader()
            writer.writerows({"epoch": n, "seconds": s} for n, s in enumerate(epoch_seconds))
    stages = {"2-unfrozen": {"test_error": test_error, "valid_error": valid_error}}
    (run / "results.json").write_text(json.dumps({"stages": stages}))


def test_its_table_and_its_refusal_of_other_settings(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "parameters", lambda run: 1234567)
    called = []
    monkeypatch.setattr(benchmark, "call", lambda script, **_: called.append(script))
    monkeypatch.setattr(benchmark, "make_data_set", lambda *_: called.append("data set"))
    for seed, error in ((0, 0.1), (1, 0.2), (2, 0.6)):
        write_run(tmp_path / f"se-{seed}", error, error / 2)
        write_run(tmp_path / f"se-pairs-{seed}", error + 0.1, error)
    settings = benchmark.Settings(tmp_path, tmp_path, heads=("se",))
    benchmark.main(settings)
    # Runs that are finished are not started again.
    assert called == ["data set"] * 3
    assert (tmp_path / "table.md").read_text().splitlines()[2:] == [
        "| se | no | 1,234,567 | 0.1500 | 0.3000 | 0.1000 to 0.6000 | 10 |",
        "| se | yes | 1,234,567 | 0.3000 | 0.4000 | 0.2000 to 0.7000 | 10 |",
    ]
    with pytest.raises(UserError, match="image_size 160 there, 96 now"):
        benchmark.main(benchmark.Settings(tmp_path, tmp_path, heads=("se",), image_size=96))
    # What is missing is trained, by the command that a user would type.
    with pytest.raises(KeyError):
        benchmark.main(benchmark.Settings(tmp_path, tmp_path, heads=("cbam",), pair_loss=False))
    assert called.count("recipes/bird_fine_tune.py") == 3
    sys.modules.pop("bird_results")
