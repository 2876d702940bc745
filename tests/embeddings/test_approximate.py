"""The approximate index, against the exact search and where it cannot be taken."""

import sys
from pathlib import Path

import numpy as np
import pytest

from finegrain.embeddings import approximate, search
from finegrain.embeddings.all_rows import AllRows
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.feature_shards import open_all_features
from finegrain.embeddings.nearest import nearest, unit_rows
from finegrain.embeddings.search import ExactSearch, open_search
from finegrain.errors import UserError
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore

WIDTH = 16
needs_usearch = pytest.mark.optional("usearch")


def clustered(count: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).normal(size=(20, WIDTH))
    rng = np.random.default_rng(seed)
    return centres[rng.integers(0, 20, count)] + rng.normal(size=(count, WIDTH)) / 2


def write(path: Path, splits: dict[str, np.ndarray], shard: str | None = None) -> Path:
    """A file as recipes/export_features.py makes it."""
    columns: dict[str, dict] = {"class": {"names": ["a"]}}
    for split, values in splits.items():
        numbers = np.arange(len(values))
        columns.setdefault("path", {})[split] = [f"{n}.jpg" for n in numbers]
        columns.setdefault("id", {})[split] = [f"{n}" for n in numbers]
        for name in ("label", "group", "view"):
            columns.setdefault(name, {})[split] = numbers * 0
    key = {"backbone": "made-up", "data": "none", "views": {"kind": "plain"}}
    key |= {} if shard is None else {"shard": shard}
    counts = {split: len(values) for split, values in splits.items()}
    kinds = {"embedding": RowKind((WIDTH,), "float16")}
    store = RowStore.create(path, key, kinds, counts, columns)
    for split, values in filter(lambda entry: len(entry[1]), splits.items()):
        store.write(split, np.arange(len(values)), {"embedding": values.astype("float16")})
    store.close()
    return path


@pytest.fixture
def file(tmp_path) -> Path:
    """2,000 rows in two splits, and one without any."""
    known = clustered(2_000, 1)
    splits = {"test": known[:0], "train": known[:1_500], "valid": known[1_500:]}
    return write(tmp_path / "known.h5", splits)


def test_all_rows_are_those_of_the_splits_in_their_order(file):
    expected = unit_rows(clustered(2_000, 1).astype("float16"))
    with FeatureFile(file) as features:
        rows = AllRows(features)
        assert len(rows) == 2_000
        assert [len(block) for block in rows.blocks(700)] == [700, 700, 100, 500]
        np.testing.assert_array_equal(np.concatenate(list(rows.blocks(700))), expected)
        some = np.array([0, 3, 1_499, 1_500, 1_999])
        np.testing.assert_array_equal(rows.read(some), expected[some])
        assert rows.read(some[:0]).shape == (0, WIDTH)
        assert rows.spread(3).tolist() == [0, 999, 1_999] and len(rows.spread(9_000)) == 2_000
        assert len(AllRows(features, ["valid"])) == 500
        assert AllRows(features, ["valid"]).digest() != rows.digest()


@needs_usearch
def test_nearly_the_nearest_with_the_exact_distances(file, capsys):
    query = unit_rows(clustered(200, 2))
    with FeatureFile(file) as features:
        rows = AllRows(features)
        index = open_search(rows, "approximate", 1)
        exact = nearest(rows.blocks(), query, 10)
        found = index.nearest(query, 10)
        assert "building" in (told := capsys.readouterr().out) and "recall at 10 of" in told
        hits = [len(np.intersect1d(*pair)) for pair in zip(found.rows, exact.rows, strict=True)]
        assert np.mean(hits) / 10 > 0.93
        assert abs(np.mean(hits) / 10 - index.recall) < 0.05
        everything = np.concatenate(list(rows.blocks()))
        expected = 1 - np.einsum("qd,qkd->qk", query, everything[found.rows])
        np.testing.assert_allclose(found.distances, expected, atol=1e-6)
        assert (np.diff(found.distances) >= 0).all()
        # One alone is asked as many are.
        alone = index.nearest(query[:1], 10)
        assert alone.rows.tolist() == found.rows[:1].tolist()
        with pytest.raises(ValueError, match="Received: 0, 200"):
            index.nearest(query, 0)

        again = open_search(rows, "approximate", 1)
        assert "building" not in capsys.readouterr().out and again.recall == index.recall
        assert again.nearest(query, 10).rows.tolist() == found.rows.tolist()


@needs_usearch
@pytest.mark.parametrize("count", [1, 2, 9, 10, 25])
def test_fewer_rows_than_neighbours(tmp_path, count):
    path = write(tmp_path / "few.h5", {"train": clustered(count, 3)})
    query = unit_rows(clustered(4, 4))
    with FeatureFile(path) as features:
        rows = AllRows(features)
        found = approximate.open_approximate(rows).nearest(query, 30)
        expected = ExactSearch(rows).nearest(query, 30)
    assert found.rows.tolist() == expected.rows.tolist()
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-6)


