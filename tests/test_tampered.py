"""Files of a run, a data set or an export, edited or damaged: one sentence, never a traceback."""

import json
import shutil
import tarfile
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest
from tampering import json_mutants

from finegrain.errors import UserError

TOOLS = Path(__file__).parent.parent / "tools"
ARCHIVE = Path(__file__).parent / "artefacts" / "16f72d1.tar.xz"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def folder(original, tmp_path, monkeypatch) -> Path:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def open_run():
    from finegrain.runs.finished_run import open_finished_run
    from finegrain.runs.run_folder import RunFolder, open_run_data

    open_finished_run(Path("runs/softmax"))
    open_run_data(Path("runs/softmax"), Path("data"))
    RunFolder.start(Path("runs/softmax"), known_config(), ["a", "b"])


def known_config() -> dict:
    return {
        "recipe": "softmax",
        "settings": {"seed": 0},
        "data": {"digest": "a"},
        "weights": {"digest": "b"},
    }


def report():
    from finegrain.report.charts import draw_curves, draw_reliability
    from finegrain.report.run_record import (
        measure_notes,
        measure_rows,
        read_run,
        run_facts,
        setting_rows,
        stage_rows,
    )

    record = read_run(Path("runs/multi"))
    draw_curves(record.stages)
    told = [run_facts(record), setting_rows(record), stage_rows(record), record.notes]
    told.append(measure_rows(record.evaluation))
    for part in record.evaluation.values():
        told += [measure_notes(part), draw_reliability(part.get("reliability") or [])]
    assert str(told)


def compare():
    import importlib.util

    from finegrain.runs.run_folder import RunFolder, read_results

    spec = importlib.util.spec_from_file_location("compare", TOOLS / "compare.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    run = RunFolder.open(Path("runs/multi"))
    for stage, numbers in read_results(run)["stages"].items():
        tool.described(run.config, stage)
        errors = f"{numbers.get('valid_error', 0):.4f} {numbers.get('test_error', 0):.4f}"
        assert errors + f"{numbers['epochs']:>6} {numbers['seconds']:.0f}"


def open_stage():
    from finegrain.evaluation.close_stage import best_error
    from finegrain.runs.stage_folder import StageFolder
    from finegrain.training.objectives import find_objective
    from finegrain.training.stage import Stage

    folder = StageFolder.finished_before(Path("runs/multi/2-unfrozen"))
    stage = Stage.from_record(folder.settings, folder.path)
    objective = find_objective("multi-loss")
    objective.check_history(folder.history, folder.path)
    if folder.history:
        best_error(folder.history, objective, stage, 9)
    assert f"{folder.seconds:.0f} {folder.epochs}"


def open_temperature():
    from finegrain.evaluation.temperature import model_temperature

    assert model_temperature(Path("runs/softmax")) > 0


def open_data():
    from finegrain.datasets.manifest import category_ids, open_data_set
    from finegrain.embeddings.photographs import data_set_photos

    data = open_data_set("data")
    category_ids(data), data_set_photos(data)


def fallen(path: Path, mutants, *openers) -> list[str]:
    """What ended otherwise than well or with a UserError of one line."""
    before, fell = path.read_bytes(), []
    for what, content in mutants:
        path.write_bytes(content)
        for opener in openers:
            try:
                opener()
            except UserError as error:
                if "\n" in str(error):
                    fell.append(f"{opener.__name__}: {what}: several lines")
            except Exception as error:  # the point of the test
                fell.append(f"{opener.__name__}: {what}: {type(error).__name__}: {error}")
    path.write_bytes(before)
    return fell


@pytest.mark.parametrize(
    ("file", "openers"),
    [
        ("runs/softmax/config.json", [open_run]),
        ("runs/softmax/classes.json", [open_run]),
        ("runs/multi/config.json", [report, compare]),
        ("runs/multi/classes.json", [report]),
        ("runs/multi/results.json", [report, compare]),
        ("runs/multi/evaluation.json", [report]),
        ("runs/multi/2-unfrozen/state.json", [open_stage]),
        ("runs/softmax/temperature.json", [open_temperature]),
        ("data/classes.json", [open_data]),
    ],
)
def test_a_json_with_anything_in_any_place_is_read_or_refused(folder, file, openers):
    # Without a model nothing is computed, and what is told of the records all the same.
    (folder / "runs/multi/model.keras").unlink()
    content = json.loads((folder / file).read_text())
    if file.endswith("config.json"):
        kept = ("batch_size", "dropout", "jit", "unfreeze_from")
        content["settings"] = {name: content["settings"][name] for name in kept}
    if "splits" in content:
        # Of twenty measures that are read alike one will do.
        valid = content["splits"]["valid"]
        valid["measures"] = {"log_loss": valid["measures"]["log_loss"]}
        del valid["per_class"]
        content = {"splits": {"valid": valid}, "missing": content["missing"]}
    # A report takes a while. 17 mutants of a place, and every seventh: each kind, in other places.
    mutants = islice(json_mutants(content), 0, None, 7 if report in openers else 1)
    assert fallen(folder / file, mutants, *openers)[:20] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "a,b\n1,2\n",
        lambda text: text.replace(",width,", ",path,"),
        lambda text: "\n".join(line + ",1" for line in text.splitlines()),
        lambda text: text + "train\n",
        lambda text: text + '"train\n',
        lambda text: text.replace("train", "nan"),
        lambda text: text.replace("72", "9" * 30),
        lambda text: text.replace("72", "-1"),
        lambda text: text.replace("72", ""),
        lambda text: text.replace(".jpg", "\0.jpg"),
        lambda text: text.replace(".jpg", "x" * 5000),
        lambda text: "\n".join(line.rpartition(",")[0] + ",x" for line in text.splitlines()),
        lambda text: text.replace("\n", "\n\n\n"),
        lambda text: text.splitlines()[0] + "\n",
        lambda text: text.splitlines()[0].replace("group", "category_id") + "\n" + text,
    ],
)
def test_a_manifest_of_other_columns_rows_or_types_is_read_or_refused(folder, change):
    path = folder / "data" / "manifest.csv"
    mutants = [("change", change(path.read_text()).encode("utf-8", "surrogateescape"))]
    assert fallen(path, [*mutants, ("bytes", b"\xff\xfe\x00")], open_data) == []


