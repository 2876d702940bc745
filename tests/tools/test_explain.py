"""`tools/explain.py` as a user calls it."""

import shutil

import numpy as np
import pytest
from finished_runs import make_run
from PIL import Image

from finegrain.datasets.manifest import open_data_set


@pytest.fixture(scope="module")
def photos(drawn_data):
    return open_data_set(drawn_data).paths("valid")


@pytest.fixture(scope="module")
def run(drawn_data, tmp_path_factory):
    names = ["<b>one</b>", "$two_", "three " * 20, "四"]
    return make_run(tmp_path_factory.mktemp("runs") / "multi", drawn_data, classes=names)


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_picture_for_each_photograph(run, photos, script_here, tmp_path):
    same_name = tmp_path / "other" / photos[0].name
    same_name.parent.mkdir()
    shutil.copy(photos[1], same_name)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    status, out, err = script_here(
        "tools/explain.py",
        "--run",
        run,
        "--output",
        tmp_path / "out",
        "--top",
        "9",
        photos[0],
        same_name,
        broken,
    )
    assert status == 0, err
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [f"{photos[0].stem}-2.png", f"{photos[0].stem}.png"]
    assert f"warning: {broken} is left out" in out
    shares = [float(line.split("%")[0]) for line in out.splitlines() if line.startswith("   ")]
    assert len(shares) == 8
    assert sum(shares[:4]) == pytest.approx(100, abs=0.3) and shares[:4] == sorted(shares[:4])[::-1]
    assert "<b>one</b>" in out and "$two_" in out
    one, other = (picture(tmp_path / "out" / name) for name in made)
    assert one.shape[0] > 300 and one.shape[1] > 900
    assert one.shape != other.shape or np.abs(one - other).max() > 50


def test_another_class_may_be_asked_about(run, photos, script_here, tmp_path):
    drawn = []
    for name in ("<b>one</b>", "$two_"):
        status, _, err = script_here(
            "tools/explain.py",
            "--run",
            run,
            "--output",
            tmp_path / str(len(drawn)),
            "--class-name",
            name,
            photos[0],
        )
        assert status == 0, err
        drawn.append(picture(next((tmp_path / str(len(drawn))).iterdir())))
    assert drawn[0].shape != drawn[1].shape or np.abs(drawn[0] - drawn[1]).max() > 50


def test_a_pair(run, photos, script_here, tmp_path):
    status, out, err = script_here(
        "tools/explain.py", "--run", run, "--output", tmp_path, "--pair", photos[0], photos[-1]
    )
    assert status == 0, err
    assert out.startswith("the same class: ")
    assert picture(tmp_path / f"{photos[0].stem}-{photos[-1].stem}.png").shape[1] > 900


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--pair", "one.jpg"], "--pair takes two photographs, 1 are named"),
        (["--pair", "--class-name", "x", "one.jpg", "two.jpg"], "no meaning with --pair"),
        (["--class-name", "two", "one.jpg"], "no class 'two'; the nearest are $two_"),
        (["--top", "0", "one.jpg"], "--top must be at least 1"),
        (["nothing.jpg"], "none of the photographs can be read"),
        ([], "no photograph is named"),
    ],
)
def test_a_mistake_is_one_sentence(run, script_here, tmp_path, flags, said):
    status, _, err = script_here(
        "tools/explain.py", "--run", run, "--output", tmp_path / "out", *flags
    )
    assert status == 2
    assert said in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_softmax_run_has_no_head_for_pairs(drawn_data, photos, script_here, tmp_path):
    run = make_run(tmp_path / "softmax", drawn_data, "softmax")
    status, _, err = script_here(
        "tools/explain.py", "--run", run, "--output", tmp_path / "out", "--pair", *photos[:2]
    )
    assert status == 2
    assert "has no head for pairs" in err and "froze_fine_tune.py" in err
