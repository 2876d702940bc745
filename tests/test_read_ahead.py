"""Results in order, bounded, and nothing left running."""

import threading
import time
from itertools import count, islice

import pytest

from finegrain.read_ahead import read_ahead


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_results_come_in_the_order_of_the_items(workers, ahead):
    def slow(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(read_ahead(slow, range(20), workers, ahead)) == [n * n for n in range(20)]
    assert list(read_ahead(slow, [], workers, ahead)) == []


def test_no_more_is_begun_than_was_asked_for():
    begun = []
    results = read_ahead(lambda number: begun.append(number) or number, count(), 2, 3)
    assert list(islice(results, 4)) == [0, 1, 2, 3]
    time.sleep(0.05)
    assert sorted(begun) == list(range(7))
    results.close()
    assert list(results) == []


def test_an_error_comes_in_its_place_and_ends_it():
    results = read_ahead(lambda number: 6 // number, [2, 1, 0, 3], 2, 4)
    assert [next(results), next(results)] == [3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("end", ["close", "error", "ctrl_c"])
def test_nothing_runs_on_when_it_is_left(end):
    at_work, begun = threading.Event(), []

    def read(number: int) -> int:
        begun.append(number)
        if number:
            at_work.set()
            time.sleep(0.1)
            begun.append(-number)
        return number

    results = read_ahead(read, range(100), 1, 50)
    assert next(results) == 0
    assert at_work.wait(5)
    if end == "close":
        results.close()
    else:
        # As Ctrl-C arrives while a result is waited for, or an error where results are used.
        kind = KeyboardInterrupt if end == "ctrl_c" else ValueError
        with pytest.raises(kind):
            results.throw(kind())
    # What had begun has ended, and nothing else began.
    assert begun == [0, 1, -1]
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead")]
