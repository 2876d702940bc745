"""Rows on disk: what was written is read back, whatever happened in between."""

import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import DamagedStore, RowStore

KEY = {"weights": "abc", "image_size": [32, 32], "views": 2}
KINDS = {"embedding": RowKind((3,), "float32"), "activation": RowKind((2, 2), "float16")}


def make(path, rows=None, columns=None):
    return RowStore.create(path, KEY, KINDS, rows or {"train": 5, "valid": 2}, columns)


def values(rows, salt=0):
    """Content that tells which row it belongs to."""
    rows = np.asarray(rows, np.float32)
    return {
        "embedding": rows[:, None] + np.array([0.0, 0.25, 0.5], np.float32) + salt,
        "activation": (rows[:, None, None] + np.zeros((2, 2))).astype(np.float16),
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(st.permutations(range(7)), min_size=1, max_size=3), st.integers(1, 7))
def test_rows_come_back_whatever_the_order(tmp_path_factory, orders, chunk):
    store = make(tmp_path_factory.mktemp("s") / "a.h5", {"train": 7})
    done = set()
    for turn, order in enumerate(orders):
        for start in range(0, 7, chunk):
            rows = order[start : start + chunk]
            store.write("train", rows, values(rows, salt=turn))
            done |= set(rows)
            assert set(np.flatnonzero(store.done("train"))) == done
    rows = orders[0]
    np.testing.assert_array_equal(
        store.read("embedding", "train", rows), values(rows, salt=len(orders) - 1)["embedding"]
    )
    np.testing.assert_array_equal(
        store.read("activation", "train", rows), values(rows)["activation"]
    )


def test_a_closed_store_is_an_hdf5_file_with_everything_in_it(tmp_path):
    columns = {
        "path": {"train": [f"{i}ä.jpg" for i in range(5)], "valid": ["x", "y"]},
        "label": {"train": [0, 1, 2, 0, 1], "valid": [2, 2]},
    }
    store = make(tmp_path / "a.h5", columns=columns)
    store.write("train", range(5), values(range(5)))
    store.close()
    with h5py.File(tmp_path / "a.h5", "r") as file:
        np.testing.assert_array_equal(file["embedding/train"][:], values(range(5))["embedding"])
        assert file["embedding/valid"].shape == (2, 3)
        assert file["path/train"].asstr()[:].tolist() == columns["path"]["train"]
        assert file["label/valid"][:].tolist() == [2, 2]
        assert file["done/train"][:].all() and not file["done/valid"][:].any()
        assert file.attrs["weights"] == "abc"
    again = RowStore(tmp_path / "a.h5", KEY)
    assert again.kinds == KINDS and again.splits == {"train": 5, "valid": 2}


def test_another_key_is_never_used(tmp_path):
    make(tmp_path / "a.h5").close()
    with pytest.raises(DamagedStore, match="something else"):
        RowStore(tmp_path / "a.h5", {**KEY, "weights": "abd"})


def test_files_that_are_no_whole_store_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    store = make(path)
    store.write("train", range(5), values(range(5)))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 20])
    with pytest.raises(DamagedStore):
        RowStore(path, KEY)
    for content in (b"", b"no HDF5 at all" * 1000):
        path.write_bytes(content)
        with pytest.raises(DamagedStore):
            RowStore(path, KEY)
    with h5py.File(path, "w") as file:
        file["embedding"] = np.zeros(3)
    with pytest.raises(DamagedStore):
        RowStore(path, KEY)


def test_a_second_process_reads_what_is_done_and_writes_nothing(tmp_path):
    store = make(tmp_path / "a.h5")
    store.write("train", [1, 3], values([1, 3]))
    store.flush()
    other = f"""
from pathlib import Path
import numpy as np
from finegrain.stores.row_store import RowStore
store = RowStore(Path({str(tmp_path / "a.h5")!r}), {KEY!r})
assert not store.writable
assert store.done("train").tolist() == [False, True, False, True, False]
assert store.read("embedding", "train", [3])[0, 0] == 3
store.write("train", [0], {{"embedding": np.full((1, 3), 9), "activation": np.zeros((1, 2, 2))}})
store.close()
"""
    subprocess.run([sys.executable, "-c", other], check=True)
    store.close()
    after = RowStore(tmp_path / "a.h5", KEY)
    assert after.writable
    assert after.done("train").tolist() == [False, True, False, True, False]


def test_killed_while_filling_it_holds_right_rows_and_goes_on(tmp_path):
    path = tmp_path / "a.h5"
    rows = 100_000
    kinds = {"embedding": RowKind((16,), "float32")}
    RowStore.create(path, KEY, kinds, {"train": rows}).close()
    filler = f"""
from pathlib import Path
import numpy as np
from finegrain.stores import row_store
row_store.SECONDS_BETWEEN_FLUSHES = 0.01
store = row_store.RowStore(Path({str(path)!r}), {KEY!r})
print("begun", flush=True)
for row in np.flatnonzero(~store.done("train")):
    store.write("train", [row], {{"embedding": np.full((1, 16), row, np.float32)}})
store.close()
"""
    counts = []
    for wait in (0.1, 0.1, None):
        process = subprocess.Popen([sys.executable, "-c", filler], stdout=subprocess.PIPE)
        process.stdout.readline()
        if wait is not None:
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        assert process.wait() == (0 if wait is None else -signal.SIGKILL)
        store = RowStore(path, KEY)
        done = np.flatnonzero(store.done("train"))
        counts.append(len(done))
        got = store.read("embedding", "train", done)
        np.testing.assert_array_equal(got, np.repeat(done[:, None], 16, axis=1))
        store.close()
    assert 0 < counts[0] <= counts[1] <= counts[2] == rows


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_what_is_asked_of_the_disk_is_no_less_than_a_file_takes(tmp_path, monkeypatch, count):
    asked = []
    monkeypatch.setattr("finegrain.whole_files._check_space", lambda _, size: asked.append(size))
    columns = {
        "path": {"train": [f"class {row % 7}/{'ü' * (row % 90)}{row}.jpg" for row in range(count)]},
        "label": {"train": np.arange(count), "valid": np.zeros(5, int)},
    }
    kinds, rows = {"embedding": RowKind((3,), "float32")}, {"train": count, "valid": 5}
    path = tmp_path / "store.h5"
    RowStore.create(path, {"made": "of" * 500}, kinds, rows, columns, {"notes": "x" * 900}).close()
    assert 0 < path.stat().st_size - (count + 5) * 12 <= asked[0]
