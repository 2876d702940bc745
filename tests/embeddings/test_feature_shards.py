"""Shards read as one are the export without shards, whatever is cut, stopped or unreadable."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from finegrain.embeddings import feature_shards
from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.feature_shards import open_all_features
from finegrain.embeddings.photographs import ExportedPhotos, ViewPlan
from finegrain.embeddings.shard import Shard
from finegrain.embeddings.source import EmbeddingSource
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.inference.opened import Inference
from finegrain.merging.joined import join_features

PHOTOGRAPHS, BROKEN = 100, (2, 40)


class Mean:
    """Numbers that depend on the whole batch, as the last digits of a network's may."""

    name = "mean"

    def __init__(self, most: int):
        self.left = most

    def run(self, batch):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return [batch.reshape(len(batch), -1)[:, :4] + batch.mean() / 100]


def source(most_batches: int = -1, name: str = "mean") -> EmbeddingSource:
    return EmbeddingSource(
        name,
        name,
        Frame(6, 6),
        4,
        "w",
        "n",
        lambda batch, openvino: None,
        lambda openvino, images, judged: lambda sample: Inference(Mean(most_batches), "tiny"),
        {},
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(PHOTOGRAPHS):
        noise = rng.integers(0, 256, (6, 6, 3), dtype="uint8")
        Image.fromarray(noise).save(folder / f"{number}.png")
    for number in BROKEN:
        (folder / f"{number}.png").write_bytes(b"")
    return folder


def export(photos: Path, folder: Path, views=("plain", 0), train=60, shard=None) -> Export:
    """The first are training photographs, the others have no label."""
    paths = [photos / f"{number}.png" for number in range(PHOTOGRAPHS)]
    names = [path.name for path in paths]
    every = ExportedPhotos.unlabelled(paths, names, [path.stem for path in paths])
    labelled = every.part(0, train)
    labels, groups = np.arange(train) % 2, np.arange(train) // 7
    labelled = ExportedPhotos(labelled.paths, names[:train], labelled.ids, labels, groups, [])
    rest = ExportedPhotos.unlabelled(paths[train:], names[train:], every.ids[train:])
    splits = {"train": labelled, "TEST": rest}
    plan = ViewPlan(*views)
    return Export(folder, ["a", "b"], "d", splits, plan, False, shard=shard)


def exported(export: Export, most_batches: int = -1) -> Path:
    export_embeddings(export, [source(most_batches)], workers=1)
    return export.path(source())


def check_same(whole: FeatureFile, shards: FeatureFile) -> None:
    assert shards.name == whole.name and list(shards.splits) == list(whole.splits)
    for attribute in ("classes", "category_ids", "width", "data", "backbone", "view_kind"):
        assert getattr(shards, attribute) == getattr(whole, attribute)
    for split, rows in whole.splits.items():
        own = shards.splits[split]
        for column in ("paths", "ids", "labels", "groups", "views"):
            assert getattr(own, column).tolist() == getattr(rows, column).tolist()
        assert own.unreadable == rows.unreadable
        order = np.random.default_rng(1).permutation(len(rows.paths))
        expected = whole.read(split, order)
        assert shards.read(split, order).tobytes() == expected.tobytes()
        assert not len(shards.read(split, []))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    of=st.integers(1, 6),
    views=st.sampled_from([("plain", 0), ("flip", 0), ("augmented", 3), ("augmented", 40)]),
    train=st.sampled_from([0, 1, 31, 32, 60, 99]),
    most_open=st.sampled_from([1, 100]),
)
def test_shards_hold_the_rows_of_the_whole(
    photos, tmp_path_factory, monkeypatch, of, views, train, most_open
):
    monkeypatch.setattr(feature_shards, "MOST_OPEN", most_open)
    folder = tmp_path_factory.mktemp("exports")
    whole = exported(export(photos, folder / "whole", views, train))
    paths = [
        exported(export(photos, folder / "shards", views, train, Shard(number, of)))
        for number in range(1, of + 1)
    ]
    (joined,) = open_all_features(paths[::-1])
    with FeatureFile(whole) as alone, joined:
        check_same(alone, joined)


