"""What `.ci/run` says of a demo: a sound one holds, and nothing else does."""

import pytest
from judge_demo import RECIPES, main

TABLE = "top-1 error                       validation    test  epochs  seconds  run\n" + "".join(
    f"{recipe:<44}  0.3000  0.2500       8       18  demo/drawn/multi\n" for recipe in RECIPES
)
CLASSES = ["ant", "bee"]


@pytest.fixture
def demo(tmp_path):
    """Four test images, of which the submissions name one wrongly, and two others."""
    images = [f"{name}_{number}" for name in CLASSES for number in range(3)]
    rows = [f"{id}.jpg,{id[:3]},{'train' if id[-1] == '0' else 'test'}" for id in images]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    lines = [f"{id[:3]}\t{id}" for id in images if id[-1] != "0"]
    lines[0] = lines[0].replace("ant", "bee", 1)
    for folder in ("single", "modern", "."):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "predict.txt"
        path.write_text("\n".join(lines) + "\n")
    (tmp_path / "output.txt").write_text(f"$ python tools/compare.py\n{TABLE}\nThe submission\n")
    return tmp_path


def judged(demo, capsys):
    status = main([str(demo / "output.txt"), str(demo)])
    return status, capsys.readouterr()


def test_a_sound_demo_holds(demo, capsys):
    status, said = judged(demo, capsys)
    assert status == 0 and said.out.count("0.2500") == 3


@pytest.mark.parametrize(
    "name, old, new, wrong",
    [
        ("output.txt", RECIPES[2], "something else", "rows are"),
        ("output.txt", "0.2500", "0.9167", "errs on"),
        ("output.txt", "0.3000", "0.0000", "errs on"),
        ("output.txt", "0.2500", "0.5000", "the table says 0.5"),
        ("predict.txt", "bee\tbee_2\n", "", "has 3 rows, 3 of them"),
        ("predict.txt", "\tbee_2\n", "\tbee_1\n", "has 4 rows, 3 of them"),
        ("predict.txt", "\tbee_2\n", "\tbee_0\n", "has 4 rows, 3 of them"),
        ("single/predict.txt", "bee\tbee_2", "wasp\tbee_2", "['wasp']"),
        ("predict.txt", "bee\tbee_2", "ant\tbee_2", "errs on 0.5000 of the test images"),
    ],
)
def test_an_unsound_demo_does_not(demo, capsys, name, old, new, wrong):
    text = (demo / name).read_text()
    assert old in text
    (demo / name).write_text(text.replace(old, new))
    status, said = judged(demo, capsys)
    assert status == 1 and wrong in said.err


def test_a_demo_that_did_not_end_does_not(demo, capsys):
    (demo / "predict.txt").unlink()
    status, said = judged(demo, capsys)
    assert status == 1 and "predict.txt" in said.err
