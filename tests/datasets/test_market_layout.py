"""Market-1501 becomes classes to learn, a query and a gallery."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from market_files import draw_market

from finegrain.datasets.layouts import find_layout
from finegrain.datasets.layouts.layout import list_source
from finegrain.datasets.layouts.market1501 import parse
from finegrain.datasets.manifest import MANIFEST, open_data_set
from finegrain.datasets.retrieval import open_retrieval
from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    return draw_market(tmp_path_factory.mktemp("market") / "Market-1501-v15.09.15")


@pytest.fixture(scope="module")
def made(market, script) -> tuple[Path, str]:
    output = market.parent / "data"
    done = script("img2keras.py", "--source", market, "--output", output, "--link", "copy")
    assert done.returncode == 0, done.stderr
    return output, done.stdout


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("0002_c1s1_000451_03", ("0002", 1)),
        ("-1_c6s4_009999_12", ("-1", 6)),
        ("0000_c3s2_000001_00.jpg", ("0000", 3)),
        ("2_a1b2", None),
        ("-2_c1s1_000451_03", None),
        ("0002_c1s1_000451_03x", None),
    ],
)
def test_names(stem: str, expected):
    assert parse(stem) == expected


def test_training_people_are_classes_and_the_others_query_and_gallery(made):
    output, printed = made
    data = open_data_set(output)
    assert data.classes == ["0002", "0007", "0010"]
    assert Counter(data.table["split"]) == {"train": 21, "valid": 3}
    assert set(data.table["identity"]) == {"2", "7", "10"}
    for row in data.table.itertuples():
        assert row.label == f"{int(row.identity):04d}" and f"_c{row.camera}s1" in row.path
    opened = open_retrieval(output)
    assert Counter(opened["query"].identities.tolist()) == {1: 2, 3: 2}
    assert Counter(opened["gallery"].identities.tolist()) == {0: 3, 1: 4, 3: 4}
    for part, images in opened.items():
        for path, name, camera in zip(images.paths, images.names, images.cameras, strict=True):
            assert name.startswith(f"{part}/") and f"_c{camera}s1" in name
            assert read_pixels(path, Frame(128, 64)).shape == (128, 64, 3)
    assert "market1501 (bounding_box_train/0002_c1s1_000451_03.jpg), found" in printed
    assert "junk images (identity -1), which the protocol ignores: 3" in printed
    assert "without a part in the protocol: 1 (gt_bbox/0001_c1s1_000051_01.jpg)" in printed
    assert "query    4 images of 2 identities by 2 cameras\n" in printed
    assert "gallery  11 images of 2 identities by 2 cameras, 3 of them distractors" in printed
    assert json.loads((output / "classes.json").read_text()) == data.classes


def test_again_is_the_same_and_another_source_takes_its_images_away(made, market, script, tmp_path):
    output, _ = made
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.jpg")}
    manifest = (output / MANIFEST).read_bytes()
    again = ("img2keras.py", "--source", market, "--output", output, "--link", "copy")
    assert script(*again).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.jpg")} == before
    assert (output / MANIFEST).read_bytes() == manifest
    done = script("img2keras.py", "--source", market, "--output", tmp_path / "data")
    assert done.returncode == 0
    photos = tmp_path / "photos"
    for row in pd.read_csv(output / MANIFEST, dtype=str).itertuples():
        if row.split == "train":
            (photos / row.label).mkdir(parents=True, exist_ok=True)
            (photos / row.path.partition("/")[2]).write_bytes((output / row.path).read_bytes())
    done = script("img2keras.py", "--source", photos, "--output", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data" / "query").exists()
    assert not (tmp_path / "data" / "gallery").exists()
    assert "query" not in done.stdout


def refused(folder: Path, layout: str = "auto") -> str:
    listing = list_source(folder)
    with pytest.raises(UserError) as caught:
        list(find_layout(listing, layout).read(listing))
    return str(caught.value)


def test_what_is_not_whole_is_named(market, tmp_path):
    assert f"--source {market}" in refused(market / "bounding_box_train")
    part = draw_market(tmp_path / "part")
    (part / "query" / "0001_c1.jpg").touch()
    assert "the file name 0001_c1.jpg in" in refused(part)
    for path in (part / "query").iterdir():
        path.unlink()
    assert "query is empty" in refused(part)
    (part / "query").rmdir()
    assert "query is missing" in refused(part)


def test_a_query_of_nobody_is_left_out_and_told(tmp_path):
    folder = draw_market(tmp_path / "market")
    (folder / "query" / "0000_c1s1_000001_00.jpg").touch()
    listing = list_source(folder)
    records = list(find_layout(listing).read(listing))
    assert not [record for record in records if record.part == "query" and record.label == "0000"]
    assert ["query/0000_c1s1_000001_00.jpg"] in [names for _, names in listing.left_out]


def test_data_sets_without_retrieval_images_say_so(drawn_data, made, tmp_path):
    with pytest.raises(UserError, match="has no query images with identity and camera"):
        open_retrieval(drawn_data)
    with pytest.raises(UserError, match="is no data set folder"):
        open_retrieval(tmp_path)
    table = pd.read_csv(made[0] / MANIFEST, dtype=str)
    table.to_csv(tmp_path / MANIFEST, index=False)
    with pytest.raises(UserError, match="4 of 4 query images in .* are missing"):
        open_retrieval(tmp_path)