@needs_usearch
@pytest.mark.parametrize("value", [0, 1])
def test_equal_rows_and_rows_of_zeros_are_found_or_searched_exactly(tmp_path, value):
    path = write(tmp_path / "same.h5", {"train": np.full((500, WIDTH), value)})
    with FeatureFile(path) as features:
        rows = AllRows(features)
        found = open_search(rows, "approximate", 1).nearest(unit_rows(np.ones((3, WIDTH))), 5)
    assert found.rows.shape == (3, 5) and all(len(set(row)) == 5 for row in found.rows.tolist())
    np.testing.assert_allclose(found.distances, 1 - value, atol=1e-6)


@needs_usearch
def test_damaged_or_of_other_rows_it_is_made_anew(file, tmp_path, capsys):
    index, about = tmp_path / "known.usearch", tmp_path / "known.usearch.json"

    def builds() -> bool:
        with FeatureFile(file) as features:
            open_search(AllRows(features), "approximate", 1)
        return "building" in capsys.readouterr().out

    assert builds() and not builds()
    whole = index.read_bytes()
    for damaged in (whole[:1000], b"", whole[:5000] + b"\xff" * 200 + whole[5200:]):
        index.write_bytes(damaged)
        assert builds() and not builds()
    for words in ("", "{}", '{"schema": 99}', about.read_text().replace("recall", "other")):
        about.write_text(words)
        assert builds() and not builds()
    index.unlink()
    assert builds() and not builds()
    # A copy with another time is read through once more, and kept.
    index.touch()
    assert not builds()
    # Other rows of the same names and number.
    file.unlink()
    known = clustered(2_000, 8)
    write(file, {"test": known[:0], "train": known[:1_500], "valid": known[1_500:]})
    assert builds() and not builds()
    # No file is left half-written.
    assert {path.name for path in tmp_path.iterdir()} == {file.name, index.name, about.name}


@needs_usearch
def test_one_that_usearch_cannot_read_is_made_anew(file, tmp_path, capsys):
    # As of another version: whole by its digest.
    with FeatureFile(file) as features:
        rows = AllRows(features)
        approximate.open_approximate(rows)
        index = tmp_path / "known.usearch"
        index.write_bytes(b"another layout" * 100)
        about = approximate._about(index).model_dump()
        digest = approximate.file_digest(index)
        about |= {"sha256": digest, "size": 1400, "modified_ns": index.stat().st_mtime_ns}
        approximate.write_record(tmp_path / "known.usearch.json", about)
        capsys.readouterr()
        approximate.open_approximate(rows)
    assert "building" in capsys.readouterr().out


@needs_usearch
def test_shards_have_one_index_as_the_whole(tmp_path, file):
    known = clustered(2_000, 1)
    query = unit_rows(clustered(5, 6))
    paths = [
        write(
            tmp_path / f"cut.shard-{number}-of-2.h5",
            {"train": known[:1_500][part], "valid": known[1_500:][part]},
            f"{number} of 2",
        )
        for number, part in ((1, slice(0, 400)), (2, slice(400, None)))
    ]
    with open_all_features(paths)[0] as features, FeatureFile(file) as whole:
        found = open_search(AllRows(features), "approximate", 1).nearest(query, 3)
        exact = ExactSearch(AllRows(whole)).nearest(query, 3)
        assert ExactSearch(AllRows(features)).nearest(query, 3).rows.tolist() == exact.rows.tolist()
    assert (tmp_path / "cut.usearch").is_file()
    np.testing.assert_allclose(found.distances[:, 0], exact.distances[:, 0], atol=1e-6)


@needs_usearch
def test_too_little_recall_gives_way_to_the_exact_search(file, monkeypatch, capsys):
    for module in (approximate, search):
        monkeypatch.setattr(module, "RECALL_NEEDED", 1.01)
    with FeatureFile(file) as features:
        assert isinstance(open_search(AllRows(features), "approximate", 1), ExactSearch)
    assert "below 1.01; it is left out" in capsys.readouterr().out


@needs_usearch
def test_many_rows_take_it_by_themselves_where_memory_holds_it(file, monkeypatch, capsys):
    with FeatureFile(file) as features:
        rows = AllRows(features)
        assert isinstance(open_search(rows), ExactSearch)
        monkeypatch.setattr(search, "MANY", 2_000)
        assert isinstance(open_search(rows, "exact"), ExactSearch)
        with monkeypatch.context() as small:
            small.setattr(search, "total_memory", lambda: 1_000)
            assert isinstance(open_search(rows), ExactSearch)
            assert "memory cannot hold" in capsys.readouterr().out
            small.setattr("finegrain.memory.total_memory", lambda: 1_000)
            with pytest.raises(UserError, match="memory at least.*--search exact"):
                open_search(rows, "approximate")
        assert not isinstance(open_search(rows), ExactSearch)


@needs_usearch
def test_a_full_disk_is_told_and_leaves_nothing(file, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with FeatureFile(file) as features, pytest.raises(UserError, match="the disk is full"):
        open_search(AllRows(features), "approximate", 1)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_without_usearch_it_is_one_sentence_or_a_notice(file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setattr(approximate.importlib.util, "find_spec", lambda name: None)
    with FeatureFile(file) as features:
        rows = AllRows(features)
        with pytest.raises(UserError, match=r"usearch.*pip install -r requirements-index\.txt"):
            open_search(rows, "approximate")
        monkeypatch.setattr(search, "MANY", 1)
        assert isinstance(open_search(rows), ExactSearch)
    assert "pip install -r requirements-index.txt" in capsys.readouterr().out
