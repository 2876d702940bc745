"""Which stores a folder opens, makes anew, cuts short or refuses."""

import numpy as np
import pytest

from finegrain.stores import store_folder
from finegrain.stores.row_layout import RowKind
from finegrain.stores.store_folder import ROW_OVERHEAD, StoreFolder

KINDS = {"activation": RowKind((100,), "float16")}
ROW = 200 + ROW_OVERHEAD
ROWS = {"valid": 4, "train": 20}


@pytest.fixture(autouse=True)
def small_disk(monkeypatch):
    monkeypatch.setattr(store_folder, "LEFT_FREE", 0)


def test_the_same_key_finds_its_rows_again(tmp_path):
    folder = StoreFolder(tmp_path / "cache", 1e6)
    store = folder.open("a", {"weights": "1"}, KINDS, ROWS)
    assert folder.reason == "" and store.splits == ROWS
    store.write("train", [3], {"activation": np.full((1, 100), 7)})
    store.close()
    again = folder.open("a", {"weights": "1"}, KINDS, ROWS)
    assert np.flatnonzero(again.done("train")).tolist() == [3]
    other = folder.open("a", {"weights": "2"}, KINDS, ROWS)
    assert not other.done("train").any()
    assert len(folder.stores()) == 2


def test_what_does_not_fit_is_cut_from_the_end_and_explained(tmp_path):
    folder = StoreFolder(tmp_path, 10 * ROW)
    store = folder.open("a", {}, KINDS, ROWS)
    assert store.splits == {"valid": 4, "train": 6}
    assert "10 of 24 rows" in folder.reason and "--cache-gb" in folder.reason
    store.close()
    assert StoreFolder(tmp_path, ROW / 2).open("b", {"other": 1}, KINDS, ROWS) is None


def test_other_stores_count(tmp_path):
    first = StoreFolder(tmp_path, 1e6).open("a", {}, KINDS, ROWS)
    first.close()
    folder = StoreFolder(tmp_path, first.path.stat().st_size + 3 * ROW)
    second = folder.open("b", {"other": 1}, KINDS, ROWS)
    assert second.splits == {"valid": 3, "train": 0}
    assert "other stores" in folder.reason


def test_a_cut_store_grows_when_there_is_more_room(tmp_path):
    StoreFolder(tmp_path, 10 * ROW).open("a", {}, KINDS, ROWS).close()
    folder = StoreFolder(tmp_path, 1e6)
    assert folder.open("a", {}, KINDS, ROWS).splits == ROWS
    assert folder.reason == ""


def test_a_store_stays_when_there_is_less_room_than_it_was_made_with(tmp_path):
    store = StoreFolder(tmp_path, 1e6).open("a", {}, KINDS, ROWS)
    store.write("valid", range(4), {"activation": np.ones((4, 100))})
    store.close()
    again = StoreFolder(tmp_path, 2 * ROW).open("a", {}, KINDS, ROWS)
    assert again.splits == ROWS and again.done("valid").all()


def test_a_damaged_store_is_made_anew(tmp_path):
    folder = StoreFolder(tmp_path, 1e6)
    store = folder.open("a", {}, KINDS, ROWS)
    store.write("train", range(20), {"activation": np.ones((20, 100))})
    store.close()
    store.path.write_bytes(store.path.read_bytes()[:3000])
    assert not folder.open("a", {}, KINDS, ROWS).done("train").any()


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(store_folder, "LEFT_FREE", 10**18)
    folder = StoreFolder(tmp_path, 1e9)
    assert folder.open("a", {}, KINDS, ROWS) is None
    assert "free space of the disk" in folder.reason