@pytest.mark.parametrize(
    "file",
    [
        "runs/softmax/config.json",
        "runs/softmax/classes.json",
        "runs/softmax/results.json",
        "runs/softmax/evaluation.json",
        "runs/softmax/2-unfrozen/state.json",
        "data/manifest.csv",
        "data/classes.json",
    ],
)
def test_a_folder_in_the_place_of_a_file_is_told(folder, file):
    (folder / file).unlink()
    (folder / file).mkdir()
    for opener in (open_run, open_data, open_stage, report):
        try:
            opener()
        except UserError as error:
            assert "\n" not in str(error)


def test_a_record_of_a_newer_version_is_refused(folder):
    from finegrain.embeddings.feature_file import FeatureFile
    from finegrain.evaluation.evaluation_file import read_evaluation
    from finegrain.records import SCHEMA

    for file, opener in (
        ("runs/softmax/config.json", open_run),
        ("runs/multi/2-unfrozen/state.json", open_stage),
        ("runs/softmax/temperature.json", open_temperature),
        ("runs/multi/evaluation.json", lambda: read_evaluation(Path("runs/multi/evaluation.json"))),
    ):
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**content, "schema": SCHEMA + 1}))
        with pytest.raises(UserError, match=r"written by a newer version of this project.*update"):
            opener()
    with h5py.File(folder / "features/multi.h5", "r+") as file:
        file.attrs["schema"] = SCHEMA + 1
    with pytest.raises(UserError, match="newer version"):
        FeatureFile(folder / "features/multi.h5")


def test_a_setting_that_came_later_does_not_stop_a_repeated_command(folder):
    """A record without it goes on with what held before; with another value it is refused."""
    from finegrain.runs.run_folder import RunFolder
    from finegrain.training.settings import HELD_BEFORE, TrainingSettings

    config = folder / "runs/softmax/config.json"
    content = json.loads(config.read_text())
    asked = json.loads(config.read_text())
    held_before = TrainingSettings.held_before()
    # As a command of today asks, which knows settings that the kept run does not.
    asked["settings"] = {**held_before, **asked["settings"]}
    for name in ("jit", "augment_on", "train_batch_norm", "views"):
        del content["settings"][name]
    config.write_text(json.dumps(content))
    asked["settings"]["views"] = HELD_BEFORE["views"]
    RunFolder.start(config.parent, asked, [], held_before)
    with pytest.raises(UserError, match="views 0 there, 4 now"):
        asked["settings"]["views"] = 4
        RunFolder.start(config.parent, asked, [], held_before)


