"""Expected scores beside true ones, on a few drawn photographs."""

import re

from commands import REPOSITORY

WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"


def test_a_row_a_split_and_how_many_held(script, drawn_data, tmp_path):
    command = (
        *("benchmarks/leaderboard_intervals.py", "--source", drawn_data.parent / "photos"),
        *("--output", tmp_path / "out", "--weights", f"xception_small={WEIGHTS}", "--splits", 1),
    )
    done = script(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    row = r"\| 0 \| [\d.]+ \| ([\d.]+) to ([\d.]+) \| ([\d.]+) \| (yes|\*\*no\*\*) \|"
    low, high, true, holds = re.search(row, done.stdout).groups()
    assert (float(low) <= float(true) <= float(high)) == (holds == "yes")
    assert f"{int(holds == 'yes')} of 1 true scores lie within" in done.stdout
    again = script(*command)
    assert "$ python" not in again.stdout and done.stdout.endswith(again.stdout)
