"""Every training stands beside its baseline, which costs it nothing and changes nothing."""

import json
import shutil
import sys

import h5py
import keras
import numpy as np
import pytest
from commands import REPOSITORY
from finished_runs import SIDE, small_backbone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from finegrain.command import command_with
from finegrain.datasets.manifest import open_data_set
from finegrain.decode import read_pixels
from finegrain.embeddings.logistic import STRENGTHS
from finegrain.frame import Frame
from finegrain.runs.run_folder import RunFolder, read_results
from finegrain.stores.row_store import RowStore
from finegrain.training import baseline as baseline_module

# Any that exist: the network is the tests' own.
WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
FLAGS = (
    "--backbone",
    "mobilenet_v2",
    "--weights",
    WEIGHTS,
    "--image-size",
    SIDE,
    "--batch-size",
    8,
    "--unfreeze-from",
    3,
    "--frozen-epochs",
    1,
    "--views",
    1,
    "--unfrozen-epochs",
    1,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def call(script_here, drawn_data, monkeypatch):
    """Train in a folder; what was said."""
    monkeypatch.setattr("finegrain.evaluation.pictures.shutil.which", lambda name: None)
    monkeypatch.setattr("finegrain.training.build.build_backbone", lambda *_: small_backbone())

    def train(run, *flags):
        status, said, errors = script_here(
            "single_model.py", "--data", drawn_data, "--run", run, *FLAGS, *flags
        )
        assert status == 0, errors
        return said

    return train


@pytest.fixture
def trained(call, made):
    """A finished run with a baseline, and what its training said."""
    run = made / "with"
    if not run.exists():
        (made / "said").write_text(call(run))
    return run, (made / "said").read_text()


def reference(data):
    """The errors of scikit-learn on the mean of the backbone's feature map, each C on its own."""
    keras.utils.set_random_seed(0)
    backbone = small_backbone()
    embeddings, labels = {}, {}
    for split in data.splits:
        photos = np.stack([read_pixels(path, Frame(SIDE, SIDE)) for path in data.paths(split)])
        maps = backbone.predict(photos / 127.5 - 1, verbose=0)
        embeddings[split], labels[split] = maps.mean(axis=(1, 2)), data.labels(split)
    scaler = StandardScaler().fit(embeddings["train"])
    embeddings = {split: scaler.transform(numbers) for split, numbers in embeddings.items()}
    return {
        strength: {
            f"{split}_error": 1 - regression.score(embeddings[split], labels[split])
            for split in ("valid", "test")
        }
        for strength in STRENGTHS
        for regression in [
            LogisticRegression(C=strength, max_iter=500).fit(embeddings["train"], labels["train"])
        ]
    }


def test_the_baseline_is_that_of_scikit_learn_on_the_frozen_backbone(trained, drawn_data):
    run, said = trained
    found = read_results(RunFolder.open(run))["baseline"]
    slow = reference(open_data_set(drawn_data))[found["strength"]]
    assert slow.items() <= found.items()
    valid, test = (f"{slow[f'{split}_error']:.4f}" for split in ("valid", "test"))
    line = f"logistic regression on frozen embeddings: top-1 error validation {valid}, test {test} "
    assert f"  baseline  {line}" in said
    closing = next(line for line in said.splitlines() if line.startswith("2-unfrozen: top-1"))
    assert f"; baseline {test} (" in closing
    assert "baseline" not in next(line for line in said.splitlines() if "1-frozen: top-1" in line)


def test_a_run_has_the_same_numbers_with_it_and_without(trained, call, made, monkeypatch):
    run, _ = trained
    monkeypatch.setattr(baseline_module, "fit_softmax", None)
    said = call(made / "without", "--no-baseline", "--cache-gb", 1)
    assert "baseline" not in said
    for stage in ("1-frozen", "2-unfrozen"):
        one, other = (
            json.loads((folder / stage / "state.json").read_text())["history"]
            for folder in (run, made / "without")
        )
        assert [row | {"seconds": 0} for row in one] == [row | {"seconds": 0} for row in other]


def test_it_is_measured_once_and_its_embeddings_serve_all_runs(trained, call, made, monkeypatch):
    run, said = trained
    computed = []
    original = baseline_module.FeatureComputer.__call__

    def count(computer, images):
        computed.append(len(images))
        return original(computer, images)

    monkeypatch.setattr("finegrain.features.compute.FeatureComputer.__call__", count)
    embeddings = baseline_module.frozen_embeddings
    monkeypatch.setattr(baseline_module, "frozen_embeddings", None)
    line = next(line for line in said.splitlines() if "logistic regression on frozen" in line)
    assert line in call(run)
    monkeypatch.setattr(baseline_module, "frozen_embeddings", embeddings)
    monkeypatch.setattr("finegrain.training.session.Session.train", lambda *_: sys.exit(3))
    with pytest.raises(AssertionError):
        call(made / "second")
    assert not computed
    again = read_results(RunFolder.open(made / "second"))["baseline"]
    assert again["test_error"] == read_results(RunFolder.open(run))["baseline"]["test_error"]


def test_what_goes_wrong_with_it_ends_no_training(trained, call, made, monkeypatch):
    def fail(*_):
        raise MemoryError("too many")

    monkeypatch.setattr(baseline_module, "fit_softmax", fail)
    said = call(made / "failed", "--unfrozen-epochs", 0, "--cache-gb", 0)
    assert "the baseline is left out: MemoryError: too many" in said
    assert "2-unfrozen: top-1 error" in said and "; baseline" not in said


def test_a_stage_above_its_baseline_says_what_to_try(trained, call, tmp_path, drawn_data):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    results = json.loads((run / "results.json").read_text())
    results["baseline"]["test_error"] = results["stages"]["2-unfrozen"]["test_error"] / 2
    (run / "results.json").write_text(json.dumps(results))
    said = call(run).splitlines()
    assert "2-unfrozen ends above its baseline" in said[-1]
    command = f"single_model.py --data {drawn_data} --backbone mobilenet_v2 --weights {WEIGHTS} "
    assert "; try: python " in said[-1] and command in said[-1]
    assert said[-1].endswith(
        f"--batch-size 8 --unfreeze-from 3 --views 1 --recipe modern --run {run}-modern"
    )


def test_a_command_with_other_flags_is_as_it_would_be_typed(monkeypatch):
    words = "a.py --run=old --seed 3 --no-fast --batch_size 8 --words a b --data it's".split()
    monkeypatch.setattr(sys, "argv", words)
    assert command_with({"run": "new one"}, without=["fast", "batch_size", "words"]) == (
        """python a.py --seed 3 --data 'it'"'"'s' --run 'new one'"""
    )


def test_tools_show_it_beside_the_run(trained, script_here):
    from finegrain.report.page import render_page
    from finegrain.report.run_record import read_run
    from finegrain.report.run_view import view_run

    run, _ = trained
    baseline = read_results(RunFolder.open(run))["baseline"]
    status, said, _ = script_here("tools/compare.py", "--run", run)
    row = next(line for line in said.splitlines() if line.startswith("baseline: logistic"))
    assert status == 0 and f"{baseline['test_error']:.4f}       -" in row
    page = render_page([view_run(read_run(run), 0)])
    assert "baseline: logistic regression on frozen embeddings" in page
    assert f"<span>Baseline</span><b>{100 * (1 - baseline['valid_error']):.1f} %</b>" in page


def test_a_softmax_that_begins_with_it_errs_as_it_does(trained, call, made):
    run = made / "logistic"
    none = ("--frozen-epochs", 0, "--unfrozen-epochs", 0)
    said = call(run, "--head-start", "logistic", "--no-openvino", *none)
    results = read_results(RunFolder.open(run))
    errors = {
        f"{split}_error": results["baseline"][f"{split}_error"] for split in ("valid", "test")
    }
    assert errors.items() <= results["stages"]["2-unfrozen"].items()
    assert "ends above" not in said


@pytest.mark.parametrize(
    "flags,obstacle",
    [
        (("--hidden", 8), "--hidden 8"),
        (("--objective", "arcface"), "an objective without a plain softmax"),
        (("--pooling", "gem"), "--pooling gem"),
        (("--neck", "bn"), "--neck bn"),
        (("--weights", "none"), "--weights none"),
    ],
)
def test_another_embedding_than_the_regressions_is_refused(
    flags, obstacle, script_here, drawn_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("finegrain.training.build.build_backbone", lambda *_: small_backbone())
    start = ("--data", drawn_data, "--run", tmp_path / "run", *FLAGS, "--head-start", "logistic")
    status, _, errors = script_here("single_model.py", *start, *flags)
    assert status == 2 and errors.count("\n") == 1 and obstacle in errors
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_that_was_begun_when_the_start_had_another_name(trained, call, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    config = json.loads((run / "config.json").read_text())
    del config["settings"]["head_start"]
    (run / "config.json").write_text(json.dumps(config))
    assert "finished before" in call(run)
    config["settings"]["head_from_zero"] = True
    (run / "config.json").write_text(json.dumps(config))
    assert RunFolder.open(run).config.settings.head_start == "zero"
    assert call(run, "--head-start", "zero").count("finished before") == 2


def test_a_stage_on_plain_images_finds_its_activations_already_there(
    call, made, drawn_data, monkeypatch
):
    """The passes of the baseline go by the boundary, and leave there what stage 2 reads."""
    flags = ("--no-unfrozen-augmentation", "--frozen-epochs", 0)
    run, other = made / "shared" / "run", made / "apart" / "run"
    said = call(run, *flags)
    counts = {split: len(open_data_set(drawn_data).paths(split)) for split in ("train", "valid")}
    total = sum(counts.values())
    assert f"activations at the boundary: {total} of {total} there already" in said
    apart = call(other, *flags, "--no-baseline")
    assert f"activations at the boundary: 0 of {total} there already" in apart
    one, two = (
        RowStore(path, json.loads(h5py.File(path).attrs["key"]))
        for folder in (run, other)
        for path in (folder.parent / "cache").glob("activation-*.h5")
    )
    for split, count in counts.items():
        for kind in one.kinds:
            rows = np.arange(count)
            np.testing.assert_allclose(
                one.read(kind, split, rows), two.read(kind, split, rows), rtol=1e-3, atol=1e-4
            )
    shared, alone = (
        json.loads((folder / "2-unfrozen" / "state.json").read_text())["history"]
        for folder in (run, other)
    )
    assert shared[0]["val_loss"] == pytest.approx(alone[0]["val_loss"], rel=1e-3)
    # A second run shares the store, and finds no row to compute.
    again = call(made / "shared" / "again", *flags)
    assert "computing" not in again and f"{total} of {total} there already" in again


def test_augmented_stages_have_passes_of_their_own(call, made):
    said = call(made / "augmented" / "run", "--frozen-epochs", 0, "--unfrozen-views", 1)
    assert "1 augmented views each: 0 of" in said


def test_plain_views_among_augmented_ones_are_there_already(call, made, drawn_data):
    said = call(
        *(made / "mixed" / "run", "--frozen-epochs", 0, "--unfrozen-epochs", 3),
        *("--unfrozen-views", 3, "--plain-views"),
    )
    data = open_data_set(drawn_data)
    train, valid = len(data.paths("train")), len(data.paths("valid"))
    assert f"3 views each: {train + valid} of {3 * train + valid} there already" in said