def test_a_stage_from_before_a_setting_goes_on(folder):
    from dataclasses import asdict

    from finegrain.runs.stage_folder import StageFolder
    from finegrain.training.stage import Stage

    path = folder / "runs/multi/2-unfrozen"
    state = json.loads((path / "state.json").read_text())
    asked = asdict(Stage.from_record(state["settings"], path))
    del state["settings"]["views"], state["settings"]["augmentation"]["shear"]
    # A field that is no more.
    state["settings"]["lower_rate"] = 1.0
    (path / "state.json").write_text(json.dumps(state))
    assert StageFolder(path, asked, Stage.held_before()).epochs == 2
    assert Stage.from_record(state["settings"], path) == Stage.from_record(asked, path)
    with pytest.raises(UserError, match="views None there, 0 now"):
        StageFolder(path, asked)
    state["settings"]["lower_rate"] = 0.5
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"lower_rate 0.5 there, 1.0 now"):
        StageFolder(path, asked, Stage.held_before())


def replaced(name, data):
    def change(file):
        del file[name]
        file[name] = data

    return change


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    "change",
    [
        *(
            replaced(f"{name}/train", data)
            for name in ("embedding", "label", "path", "id", "view", "group", "done")
            for data in (
                np.zeros((3, 4), "float32"),
                np.zeros(21),
                np.int64(3),
                "text",
                np.arange(21) - 5,
                ["a"] * 21,
                np.zeros((0,), "int64"),
                b"\xff",
            )
        ),
        *(
            replaced(name, data)
            for name in ("embedding", "done", "class", "label")
            for data in (1, "text", np.zeros(3))
        ),
        *(replaced("class/names", data) for data in (["a"], [1, 2, 3], "x", ["a", "a", "b"], [])),
        *(
            attribute(name, value)
            for name in ("views", "data", "backbone", "key", "schema")
            for value in ("[]", "x", 7, np.zeros(3), "[" * 50_000, '{"kind": []}', "null")
        ),
        lambda file: file.__delitem__("label"),
        lambda file: file.__delitem__("path/valid"),
        lambda file: file["embedding/train"].__setitem__(0, np.nan),
        lambda file: file["label/train"].__setitem__(0, 99),
    ],
)
def test_an_export_of_other_shapes_rows_or_types_is_read_or_refused(folder, change):
    from finegrain.embeddings.feature_file import FeatureFile
    from finegrain.merging.joined import join_features
    from finegrain.merging.split import split_rows
    from finegrain.stores.row_store import DamagedStore, RowStore

    path = folder / "features" / "multi.h5"
    with h5py.File(path) as file:
        key = json.loads(file.attrs["key"])
    with h5py.File(path, "r+") as file:
        change(file)
    try:
        files = [FeatureFile(folder / "features" / "softmax.h5"), FeatureFile(path)]
        joined = join_features(files)
        rows = split_rows(joined, None, 0, 1e9).train
        taken = rows.take(["multi"], np.arange(len(rows)))["multi"]
        assert len(taken) == len(rows.labels) == 21
    except UserError as error:
        assert "\n" not in str(error)
    try:
        store = RowStore(path, key)
        for split, count in store.splits.items():
            assert len(store.read("embedding", split, np.arange(count))) == count
    except (DamagedStore, UserError) as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.95, 0.999])
def test_a_model_with_flipped_bytes_is_told(folder, place):
    from finegrain.runs.finished_run import open_finished_run

    path = folder / "runs/softmax/model.keras"
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + 8] = bytes(255 - byte for byte in content[at : at + 8])
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.keras (cannot be loaded|is not the model)"):
        open_finished_run(path.parent).model()


def test_a_model_without_the_head_for_pairs_is_told(folder, script_here):
    shutil.copy(folder / "runs/softmax/model.keras", folder / "runs/multi/model.keras")
    pair = sorted((folder / "unlabelled").iterdir())[:2]
    status, _, error = script_here(
        "tools/explain.py", "--run", "runs/multi", "--output", "explained", "--pair", *pair
    )
    assert status == 2 and "is not the model of this run" in error and "same_class" in error
    assert error.startswith("error: ") and error.count("\n") == 1


def test_a_model_of_other_classes_or_another_size_is_told(folder, script_here):
    import keras

    for shape, classes in (((72, 72, 3), 5), ((48, 48, 3), 3)):
        image = keras.Input(shape, name="image")
        pooled = keras.layers.GlobalAveragePooling2D(name="embedding")(image)
        category = keras.layers.Dense(classes, "softmax", name="category")(pooled)
        keras.Model(image, category).save(folder / "runs/softmax/model.keras")
        status, _, error = script_here(
            "single_model_test.py",
            "--run",
            "runs/softmax",
            "--images",
            "unlabelled",
            "--output",
            "now.csv",
        )
        assert status == 2 and "is not the model of this run" in error
        assert error.startswith("error: ") and error.count("\n") == 1
