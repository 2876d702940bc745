"""tools/similar.py among the rows of exported files, as a user runs it."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from test_similar import SIMILAR, SIZE, distances, told
from tiny_runs import tiny_run

from finegrain.datasets.manifest import open_data_set
from finegrain.embeddings import approximate
from finegrain.embeddings.exported_index import exported_source
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.features.compute import FeatureComputer
from finegrain.stores.row_layout import RowKind

EXPORT = "recipes/export_features.py"
# Its weights come with the project.
SMALL = "xception_small"
WEIGHTS = "xception_small=finegrain/models/weights/xception_small.weights.h5"
PLAIN = ("--image-size", "48", "--no-openvino")


@pytest.fixture
def run(tmp_path, drawn_data) -> Path:
    """A run, of classes with names of their own."""
    return tiny_run(tmp_path / "tuned", open_data_set(drawn_data).classes, SIZE)


def export(script_here, data: Path, output: Path, backbones: str, *more: str) -> Path:
    words = (EXPORT, "--data", data, "--output", output, "--backbones", backbones)
    weights = ("--weights", WEIGHTS) if SMALL in backbones else ()
    status, _, errors = script_here(*words, *PLAIN, *weights, *more)
    assert status == 0, errors
    return output


def test_the_nearest_in_the_export_of_a_run(script_here, drawn_data, run, tmp_path):
    output = export(script_here, drawn_data, tmp_path / "features", str(run), "--views", "flip")
    data, sheet = open_data_set(drawn_data), tmp_path / "sheet.jpg"
    known = [path for split in data.splits for path in data.paths(split)]
    asked = data.paths("valid")[1]
    ask = (SIMILAR, "--index", output / "tuned.h5", "--no-openvino", "--output", sheet, asked)
    status, printed, errors = script_here(*ask, "--k", "5")
    assert status == 0, errors
    assert f"{len(known)} images in" in printed and "no sheet: --photos" in printed
    assert not sheet.exists()
    found, expected = told(printed), distances(run, asked, known)
    # A photograph once, although its mirror image has a row too; embeddings are rounded.
    assert len({name for _, _, name in found}) == 5
    assert [distance for distance, _, _ in found] == pytest.approx(
        sorted(expected.values())[:5], abs=1e-3
    )
    for distance, label, name in found:
        assert expected[drawn_data / name] == pytest.approx(distance, abs=1e-3)
        assert label == name.split("/")[1]

    status, again, errors = script_here(*ask, "--k", "5", "--photos", drawn_data)
    assert status == 0 and told(again) == found and Image.open(sheet).format == "JPEG"

    # The run has moved; and another stands where it was.
    run.rename(tmp_path / "moved")
    status, _, errors = script_here(*ask)
    assert status == 2 and "tuned, which is not there; say with --run where it is" in errors
    status, again, _ = script_here(*ask, "--k", "5", "--run", tmp_path / "moved")
    assert status == 0 and told(again) == found
    tiny_run(run, data.classes, SIZE, seed=5)
    status, _, errors = script_here(*ask)
    assert status == 2 and "was made by another model than that of" in errors


def test_shards_of_a_backbone_are_one_index(script_here, drawn_data, tmp_path):
    # Pixels that the file tells of in the digest of its network only.
    output, pixels = tmp_path / "features", "raw"
    for shard in ("1/2", "2/2"):
        export(script_here, drawn_data, output, SMALL, "--shard", shard, "--pixels", pixels)
    whole = tmp_path / "whole"
    export(script_here, drawn_data, whole, SMALL, "--pixels", pixels)
    asked = open_data_set(drawn_data).paths("test")[0]
    of_shard = output / f"{SMALL}.shard-2-of-2.h5"
    answers = []
    for index in (of_shard, whole / f"{SMALL}.h5"):
        status, printed, errors = script_here(SIMILAR, "--index", index, "--k", "4", asked)
        assert status == 0, errors
        answers.append(told(printed))
    assert answers[0] == answers[1] and answers[0][0][0] < 1e-3
    # The photograph passes the very network: its embedding is that of its row.
    source = exported_source(of_shard, None, False)
    compute = FeatureComputer(
        source.engine(False, 1, None), {"embedding": RowKind((source.width,), "float32")}
    )
    from finegrain.decode import read_pixels

    own = compute(read_pixels(asked, source.frame)[None])["embedding"]
    with FeatureFile(whole / f"{SMALL}.h5") as features:
        np.testing.assert_allclose(features.read("test", [0]), own, rtol=2e-3, atol=2e-3)

    (output / f"{SMALL}.shard-1-of-2.h5").unlink()
    status, _, errors = script_here(SIMILAR, "--index", of_shard, asked)
    assert status == 2 and "1 of the 2 shards" in errors


def test_what_cannot_be_told_is_one_sentence(script_here, drawn_data, run, tmp_path):
    output = export(script_here, drawn_data, tmp_path / "features", f"{run},{SMALL}")
    asked = open_data_set(drawn_data).paths("test")[0]
    file, small = output / "tuned.h5", output / f"{SMALL}.h5"

    def refused(*arguments) -> str:
        status, _, errors = script_here(SIMILAR, *arguments, asked)
        assert status == 2 and "Traceback" not in errors
        (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        return sentence

    assert "give with --run the run" in refused("--index", drawn_data)
    assert "--photos goes with an exported" in refused(
        "--index", drawn_data, "--run", run, "--photos", drawn_data
    )
    assert "is no folder" in refused("--index", file, "--photos", tmp_path / "absent")
    assert "there is no file" in refused("--index", output / "absent.h5")
    assert "another model than that of" in refused("--index", small, "--run", run)
    # Rows of another seed of fresh weights, say.
    with h5py.File(small, "r+") as changed:
        changed.attrs["key"] = changed.attrs["key"].replace('"weights": "', '"weights": "0')
    assert "xception_small.weights.h5 is another one here" in refused("--index", small)
    for name in ("made_from", "key"):
        other = shutil.copy(file, tmp_path / "other.h5")
        with h5py.File(other, "r+") as changed:
            del changed.attrs[name]
        assert "cannot be told (the file does not say)" in refused("--index", other)
    with h5py.File(tmp_path / "gap_Tiny.h5", "w") as older:
        older["train"], older["label"], older["test"] = (
            np.ones((4, 3)),
            np.arange(4),
            np.ones((0, 3)),
        )
    assert "rows of the older layouts have no names" in refused("--index", tmp_path / "gap_Tiny.h5")
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    assert "damaged" in refused("--index", tmp_path / "broken.h5")


def test_without_usearch_it_is_refused_before_anything_is_computed(
    script_here, drawn_data, run, monkeypatch
):
    monkeypatch.setattr(approximate.importlib.util, "find_spec", lambda name: None)
    asked = open_data_set(drawn_data).paths("test")[0]
    ask = (SIMILAR, "--run", run, "--index", drawn_data, "--search", "approximate", asked)
    status, _, errors = script_here(*ask)
    assert status == 2 and "pip install -r requirements-index.txt" in errors
    assert not (run / "similar").exists()


@pytest.mark.optional("usearch")
def test_an_index_gives_the_neighbours_of_the_exact_search(script_here, drawn_data, tmp_path):
    output = export(script_here, drawn_data, tmp_path / "features", SMALL)
    asked = open_data_set(drawn_data).paths("test")[:2]
    ask = (SIMILAR, "--index", output / f"{SMALL}.h5", "--k", "4", *asked)
    status, exact, errors = script_here(*ask)
    assert status == 0, errors
    for is_first in (True, False):
        status, printed, errors = script_here(*ask, "--search", "approximate")
        assert status == 0, errors
        assert ("building an approximate index" in printed) == is_first
        assert "search   approximate, with a recall" in printed and told(printed) == told(exact)
