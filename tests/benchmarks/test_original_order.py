"""original_order.py: which runs a setting shares, and what it sums up of finished ones."""

import json

import pytest
from commands import REPOSITORY


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import original_order

    return original_order


def write_run(run, unfrozen, retrained, baseline):
    run.mkdir(parents=True)
    errors = {"2-unfrozen": unfrozen, "3-retrained": retrained}
    stages = {name: {"test_error": error} for name, error in errors.items()}
    results = {"stages": stages, "baseline": {"test_error": baseline}}
    (run / "results.json").write_text(json.dumps(results))


def test_settings_that_differ_in_the_second_loss_share_their_softmax(benchmark, tmp_path):
    settings = benchmark.Settings(tmp_path, tmp_path)
    first, second, *_ = benchmark.ALL_SETTINGS
    folders = {
        script: [
            benchmark.run_folder(settings, 0, script, setting.flags[script])
            for setting in benchmark.ALL_SETTINGS
        ]
        for script in (benchmark.SINGLE, benchmark.MULTI)
    }
    assert first.both == second.both
    assert folders[benchmark.SINGLE][0] == folders[benchmark.SINGLE][1]
    assert len(set(folders[benchmark.MULTI])) == len(benchmark.ALL_SETTINGS)


def test_the_table_holds_what_is_finished_in_both(benchmark, tmp_path, capsys):
    settings = benchmark.Settings(tmp_path, tmp_path, first=2, train=False)
    first, second = benchmark.ALL_SETTINGS[:2]
    for seed, shift in ((0, 0.0), (1, 0.1)):
        for script, errors in (
            (benchmark.SINGLE, (0.20, 0.19)),
            (benchmark.MULTI, (0.17, 0.18)),
        ):
            run = benchmark.run_folder(settings, seed, script, first.flags[script])
            write_run(run, *(error + shift for error in errors), baseline=0.15 + shift)
    # Of the second setting one seed alone is finished, and it does harm.
    run = benchmark.run_folder(settings, 0, benchmark.MULTI, second.flags[benchmark.MULTI])
    write_run(run, 0.25, 0.24, 0.15)
    benchmark.main(settings)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [cell.strip() for cell in rows[0].strip("|").split("|")] == [
        first.name,
        "0.2500 (0.2000 to 0.3000)",
        "0.2200 (0.1700 to 0.2700)",
        "+0.0300 (+0.0300 to +0.0300)",
        "0.2400 (0.1900 to 0.2900)",
        "0.2300 (0.1800 to 0.2800)",
        "+0.0100 (+0.0100 to +0.0100)",
    ]
    assert "-0.0500 (-0.0500 to -0.0500)" in rows[1]
    assert "same splits: 0.2000 (0.1500 to 0.2500)." in (tmp_path / "table.md").read_text()
