"""The comparison of two runs against worked examples and plain resampling."""

import numpy as np
import pytest

from finegrain.report.comparison import difference, disagreements
from finegrain.report.photographs import Photographs


def run_of(rights: str):
    """A run that has the photograph n right where the n-th letter is R."""
    return {
        (f"{n:03d}.jpg", "cat"): ("cat" if letter == "R" else "dog", 0.5 + n / 1000)
        for n, letter in enumerate(rights)
    }


def test_mcnemar_by_hand():
    # 10 against 2: p = 2 (C(12,0) + C(12,1) + C(12,2)) / 2^12 = 158 / 4096.
    found = difference(run_of("R" * 10 + "W" * 2 + "R" * 20), run_of("W" * 10 + "R" * 22))
    assert (found.only_this, found.only_other, found.images) == (10, 2, 32)
    assert found.p_value == pytest.approx(158 / 4096)
    assert found.accuracy - found.other_accuracy == pytest.approx(8 / 32)


def test_the_interval_is_that_of_drawing_photographs():
    rng = np.random.default_rng(3)
    this, other = (rng.choice(["R", "W"], 150, p=[0.6, 0.4]) for _ in range(2))
    found = difference(run_of("".join(this)), run_of("".join(other)))
    apart = (this == "R").astype(float) - (other == "R")
    draws = [apart[rng.integers(0, 150, 150)].mean() for _ in range(4000)]
    assert found.low == pytest.approx(np.percentile(draws, 2.5), abs=0.02)
    assert found.high == pytest.approx(np.percentile(draws, 97.5), abs=0.02)


def test_equal_runs_do_not_differ():
    found = difference(run_of("RWR"), run_of("RWR"))
    assert (found.low, found.high, found.p_value) == (0, 0, 1)


def test_only_photographs_of_one_path_and_class_are_compared():
    moved = {("000.jpg", "dog"): ("dog", 0.9)}
    assert difference(run_of("RR"), moved) is None
    assert difference(run_of("RR"), run_of("W")).images == 1
    assert disagreements([run_of("RR"), moved], Photographs("."), 5) == (0, [])


def test_disagreements_begin_with_what_a_run_has_right(tmp_path):
    neither = {("x.jpg", "cat"): ("dog", 0.99)}, {("x.jpg", "cat"): ("owl", 0.98)}
    runs = [run_of("RWRR") | neither[0], run_of("RRWR") | neither[1]]
    count, shown = disagreements(runs, Photographs(tmp_path), 10)
    assert count == 3
    assert [one.path for one in shown] == ["002.jpg", "001.jpg", "x.jpg"]
    assert [right for _, _, right in shown[0].answers] == [True, False]
