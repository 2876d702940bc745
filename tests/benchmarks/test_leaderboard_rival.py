"""leaderboard.py beside a rival, for which a stub stands in here."""

import json
import sys

import pytest
from commands import REPOSITORY

WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
# Takes what AutoGluon's Python takes, and answers by the nearest mean of a class.
STUB = """#!{python}
import sys
import numpy as np
_, script, embeddings, models, seconds, presets, answers = sys.argv
assert script.endswith("rival_tabular.py") and 0 < float(seconds) < 60 and presets == "best_quality"
with np.load(embeddings) as content:
    known, labels, test = content["known"], content["labels"], content["test"]
means = np.stack([known[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
nearness = -((test[:, None] - means) ** 2).sum(axis=2)
np.savez(answers, test=(nearness == nearness.max(axis=1, keepdims=True)).astype("float32"))
"""


@pytest.mark.thorough
def test_both_are_scored_by_the_hidden_labels(script, drawn_data, tmp_path):
    stub = tmp_path / "python"
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(0o755)
    command = (
        *("benchmarks/leaderboard_rival.py", "--source", drawn_data.parent / "photos"),
        *("--output", tmp_path / "out", "--weights", f"xception_small={WEIGHTS}"),
        *("--minutes", 0.9, "--autogluon", stub),
    )
    done = script(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"leaderboard.py", "logistic regression on xception_small"} <= scores.keys()
    rivals = [name for name in scores if name.startswith("AutoGluon Tabular best_quality on")]
    assert len(rivals) == 1
    assert all(0 <= score < 0.75 for score in scores.values())
    again = script(*command)
    assert "$ python" not in again.stdout and done.stdout.endswith(again.stdout)
