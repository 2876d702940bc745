"""Nothing that a command reads, nor a file of a run or a data set, is replaced by its output."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
from commands import command
from finished_runs import make_run
from matplotlib.figure import Figure
from PIL import Image

from finegrain.datasets.channel_statistics import STATISTICS
from finegrain.datasets.manifest import CLASSES, DUPLICATES, MANIFEST, UNFINISHED, UNREADABLE
from finegrain.embeddings.stored import EMBEDDINGS
from finegrain.errors import UserError
from finegrain.evaluation.evaluation_file import EVALUATION
from finegrain.evaluation.pictures import PICTURE
from finegrain.evaluation.temperature import TEMPERATURE
from finegrain.locks import LOCK, folder_held
from finegrain.outputs import DATA_SET, KEPT_FILES, RUN, OutputFile, check_output_file, kind_of
from finegrain.own_pictures import is_own_picture, sign
from finegrain.runs.predictions import COLUMNS, PREDICTIONS
from finegrain.runs.run_folder import CONFIG, MODEL, RESULTS


def photograph(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.effect_noise((40, 32), 60 + seed).convert("RGB")
    noise.save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def base(tmp_path_factory, drawn_data) -> Path:
    """A finished run `R`, photographs `T`, and a settled place for outputs."""
    folder = tmp_path_factory.mktemp("outputs")
    make_run(folder / "R", drawn_data, "softmax")
    (folder / "R" / "predictions.csv").write_text("its own\n")
    (folder / "R" / "1-frozen").mkdir()
    (folder / "R" / "1-frozen" / "state.json").write_text("{}")
    for number in range(3):
        photograph(folder / "T" / f"{number}.jpg", number)
    (folder / "notes.json").write_text("{}")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "sample.csv").write_text("id,label\n0,a\n1,a\n2,a\n")
    return folder


PREDICT = ("single_model_test.py", "--run", "{base}/R", "--images", "{base}/T", "--no-openvino")
SIMILAR = (
    "tools/similar.py",
    "--run",
    "{base}/R",
    "--index",
    "{base}/T",
    "{base}/T/0.jpg",
    "--no-openvino",
    "--k",
    "1",
)
EVALUATE = ("tools/evaluate.py", "--run", "{base}/R", "--images", "{base}/T")
EXPLAIN = ("tools/explain.py", "--run", "{base}/R")
TRAIN = (
    "single_model.py",
    "--data",
    "{data}",
    "--backbone",
    "mobilenet_v2_0.35",
    "--weights",
    "none",
    "--image-size",
    "32",
    "--batch-size",
    "8",
)
REFUSED = {
    "a test photograph": ((*PREDICT, "--output", "{base}/T/1.jpg"), "an image"),
    "the model": ((*PREDICT, "--output", "{base}/R/model.keras"), "of a run"),
    "the model, by a link": ((*PREDICT, "--output", "{base}/link.keras"), "did not write"),
    "the settings": ((*PREDICT, "--output", "{base}/R/config.json"), "a file of a run"),
    "a stage's state": ((*PREDICT, "--output", "{base}/R/1-frozen/state.json"), "of a run"),
    "a measure to come": ((*PREDICT, "--output", "{base}/R/evaluation.json"), "of a run"),
    "the manifest": ((*PREDICT, "--output", "{data}/manifest.csv"), "a file of a data set"),
    "the sample": (
        (
            *PREDICT,
            "--sample-submission",
            "{base}/sample.csv",
            "--output",
            "{base}/sample.csv",
            "--format",
            "kaggle-label",
        ),
        "an input of this command",
    ),
    "somebody's notes": ((*PREDICT, "--output", "{base}/notes.json"), "did not write"),
    "notes, by a page": (
        ("tools/report.py", "--run", "{base}/R", "--output", "{base}/notes.json"),
        "did not write",
    ),
    "a link in a circle": (
        ("finegrain/drawn/collection.py", "--output", "{base}/loop"),
        "is a file; name a folder",
    ),
    "a folder": ((*PREDICT, "--output", "{base}/T"), "is a folder"),
    "an empty path": ((*PREDICT, "--output", ""), "--output is empty"),
    "an empty path by =": ((*PREDICT, "--output="), "--output is empty"),
    "the picture looked for": ((*SIMILAR, "--output", "{base}/T/0.jpg"), "an input of"),
    "a picture of the index": ((*SIMILAR, "--output", "{base}/T/1.jpg"), "did not draw"),
    "the run's own answers": ((*EVALUATE, "--output", "{base}/R"), "predictions.csv would"),
    "a photograph explained": ((*EXPLAIN, "--output", "{base}/P", "{base}/P/a.png"), "an input"),
    "one beside it": ((*EXPLAIN, "--output", "{base}/P", "{base}/T/b.jpg"), "did not draw"),
    "a data set as run": ((*TRAIN, "--run", "{data}"), "holds a data set, not a run"),
    "features as run": ((*TRAIN, "--run", "{base}/features"), "holds exported features"),
    "foreign files as run": ((*TRAIN, "--run", "{base}/foreign"), "report.html stands in the way"),
    "foreign classes as run": ((*TRAIN, "--run", "{base}/names"), "classes.json stands in the"),
    "a run as data set": (
        ("img2keras.py", "--source", "{base}/T", "--output", "{base}/R"),
        "holds a run, not a data",
    ),
    "an empty data set": (("img2keras.py", "--source", "{base}/T", "--output", ""), "is empty"),
    "an unknown split": (("tools/report.py", "--run", "{base}/R", "--split", "zz"), "--split zz"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_output_that_would_do_harm_is_refused(case, base, drawn_data, script_here):
    words, expected = REFUSED[case]
    photograph(base / "P" / "a.png")
    photograph(base / "P" / "b.png")
    for folder, file in (("features", "resnet50.h5"), ("foreign", "report.html")):
        (base / folder).mkdir(exist_ok=True)
        (base / folder / file).write_text("by somebody else")
    (base / "names").mkdir(exist_ok=True)
    (base / "names" / "classes.json").write_text('["mine"]')
    (base / "R" / "predictions.csv").write_text(",".join(COLUMNS) + "\n")
    (base / "R" / "report.html").write_text("a good report")
    link = base / "link.keras"
    if not link.exists():
        os.link(base / "R" / "model.keras", link)
    before = contents(base), contents(drawn_data)
    words = [word.format(base=base, data=drawn_data) for word in words]
    status, _, errors = script_here(*words)
    assert status == 2 and errors.startswith("error: ") and errors.count("\n") == 1, errors
    assert expected in errors
    assert (contents(base), contents(drawn_data)) == before


def test_a_command_replaces_what_it_wrote_before(base, script_here, tmp_path):
    submission = [*PREDICT, "--output", str(base / "R" / "predict.txt")]
    similar = [*SIMILAR, "--output", str(tmp_path / "alike.jpg")]
    explained = [*EXPLAIN, "--output", str(tmp_path / "explained"), "{base}/T/1.jpg"]
    for words in (submission, similar, explained):
        for _ in range(2):
            status, _, errors = script_here(*(word.format(base=base) for word in words))
            assert status == 0, errors


def test_the_kept_files_are_those_that_there_are():
    assert {
        MANIFEST,
        CLASSES,
        UNFINISHED,
        DUPLICATES,
        UNREADABLE,
        STATISTICS,
    } <= set(KEPT_FILES[DATA_SET])
    assert {
        CONFIG,
        CLASSES,
        MODEL,
        RESULTS,
        PICTURE,
        PREDICTIONS,
        EVALUATION,
        TEMPERATURE,
        EMBEDDINGS,
    } <= set(KEPT_FILES[RUN])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_signed_picture_is_told_from_a_photograph_and_looks_the_same(tmp_path, suffix):
    path = photograph(tmp_path / f"photo{suffix}")
    before = Image.open(path).convert("RGB").tobytes()
    assert not is_own_picture(path)
    sign(path)
    assert is_own_picture(path)
    Image.open(path).verify()
    assert Image.open(path).convert("RGB").tobytes() == before


def test_what_matplotlib_drew_is_a_picture_of_ours(tmp_path):
    Figure().savefig(tmp_path / "plot.png")
    check_output_file(OutputFile("--plot", tmp_path / "plot.png", is_picture=True), [])
    with pytest.raises(UserError, match="an image"):
        check_output_file(OutputFile("--output", tmp_path / "plot.png"), [])


def test_long_and_odd_names_among_the_other_flags_do_no_harm(tmp_path):
    from finegrain.outputs import outputs_ready

    @dataclasses.dataclass
    class Settings:
        output: Path
        weights: tuple[str, ...] = ("a" * 5000, "x=\0", ",".join(["resnet50"] * 500), "")

        def outputs(self):
            return [OutputFile("--output", self.output)]

    (tmp_path / "out").touch()
    with outputs_ready(Settings(tmp_path / "out")):
        pass


def test_a_run_in_use_is_named_with_its_user(base, script_here):
    config = json.loads((base / "R" / "config.json").read_text())
    with folder_held(base / "R"):
        for words in (
            ("tools/calibrate.py", "--run", base / "R"),
            ("tools/evaluate.py", "--run", base / "R"),
            ("tools/report.py", "--run", base / "R"),
            ("trick_tune.py", "--run", base / "R"),
            ("single_model.py", "--run", base / "R", "--data", config["data"]["folder"]),
        ):
            status, _, errors = script_here(*words)
            assert status == 2 and errors.count("\n") == 1
            assert f"R is in use by process {os.getpid()} (" in errors
    assert not (base / "R" / LOCK).exists()
    assert kind_of(base / "R") == RUN


def test_two_commands_for_one_data_set_make_it_once(tmp_path):
    source, output = tmp_path / "photos", tmp_path / "data"
    for number in range(60):
        photograph(source / f"{'ab'[number % 2]}_{number}.jpg", number)
    started = [
        subprocess.Popen(
            command("img2keras.py", "--source", source, "--output", output, "--seed", seed),
            cwd=Path(__file__).parent.parent,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for seed in (1, 2)
    ]
    ended = [(process.communicate()[1], process.returncode) for process in started]
    for errors, status in ended:
        # Where the first ends before the second begins, both may go well.
        assert status == 0 or (status == 2 and "is in use by process" in errors), errors
    assert any(status == 0 for _, status in ended)
    import pandas as pd

    listed = set(pd.read_csv(output / "manifest.csv")["path"])
    tables = {"manifest.csv", "classes.json", "duplicates.csv", "unreadable.csv"}
    assert set(contents(output)) == listed | tables


def test_a_table_told_by_its_content_is_replaced_and_no_other(tmp_path):
    scores = OutputFile("--scores", tmp_path / "a.json", replaces=(".json",), told_by=b'"chosen"')
    check_output_file(scores, [])
    scores.path.write_text('{"merged": {"seconds": 1, "chosen": "epoch 1"}}')
    check_output_file(scores, [])
    scores.path.write_text('{"annotations": []}')
    with pytest.raises(UserError, match=r"a\.json would replace a file that this command did not"):
        check_output_file(scores, [])
