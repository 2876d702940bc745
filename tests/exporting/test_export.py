"""Exports are put in place only when they answer as the original."""

import json
import os
import socket
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from finished_runs import SIDE, make_run

from finegrain.errors import UserError
from finegrain.exporting.export import Format, check_output, export_run
from finegrain.exporting.formats import FORMATS
from finegrain.runs.finished_run import open_finished_run
from finegrain.whole_files import partial_beside

NAMES = ["<script>", "two words\n and a line", "5 %", "四"]


@pytest.fixture(scope="module")
def run(drawn_data, tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "multi", drawn_data, classes=NAMES)
    return open_finished_run(folder)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "name",
    [
        "saved_model",
        # By the interpreter that comes with TensorFlow, and by its successor.
        "tflite",
        pytest.param("tflite", marks=pytest.mark.optional("ai_edge_litert"), id="tflite-litert"),
        pytest.param("onnx", marks=pytest.mark.optional("tf2onnx", "onnx", "onnxruntime")),
        pytest.param("openvino", marks=pytest.mark.needs("openvino")),
    ],
)
def test_an_exported_model_answers_as_the_original(name, run, images, tmp_path):
    form = FORMATS[name]
    output = tmp_path / "made" / f"model{form.suffix}"
    found = export_run(run, form, output, images)
    assert found.images == 5 and found.same_top == 5 and found.error < 1e-4
    parts = sorted(path.name for path in output.parent.iterdir())
    assert parts == (["model.bin", "model.xml"] if name == "openvino" else [output.name])
    expected = np.array(run.classifier()(images.astype("float32")))
    for some in (images, images[:1], images[:3]):
        np.testing.assert_allclose(form.answer(output, some), expected[: len(some)], atol=1e-5)
    assert form.classes(output) == NAMES
    with pytest.raises(UserError, match="exists already"):
        check_output(form, output)


def test_a_tflite_file_carries_its_labels_as_others_expect_them(run, images, tmp_path):
    output = tmp_path / "model.tflite"
    export_run(run, FORMATS["tflite"], output, images)
    with zipfile.ZipFile(output) as archive:
        labels = archive.read("labels.txt").decode().split("\n")
        card = json.loads(archive.read("card.json"))
    assert labels == ["<script>", "two words  and a line", "5 %", "四"]
    assert json.loads(card["image_size"]) == [SIDE, SIDE]
    assert "uint8 (batch, 32, 32, 3)" in card["input"]


def fake_format(run, **changed) -> Format:
    """A format that writes a note and answers with the original."""

    def write(model, card, path):
        path.write_text(json.dumps(card.classes))

    def answer(path, images):
        return np.array(run.classifier()(images.astype("float32")))

    def classes(path):
        return json.loads(path.read_text())

    form = Format("fake", ".fake", (), write, answer, classes)
    return replace(form, **changed)


def test_what_disagrees_is_not_put_in_place(run, images, tmp_path, capfd):
    right = fake_format(run).answer

    def slightly_off(path, images):
        return right(path, images) + np.float32(0.01)

    def right_in_one_batch_only(path, images):
        return right(path, images) if len(images) == 5 else np.zeros((1, 4), "float32")

    def not_finite(path, images):
        return np.full((len(images), 4), np.nan, "float32")

    def of_one_image_only(path, images):
        return right(path, images)[:1]

    for answer in (slightly_off, right_in_one_batch_only, not_finite, of_one_image_only):
        with pytest.raises(UserError, match="disagrees with the original"):
            export_run(run, fake_format(run, answer=answer), tmp_path / "a.fake", images)
    with pytest.raises(UserError, match="class names"):
        export_run(run, fake_format(run, classes=lambda _: []), tmp_path / "a.fake", images)

    def broken(model, card, path):
        path.write_text("half")
        os.write(2, b"C++ says much")
        raise ValueError("Unsupported ops: Foo\nand a stack of calls\n")

    with pytest.raises(UserError, match="cannot be converted to fake .Unsupported ops: Foo.;"):
        export_run(run, fake_format(run, write=broken), tmp_path / "a.fake", images)
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []
    export_run(run, fake_format(run), tmp_path / "a.fake", images)
    assert [path.name for path in tmp_path.iterdir()] == ["a.fake"]


def test_a_model_that_diverged_is_not_exported(run, images, tmp_path):
    class Diverged(type(run)):
        def classifier(self):
            model = super().classifier()
            model.get_layer("category").bias.assign([np.nan] * 4)
            return model

    diverged = Diverged(**vars(run))
    with pytest.raises(UserError, match="not finite"):
        export_run(diverged, fake_format(run), tmp_path / "a.fake", images)


def test_a_missing_package_is_named_with_its_remedy():
    form = replace(FORMATS["onnx"], packages=("json", "no_such_package"))
    with pytest.raises(UserError, match="no_such_package.*pip install -r requirements-export.txt"):
        form.check_packages()


def test_the_output_must_fit_the_format(tmp_path):
    with pytest.raises(UserError, match="must end in .onnx"):
        check_output(FORMATS["onnx"], tmp_path / "model.h5")
    (tmp_path / "model.bin").write_text("kept")
    with pytest.raises(UserError, match="model.bin exists already"):
        check_output(FORMATS["openvino"], tmp_path / "model.xml")


def test_half_of_an_export_that_was_killed_goes_and_nobody_elses(tmp_path):
    output, weights = tmp_path / "model.xml", tmp_path / "model.bin"
    with partial_beside(output) as beside:
        beside.mkdir()
        (beside / output.name).write_text("agreed with the original")
        weights.write_text("put in its place already")
        with pytest.raises(UserError, match=r"model\.bin exists already"):
            check_output(FORMATS["openvino"], output)
        assert weights.exists(), "another process is about to put the rest in its place"
        # As a killed process leaves it: nobody holds the lock any more.
        left = tmp_path / ".0123abcd.partial.model.xml"
        beside.rename(left)
    check_output(FORMATS["openvino"], output)
    assert not weights.exists() and not left.exists()
    weights.write_text("somebody's own")
    with pytest.raises(UserError, match=r"model\.bin exists already"):
        check_output(FORMATS["openvino"], output)


def test_the_lock_of_a_kill_after_the_last_rename_goes(tmp_path):
    output, left = tmp_path / "m.onnx", tmp_path / ".0123abcd.lock.m.onnx"
    output.write_bytes(b"whole")
    left.write_text(json.dumps({"host": socket.gethostname(), "process": 1}))
    with pytest.raises(UserError, match="exists already"):
        check_output(FORMATS["onnx"], output)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
