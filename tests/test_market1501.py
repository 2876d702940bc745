"""recipes/market1501_test.py as a user runs it."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from market_files import HEIGHT, WIDTH, draw_market
from tiny_runs import tiny_run

from finegrain.decode import read_pixels
from finegrain.frame import Frame
from finegrain.models.classifier import embedder
from finegrain.runs.finished_run import open_finished_run

TEST = "recipes/market1501_test.py"
PEOPLE = ["0002", "0007", "0010"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, script) -> Path:
    folder = tmp_path_factory.mktemp("market")
    draw_market(folder / "photos")
    made = script("img2keras.py", "--source", folder / "photos", "--output", folder / "data")
    assert made.returncode == 0, made.stderr
    return folder / "data"


@pytest.fixture
def run(tmp_path) -> Path:
    return tiny_run(tmp_path / "run", PEOPLE, (HEIGHT, WIDTH))


def by_hand(data: Path, run: Path, flip: bool = False) -> dict[str, float]:
    """rank-1 and mAP, one image after the other, from the file names."""
    model = embedder(open_finished_run(run).model())

    def embedding(path: Path) -> np.ndarray:
        pixels = read_pixels(path, Frame(HEIGHT, WIDTH)).astype("float32")
        both = [pixels, pixels[:, ::-1]] if flip else [pixels]
        answers = [keras.ops.convert_to_numpy(model(some[None], training=False)) for some in both]
        mean = np.mean(answers, axis=0)[0].astype("float64")
        return mean / np.linalg.norm(mean)

    def seen(path: Path) -> tuple[str, str]:
        identity, camera = path.name.split("_")[:2]
        return identity, camera[:2]

    gallery = [(*seen(path), embedding(path)) for path in data.glob("gallery/*/*.jpg")]
    first, precisions = [], []
    for path in data.glob("query/*/*.jpg"):
        asked, (identity, camera) = embedding(path), seen(path)
        ranked = sorted(
            (1 - other @ asked, who == identity)
            for who, by, other in gallery
            if (who, by) != (identity, camera)
        )
        right = [place for place, (_, same) in enumerate(ranked, start=1) if same]
        first.append(right[0] == 1)
        precisions.append(np.mean([n / place for n, place in enumerate(right, start=1)]))
    return {"rank-1": np.mean(first), "mAP": np.mean(precisions)}


def values(run: Path, ranking: str = "plain") -> dict[str, float]:
    results = json.loads((run / "re_identification.json").read_text())["results"]
    return {name: found["value"] for name, found in results[ranking].items()}


def test_the_protocol_from_files_to_result(script_here, data, run):
    status, printed, errors = script_here(TEST, "--run", run, "--data", data)
    assert status == 0, errors
    expected = by_hand(data, run)
    assert 0 < expected["mAP"] < 1
    found = values(run)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert f"{100 * found['mAP']:.2f} %" in printed
    assert "11 images, 3 of them distractors" in printed and "0 of 15 rows" in printed

    status, printed, _ = script_here(TEST, "--run", run, "--data", data, "--re-rank", "--k1", "5")
    assert status == 0 and "15 of 15 rows there already" in printed and "re-ranked" in printed
    assert values(run) == found
    content = json.loads((run / "re_identification.json").read_text())
    assert content["re_ranking"]["k1"] == 5 and set(content["results"]) == {"plain", "re-ranked"}
    for measures in content["results"].values():
        for found in measures.values():
            assert found["interval"][0] <= found["value"] <= found["interval"][1]


def test_flip_averages_and_another_model_makes_embeddings_anew(script_here, data, run):
    assert script_here(TEST, "--run", run, "--data", data, "--flip")[0] == 0
    mirrored = by_hand(data, run, flip=True)
    found = values(run)
    assert {name: found[name] for name in mirrored} == pytest.approx(mirrored, abs=1e-4)
    other = tiny_run(run.parent / "other", PEOPLE, (HEIGHT, WIDTH), seed=5)
    shutil.copy(other / "model.keras", run / "model.keras")
    status, printed, _ = script_here(TEST, "--run", run, "--data", data, "--flip")
    assert status == 0 and "made anew" in printed
    expected = by_hand(data, run, flip=True)
    found = values(run)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_mistakes_get_one_sentence(script_here, data, run, drawn_data, tmp_path):
    def refused(*arguments) -> str:
        status, _, errors = script_here(TEST, *arguments)
        assert status == 2 and "Traceback" not in errors
        (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        return sentence

    assert "no query images" in refused("--run", run, "--data", drawn_data)
    assert "is no data set folder" in refused("--run", run, "--data", tmp_path)
    assert "no run folder" in refused("--run", tmp_path, "--data", data)
    assert "--k1 must be" in refused("--run", run, "--data", data, "--k1", "0")
    assert "--own-weight must" in refused("--run", run, "--data", data, "--own-weight", "2")
    broken = shutil.copytree(data, tmp_path / "data")
    image = next(broken.glob("gallery/*/*.jpg"))
    image.unlink()
    image.write_bytes(b"")
    assert f"{image} can no longer be read" in refused("--run", run, "--data", broken)
    alone = shutil.copytree(data, tmp_path / "alone")
    manifest = (alone / "manifest.csv").read_text().splitlines()
    kept = [line for line in manifest if not line.startswith("gallery/000") or "/0000/" in line]
    (alone / "manifest.csv").write_text("\n".join(kept) + "\n")
    assert "by another camera" in refused("--run", run, "--data", alone)
    assert not (run / "re_identification.json").exists()