@given(st.integers(0, 10**9), st.integers(1, 64), st.integers(1, 1000))
def test_the_shards_of_a_split_hold_each_photograph_once(photographs, at_once, of):
    last = 0
    for number in range(1, of + 1):
        first, end = Shard(number, of).stretch(photographs, at_once)
        assert first == last <= end and end - first <= photographs / of + at_once
        assert first % at_once == 0 or first == photographs
        last = end
    assert last == photographs


def test_a_shard_that_was_stopped_goes_on_to_the_same_bytes(photos, tmp_path):
    whole = exported(export(photos, tmp_path / "whole"))
    for shard in (Shard(1, 2), Shard(2, 2)):
        for most_batches in (1, 1, -1):
            stopped = export(photos, tmp_path, shard=shard)
            try:
                path = exported(stopped, most_batches)
            except KeyboardInterrupt:
                with pytest.raises(UserError, match="is not finished: .*which goes on"):
                    FeatureFile(stopped.path(source()))
        assert path == stopped.path(source())
    (joined,) = open_all_features(sorted(tmp_path.glob("*.h5")))
    with FeatureFile(whole) as alone, joined:
        check_same(alone, joined)


@pytest.fixture
def three(photos, tmp_path) -> list[Path]:
    return [exported(export(photos, tmp_path, shard=Shard(n, 3))) for n in (1, 2, 3)]


def changed_key(path: Path, **changes) -> Path:
    with h5py.File(path, "r+") as file:
        file.attrs["key"] = json.dumps(json.loads(file.attrs["key"]) | changes)
    return path


def test_what_is_no_whole_export_gets_one_sentence(three, photos, tmp_path):
    def refused(paths, sentence):
        with pytest.raises(UserError, match=sentence) as found:
            open_all_features(paths)
        assert "\n" not in str(found.value)

    refused(three[:1], "2 of the 3 shards of mean are not among the files: 2/3, 3/3; ")
    copy = tmp_path / "elsewhere" / three[1].name
    copy.parent.mkdir()
    shutil.copy(three[1], copy)
    refused([*three, copy], "are the same shard, 2 of 3; leave one out")
    refused([*three, *three[:1]], "are the same shard, 1 of 3")
    two = exported(export(photos, tmp_path / "two", shard=Shard(1, 2)))
    refused([*three, two], "is one of 2 shards and .* one of 3")
    other = exported(export(photos, tmp_path / "other", ("flip", 0), shard=Shard(2, 3)))
    refused([three[0], other, three[2]], r"different exports \(they differ in: views\)")
    changed_key(copy, versions={"keras": "0"})
    refused([three[0], copy, three[2]], "differ in: versions")
    shutil.copy(three[1], tmp_path / "renamed.h5")
    refused([three[0], tmp_path / "renamed.h5"], "give it back the name")
    for told in ("4 of 3", "x", None, "1 of 9999999", "0 of 3"):
        refused([changed_key(copy, shard=told)], "tells of a shard that cannot be")


def test_a_file_that_was_changed_by_hand_is_told(three):
    with h5py.File(three[1], "r+") as file:
        file["class/names"][0] = "z"
    with pytest.raises(UserError, match="differs from .* in classes"):
        open_all_features(three)
    three[1].write_bytes(three[1].read_bytes()[:-100])
    with pytest.raises(UserError, match=f"{three[1].name} is (cut short|no HDF5 file)"):
        open_all_features(three)


@pytest.mark.parametrize("split", ["train", "TEST"])
@pytest.mark.parametrize("column", ["path", "id", "label", "group", "view", "embedding", "done"])
@pytest.mark.parametrize(
    "content",
    [np.zeros((3, 4), "float32"), np.arange(32) - 5, "text", ["a"] * 32, np.zeros(0, "int64")],
    ids=["rows", "numbers", "word", "words", "nothing"],
)
def test_a_shard_of_other_shapes_or_types_is_read_or_refused(three, split, column, content):
    with h5py.File(three[1], "r+") as file:
        del file[f"{column}/{split}"]
        file[f"{column}/{split}"] = content
    try:
        joined = join_features(open_all_features(three))
        for split, rows in joined.splits.items():
            joined.read(["mean"], split, np.arange(len(rows.paths)))
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/2", "1/", "1/100001", "-1/2", "1/2/3"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(UserError, match="is no part of an export"):
        Shard.parse(text)
