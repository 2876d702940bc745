"""export_features.py --shard as a user runs it: part by part, merged, refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finegrain.embeddings.feature_shards import open_all_features

EXPORT, MERGE = "recipes/export_features.py", "recipes/merge_features.py"
SMALL = "xception_small"
# Of eight views four photographs make a batch, so that the 32 drawn ones fill several shards.
FLAGS = ("--backbones", SMALL, "--weights", "none", "--image-size", "32", "--views", "7")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Forty unlabelled images, of which one is empty."""
    folder = tmp_path_factory.mktemp("unlabelled") / "TEST"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        noise = rng.integers(0, 256, (4, 5, 3), dtype="uint8")
        Image.fromarray(noise).resize((40, 32)).save(folder / f"{number}.png")
    (folder / "7.png").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory, script, drawn_data, images) -> Path:
    """The export without shards."""
    folder = tmp_path_factory.mktemp("plain")
    done = script(
        EXPORT, "--data", drawn_data, "--images", images, *FLAGS, "--output", folder, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder / f"{SMALL}.h5"


def check_same(plain: Path, folder: Path) -> None:
    (whole,) = open_all_features([plain])
    (joined,) = open_all_features(sorted(folder.glob("*.h5")))
    with whole, joined:
        assert list(joined.splits) == list(whole.splits)
        for split, rows in whole.splits.items():
            own = joined.splits[split]
            for column in ("paths", "ids", "labels", "groups", "views"):
                assert getattr(own, column).tolist() == getattr(rows, column).tolist()
            assert own.unreadable == rows.unreadable
            every = np.arange(len(rows.paths))
            assert joined.read(split, every).tobytes() == whole.read(split, every).tobytes()


def test_shards_are_merged_as_the_plain_export(script_here, drawn_data, images, plain, tmp_path):
    shards = tmp_path / "shards"
    for number in (2, 3, 1):
        status, said, errors = script_here(
            *(EXPORT, "--data", drawn_data, "--images", images, *FLAGS),
            *("--output", shards, "--shard", f"{number}/3"),
        )
        assert status == 0, errors
        file = shards / f"{SMALL}.shard-{number}-of-3.h5"
        assert f"to {file}" in said
        files = sorted(shards.glob("*.h5"))
        if len(files) < 3:
            status, _, errors = script_here(MERGE, "--features", *files)
            assert status == 2 and "are not among the files" in errors
    check_same(plain, shards)
    scores = []
    for files in ([plain], sorted(shards.glob("*.h5"))):
        output = tmp_path / f"{len(files)}.csv"
        merge = (*files, "--output", output, "--format", "probabilities", "--epochs", "2")
        status, said, errors = script_here(MERGE, "--features", *merge)
        assert status == 0, errors
        scores.append((output.read_text(), said.partition("validation  ")[2].splitlines()[0]))
    assert scores[0] == scores[1]
    status, _, errors = script_here(MERGE, "--features", plain, *files)
    assert status == 2 and f"have one name, {SMALL}" in errors


MISTAKES = {
    "no such shard": (["--shard", "4/3"], "--shard '4/3' is no part of an export"),
    "a layout": (
        ["--shard", "1/3", "--layout", "gap"],
        "--layout gap is written from an export in one file, which --shard",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake, script_here, drawn_data, tmp_path):
    words, complaint = MISTAKES[mistake]
    status, _, errors = script_here(
        EXPORT, "--data", drawn_data, *FLAGS, "--output", tmp_path / "out", *words
    )
    assert status == 2 and complaint in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_shard_of_other_settings_is_left_as_it_is(script_here, drawn_data, tmp_path):
    call = (EXPORT, "--data", drawn_data, *FLAGS, "--shard", "1/9", "--output", tmp_path)
    assert script_here(*call)[0] == 0
    before = (tmp_path / f"{SMALL}.shard-1-of-9.h5").read_bytes()
    status, _, errors = script_here(*call, "--seed", "3")
    assert status == 2 and "it differs in: weights, views" in errors
    assert (tmp_path / f"{SMALL}.shard-1-of-9.h5").read_bytes() == before
