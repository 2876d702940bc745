"""tools/similar.py as a user runs it."""

import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tiny_runs import tiny_run

from finegrain.datasets.manifest import open_data_set
from finegrain.decode import read_pixels
from finegrain.evaluation.contact_sheet import CAPTION, GAP, MOST_ROWS, TILE, Tile, contact_sheet
from finegrain.frame import Frame
from finegrain.models.classifier import embedder
from finegrain.runs.finished_run import open_finished_run

SIMILAR = "tools/similar.py"
SIZE = (48, 48)


@pytest.fixture
def run(tmp_path, drawn_data) -> Path:
    """A run of the drawn data set."""
    data = open_data_set(drawn_data)
    return tiny_run(tmp_path / "run", data.classes, SIZE, digest=data.digest)


@pytest.fixture
def folder(tmp_path, drawn_data) -> Path:
    """Sixteen images in folders of classes, one without, and one that is cut short."""
    photos = tmp_path / "known"
    for path in sorted((drawn_data / "train").glob("*/*.jpg"))[:16]:
        (photos / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, photos / path.parent.name)
    shutil.copy(path, photos / "loose <b>.jpg")
    (photos / "cut.jpg").write_bytes(path.read_bytes()[:300])
    return photos


def distances(run: Path, asked: Path, known: list[Path]) -> dict[Path, float]:
    """Cosine distances, one image after the other."""
    model = embedder(open_finished_run(run).model())

    def embedding(path: Path) -> np.ndarray:
        pixels = read_pixels(path, Frame(*SIZE))[None].astype("float32")
        answer = keras.ops.convert_to_numpy(model(pixels, training=False))[0].astype("float64")
        return answer / np.linalg.norm(answer)

    own = embedding(asked)
    return {path: 1 - own @ embedding(path) for path in known}


def told(printed: str) -> list[tuple[float, str, str]]:
    """(distance, class, name) of the lines of neighbours."""
    lines = re.findall(r"^ +[0-9]+  ([0-9.]+)  (\S+)  (.+)$", printed, re.MULTILINE)
    return [(float(distance), label, name) for distance, label, name in lines]


def test_the_nearest_of_the_runs_own_data_set(script_here, drawn_data, run, tmp_path):
    data = open_data_set(drawn_data)
    known = [path for split in data.splits for path in data.paths(split)]
    asked, sheet = data.paths("valid")[0], tmp_path / "sheet.png"
    ask = (SIMILAR, "--run", run, "--index", drawn_data, "--k", "5", "--output", sheet)
    status, printed, errors = script_here(*ask, asked)
    assert status == 0, errors
    expected = distances(run, asked, known)
    found = told(printed)
    assert len(found) == 5
    assert found[0][2] == asked.relative_to(drawn_data).as_posix() and found[0][0] < 1e-4
    for (distance, label, name), best in zip(found, sorted(expected.values()), strict=False):
        assert distance == pytest.approx(best, abs=1e-4)
        assert expected[drawn_data / name] == pytest.approx(distance, abs=1e-4)
        assert name.split("/")[1] == label
    assert (run / "embeddings.h5").is_file()
    picture = Image.open(sheet)
    assert picture.size[1] == GAP + TILE + CAPTION + GAP
    # The query itself and the image found first are one picture.
    left = np.asarray(picture.crop((GAP, GAP, GAP + TILE, GAP + TILE)))
    start = GAP + TILE + GAP + 26
    first = np.asarray(picture.crop((start, GAP, start + TILE, GAP + TILE)))
    assert (left == first).mean() > 0.99 and left.std() > 5

    status, printed, _ = script_here(*ask, asked)
    assert status == 0 and told(printed) == found and "0 of" not in printed


def test_any_other_folder_and_what_cannot_be_read_in_it(script_here, run, folder, tmp_path):
    asked, sheet = folder / "loose <b>.jpg", tmp_path / "sheet.jpg"
    ask = (SIMILAR, "--run", run, "--index", folder, "--output", sheet, asked)
    status, printed, errors = script_here(*ask, "--k", "3")
    assert status == 0, errors
    assert "warning: 1 of 18 images cannot be read" in printed and "cut.jpg: " in printed
    readable = [path for path in folder.rglob("*.jpg") if path.name != "cut.jpg"]
    best = sorted(distances(run, asked, readable).values())[:3]
    assert [distance for distance, _, _ in told(printed)] == pytest.approx(best, abs=1e-4)
    assert told(printed)[0][1:] in {("-", "loose <b>.jpg")} | {
        (path.parent.name, path.relative_to(folder).as_posix()) for path in readable
    }
    assert Image.open(sheet).format == "JPEG"
    # Stored; and made anew when an image has come.
    assert "17 of 17 rows there already" in script_here(*ask, "--k", "1")[1]
    shutil.copy(asked, folder / "another.jpg")
    status, printed, _ = script_here(*ask, "--k", "2")
    assert status == 0 and "made anew" in printed
    assert {name for _, _, name in told(printed)} & {"another.jpg", "loose <b>.jpg"}


def test_mistakes_get_one_sentence(script_here, drawn_data, run, folder, tmp_path):
    def refused(*arguments) -> str:
        status, _, errors = script_here(SIMILAR, "--run", run, *arguments)
        assert status == 2 and "Traceback" not in errors
        (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        return sentence

    image, cut = folder / "loose <b>.jpg", folder / "cut.jpg"
    known, nothing, damaged = ("--index", folder), tmp_path / "nothing", tmp_path / "damaged"
    nothing.mkdir()
    damaged.mkdir()
    shutil.copy(cut, damaged)
    assert f"{cut} cannot be read" in refused(*known, image, cut)
    assert "nor can 1 more" in refused(*known, tmp_path / "absent.jpg", cut)
    assert "no such file" in refused(*known, tmp_path / "absent.jpg")
    assert "no image to look for" in refused(*known)
    assert "--k must be at least 1" in refused(*known, "--k", "0", image)
    assert "--k 18 asks for more images than the 17" in refused(*known, "--k", "18", image)
    assert "must end in .jpg or .jpeg or .png" in refused(*known, "--output", "sheet.gif", image)
    assert "holds no images" in refused("--index", nothing, image)
    assert "none of the 1 images" in refused("--index", damaged, image)
    assert "does not exist" in refused("--index", tmp_path / "absent", image)
    assert "is a file" in refused("--index", image, image)
    status, _, errors = script_here(SIMILAR, "--run", tmp_path, *known, image)
    assert status == 2 and "is no run folder" in errors


def test_a_sheet_shows_what_is_gone_and_takes_any_name(tmp_path):
    Image.new("RGB", (30, 90), "red").save(tmp_path / "red.png")
    name = "<script> 名前 \n" + "long " * 60
    sheet = contact_sheet(
        [[Tile(tmp_path / "red.png", name, ""), Tile(tmp_path / "gone.png", "gone", name)]] * 2
    )
    assert sheet.size[1] == GAP + 2 * (TILE + CAPTION + GAP)
    assert sheet.getpixel((GAP + TILE // 2, GAP + TILE // 2)) == (255, 0, 0)
    for rows in ([], [[]] * (MOST_ROWS + 1)):
        with pytest.raises(ValueError, match="Received"):
            contact_sheet(rows or [])
