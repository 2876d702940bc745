"""recipes/export_features.py as a user runs it: what is in the files, killed, refused."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.embeddings import photographs
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.shared_file import open_features
from finegrain.frame import Frame
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import embedder, softmax_model
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder

EXPORT = "recipes/export_features.py"
PLAIN = ("--image-size", "32", "--weights", "none", "--no-openvino")
SMALL = "xception_small"


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder of twelve unlabelled images and one that is cut short."""
    folder = tmp_path_factory.mktemp("unlabelled") / "TEST"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        noise = rng.integers(0, 256, (4, 5, 3), dtype="uint8")
        Image.fromarray(noise).resize((50, 40)).save(folder / f"{number}.png")
    (folder / "13.png").write_bytes((folder / "12.png").read_bytes()[:100])
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, drawn_data) -> Path:
    """A finished run of a tiny network."""
    keras.utils.set_random_seed(4)
    image = keras.Input((48, 48, 3))
    backbone = keras.Model(image, keras.layers.Conv2D(16, 5, strides=3)(image), name="backbone")
    classes = json.loads((drawn_data / "classes.json").read_text())
    config = {
        "recipe": "softmax",
        "settings": {},
        "backbone": "tiny",
        "image_size": [48, 48],
        "data": {"digest": "0" * 64, "class_counts": [1] * len(classes), "folder": "absent"},
        "weights": {"digest": "0" * 64},
    }
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    model = softmax_model(backbone, find_backbone("mobilenet_v2"), len(classes))
    RunFolder.start(folder, config, classes).save_model(model)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory, script, drawn_data, images, run) -> Path:
    """Two backbones of one size and a run of another, by the issue's command."""
    folder = tmp_path_factory.mktemp("exported")
    weights = folder / "small.weights.h5"
    keras.utils.set_random_seed(9)
    build_backbone(find_backbone(SMALL), "none", (32, 32)).save_weights(weights)
    done = script(
        EXPORT,
        "--data",
        drawn_data,
        "--images",
        images,
        "--backbones",
        f"mobilenet_v2_0.35,{SMALL},{run}",
        "--weights",
        "none",
        f"{SMALL}={weights}",
        "--image-size",
        "32",
        "--no-openvino",
        "--output",
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert "1 image of TEST cannot be read" in done.stdout and "13.png: " in done.stdout
    return folder


def reference(model, photos: Path, names, size, mirrored=False) -> np.ndarray:
    """Embeddings of photographs, one after the other."""
    rows = []
    for name in names:
        pixels = read_pixels(photos / name, Frame(*size)).astype("float32")
        pixels = pixels[:, ::-1] if mirrored else pixels
        rows.append(keras.ops.convert_to_numpy(model(pixels[None], training=False))[0])
    return np.stack(rows)


def small_embedder(weights="none", seed=0):
    spec = find_backbone(SMALL)
    keras.utils.set_random_seed(seed)
    return embedder(softmax_model(build_backbone(spec, weights, (32, 32)), spec, 2))


@pytest.mark.optional("openvino", "nncf")
def test_int8_where_it_is_asked_for(exported, script, drawn_data, tmp_path):
    flags = (
        *("--data", drawn_data, "--backbones", SMALL, "--image-size", "32", "--output", tmp_path),
        *("--weights", exported / "small.weights.h5"),
    )
    flags = (*flags[:-1], f"{SMALL}={flags[-1]}")
    done = script(EXPORT, *flags, "--inference", "int8")
    assert done.returncode == 0, done.stderr
    assert ", int8, " in done.stdout and "as asked" in done.stdout
    with (
        FeatureFile(tmp_path / f"{SMALL}.h5") as rounded,
        FeatureFile(exported / f"{SMALL}.h5") as exact,
    ):
        assert rounded.splits["train"].paths.tolist() == exact.splits["train"].paths.tolist()
        rows = np.arange(len(exact.splits["train"].paths))
        got, expected = (features.read("train", rows) for features in (rounded, exact))
    off = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert 1e-4 < off < 0.3
    refused = script(EXPORT, *flags, "--inference", "float32")
    assert refused.returncode == 2 and "engine" in refused.stderr


def test_embeddings_are_those_of_each_photograph_with_its_path_and_label(
    exported, drawn_data, images, run
):
    models = {
        SMALL: (small_embedder(str(exported / "small.weights.h5")), (32, 32)),
        "tuned": (embedder(open_finished_run(run).model()), (48, 48)),
    }
    classes = json.loads((drawn_data / "classes.json").read_text())
    for name, (model, size) in models.items():
        with FeatureFile(exported / f"{name}.h5") as features:
            assert set(features.splits) == {"train", "valid", "test", "TEST"}
            assert features.classes == classes
            for split, rows in features.splits.items():
                photos = images if split == "TEST" else drawn_data
                got = features.read(split, np.arange(len(rows.paths)))
                expected = reference(model, photos, rows.paths, size)
                np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
                if split != "TEST":
                    assert [path.split("/")[:2] for path in rows.paths] == [
                        [split, classes[label]] for label in rows.labels
                    ]
            assert features.splits["TEST"].paths.tolist() == [f"{n}.png" for n in range(1, 13)]
            assert (features.splits["TEST"].labels == -1).all()
            ((path, image_id, reason),) = features.splits["TEST"].unreadable
            assert (path, image_id) == ("13.png", "13") and reason


def test_attributes_say_what_made_a_file(exported):
    with h5py.File(exported / f"{SMALL}.h5") as file:
        assert json.loads(file.attrs["image_size"]) == [32, 32]
        assert len(file.attrs["weights"]) == 64
        assert "keras" in json.loads(file.attrs["versions"])
        assert json.loads(file.attrs["made_from"])["weights"].endswith("small.weights.h5")
        assert all(done[:].all() for done in file["done"].values())


def test_one_decoding_serves_all_backbones_of_a_size(
    script_here, drawn_data, tmp_path, monkeypatch
):
    decoded = []

    def counted(path, frame):
        decoded.append(path)
        return read_pixels(path, frame)

    monkeypatch.setattr(photographs, "read_pixels", counted)
    call = (
        EXPORT,
        "--data",
        drawn_data,
        "--backbones",
        f"mobilenet_v2_0.35,{SMALL}",
        *PLAIN,
        "--output",
        tmp_path,
    )
    status, said, _ = script_here(*call)
    assert status == 0 and said.count("0 of 40 rows there already") == 2
    assert len(decoded) == len(set(decoded)) == 40
    before = (tmp_path / f"{SMALL}.h5").read_bytes()
    status, said, _ = script_here(*call)
    assert status == 0 and said.count("40 of 40 rows there already") == 2
    assert len(decoded) == 40 and (tmp_path / f"{SMALL}.h5").read_bytes() == before


SLOWED = """
import runpy, sys, time
from finegrain.features.compute import FeatureComputer
from finegrain.stores import row_store

row_store.SECONDS_BETWEEN_FLUSHES = 0
compute = FeatureComputer.__call__

def slowly(self, images):
    time.sleep(1)
    return compute(self, images)

FeatureComputer.__call__ = slowly
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_killed_in_the_middle_it_goes_on_without_losing_or_doubling_a_row(
    script_here, drawn_data, images, tmp_path
):
    flags = [
        "--data",
        drawn_data,
        "--images",
        images,
        "--backbones",
        f"mobilenet_v2_0.35,{SMALL}",
        *PLAIN,
        "--views",
        "3",
    ]
    words = [*flags, "--output", tmp_path / "killed"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWED, EXPORT, *map(str, words)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    file = tmp_path / "killed" / f"{SMALL}.h5"
    while rows_done(file) < 32:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    kept = rows_done(file)
    status, said, _ = script_here(EXPORT, *words)
    assert status == 0 and f"{kept} of " in said
    status, _, _ = script_here(EXPORT, *flags, "--output", tmp_path / "whole")
    assert status == 0
    for name in ("mobilenet_v2_0.35", SMALL):
        with (
            FeatureFile(tmp_path / "killed" / f"{name}.h5") as killed,
            FeatureFile(tmp_path / "whole" / f"{name}.h5") as whole,
        ):
            for split, rows in whole.splits.items():
                own = killed.splits[split]
                assert own.paths.tolist() == rows.paths.tolist()
                assert own.views.tolist() == rows.views.tolist()
                every = np.arange(len(rows.paths))
                np.testing.assert_allclose(
                    killed.read(split, every), whole.read(split, every), rtol=1e-4, atol=1e-6
                )
            train = whole.splits["train"]
            assert len(train.paths) == 4 * len(set(train.paths))
            assert len(set(zip(train.paths, train.views, strict=True))) == len(train.paths)
            assert len(whole.splits["valid"].paths) == len(set(whole.splits["valid"].paths))


def rows_done(file: Path) -> int:
    if not file.exists():
        return 0
    with h5py.File(file, "r", locking=False) as opened:
        return sum(int(done[:].sum()) for done in opened["done"].values())


def test_flipped_views_are_those_of_the_mirror_image_and_the_older_layout_is_in_its_order(
    script_here, drawn_data, images, tmp_path
):
    status, _, errors = script_here(
        EXPORT,
        "--data",
        drawn_data,
        "--images",
        images,
        "--backbones",
        SMALL,
        *PLAIN,
        "--views",
        "flip",
        "--layout",
        "gap",
        "--output",
        tmp_path,
    )
    assert status == 0, errors
    model = small_embedder()
    with FeatureFile(tmp_path / f"{SMALL}.h5") as features:
        rows = features.splits["valid"]
        mirrored = np.flatnonzero(rows.views == 1)
        assert len(mirrored) == len(rows.paths) / 2
        expected = reference(model, drawn_data, rows.paths[mirrored], (32, 32), mirrored=True)
        got = features.read("valid", mirrored)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
    with h5py.File(tmp_path / "gap_XceptionSmall.h5") as gap:
        paths, labels = gap["train_path"].asstr()[:], gap["label"][:]
        classes = gap["classes"].asstr()[:]
        assert [path.split("/")[1] for path in paths] == classes[labels].tolist()
        assert labels.tolist() == sorted(labels)
        first = [path.split("/")[2] for path in paths[labels == 0]]
        assert first == sorted(first) and len(paths) == 32
        assert gap["test_path"].asstr()[:].tolist() == sorted(f"{n}.png" for n in range(1, 13))
        np.testing.assert_allclose(
            gap["test"][:],
            reference(model, images, gap["test_path"].asstr()[:], (32, 32)),
            rtol=1e-3,
            atol=1e-5,
        )
        np.testing.assert_allclose(
            gap["train"][:3],
            reference(model, drawn_data, paths[:3], (32, 32)),
            rtol=1e-3,
            atol=1e-5,
        )


@pytest.mark.parametrize("pixels, factor", [("unit", 1 / 255), ("raw", 1.0)])
def test_the_layout_of_the_flowers_and_pixels_as_some_fed_them(
    script_here, drawn_data, tmp_path, pixels, factor
):
    asked = ("--data", drawn_data, "--output", tmp_path, "--backbones", SMALL, *PLAIN)
    status, said, errors = script_here(EXPORT, *asked, "--layout", "train_x", "--pixels", pixels)
    assert status == 0, errors
    shared = tmp_path / "train_x_XceptionSmall.h5"
    assert f"wrote the layout train_x to {shared}" in said
    with h5py.File(shared) as file:
        assert {"train_x", "train_label", "valid_x", "valid_label", "test"} <= set(file)
        paths = file["valid_path"].asstr()[:]
        classes = file["classes"].asstr()[:]
        labels = file["valid_label"][:]
        assert [path.split("/")[1] for path in paths] == classes[labels].tolist()
        values = file["valid_x"][:]
    # What undoes the scaling of the model's own preprocessing.
    fed = [(read_pixels(drawn_data / path, Frame(32, 32)) * factor + 1) * 127.5 for path in paths]
    expected = small_embedder().predict_on_batch(np.stack(fed))
    np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-3)
    with open_features(shared) as features:
        assert features.splits["valid"].paths.tolist() == paths.tolist()


def test_images_of_a_json_keep_its_ids(script_here, drawn_data, images, tmp_path):
    shutil.copytree(images, tmp_path / "photos")
    listed = [{"id": 100 + n, "file_name": f"photos/{n}.png"} for n in (3, 1)]
    (tmp_path / "some.json").write_text(json.dumps({"images": listed}))
    status, _, errors = script_here(
        EXPORT,
        "--data",
        drawn_data,
        "--images",
        tmp_path / "some.json",
        "--backbones",
        SMALL,
        *PLAIN,
        "--output",
        tmp_path / "out",
    )
    assert status == 0, errors
    with FeatureFile(tmp_path / "out" / f"{SMALL}.h5") as features:
        rows = features.splits["some"]
        assert rows.ids.tolist() == ["103", "101"]
        assert rows.paths.tolist() == ["photos/3.png", "photos/1.png"]


def test_a_folder_of_nothing_readable_has_no_rows(script_here, drawn_data, tmp_path):
    (tmp_path / "broken").mkdir()
    for number in (2, 1):
        (tmp_path / "broken" / f"{number}.jpg").touch()
    status, _, errors = script_here(
        EXPORT,
        "--data",
        drawn_data,
        "--images",
        tmp_path / "broken",
        "--backbones",
        SMALL,
        *PLAIN,
        "--views",
        "flip",
        "--layout",
        "gap",
        "--output",
        tmp_path / "out",
    )
    assert status == 0, errors
    with FeatureFile(tmp_path / "out" / f"{SMALL}.h5") as features:
        rows = features.splits["broken"]
        assert not len(rows.paths) and not len(rows.labels)
        assert [tuple(lost) for lost in rows.unreadable] == [
            ("1.jpg", "1", "empty file"),
            ("2.jpg", "2", "empty file"),
        ]
        assert len(features.splits["train"].paths) == 48


MISTAKES = {
    "unknown backbone": (["--backbones", "resnet5"], "did you mean resnet50"),
    "no backbone": (["--backbones", ","], "--backbones names none"),
    "twice": (["--backbones", f"{SMALL},{SMALL}"], f"names {SMALL} twice"),
    "weights of another": (["--weights", "none", "vgg16=none"], "none of xception_small"),
    "weights twice": (["--weights", "none", "imagenet"], "two values for all"),
    "no such weights": (["--weights", f"{SMALL}=none.h5"], "is no file"),
    "no such run": (["--backbones", "runs/none"], "is no run folder"),
    "no such data": (["--data", "{tmp}/none"], "there is no data set folder"),
    "vanished image": (["--data", "{tmp}/data"], "are missing, the first is train/"),
    "damaged image": (["--data", "{tmp}/damaged"], "can no longer be read"),
    "no such images": (["--images", "{tmp}/none"], "there is no folder"),
    "other views": (["--views", "0"], "--views '0' is unknown"),
    "too many views": (["--views", "1001"], "a number of augmented views, 1 to 1000"),
    "endless views": (["--views", 5000 * "9"], "a number of augmented views, 1 to 1000"),
    "two folders for gap": (["--images", "{images}", "{tmp}", "--layout", "gap"], "one folder"),
    "output is a file": (["--output", "{tmp}/file"], "is a file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake, script_here, drawn_data, images, tmp_path):
    for name in ("data", "damaged"):
        shutil.copytree(drawn_data, tmp_path / name)
    next((tmp_path / "data" / "train").glob("*/*")).unlink()
    next((tmp_path / "damaged" / "valid").glob("*/*")).write_bytes(b"no image")
    (tmp_path / "file").touch()
    words, complaint = MISTAKES[mistake]
    words = [word.format(tmp=tmp_path, images=images) for word in words]
    flags = {"--data": drawn_data, "--backbones": SMALL, "--output": tmp_path / "out"}
    given = [word for flag, value in flags.items() if flag not in words for word in (flag, value)]
    settings = PLAIN if "--weights" not in words else ("--image-size", "32")
    status, _, errors = script_here(EXPORT, *given, *settings, *words)
    assert status == 2
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert complaint in sentence


def test_a_file_made_from_something_else_is_left_as_it_is(
    script_here, drawn_data, exported, tmp_path
):
    path = tmp_path / f"{SMALL}.h5"
    shutil.copy(exported / f"{SMALL}.h5", path)
    before = path.read_bytes()
    call = (EXPORT, "--data", drawn_data, "--backbones", SMALL, *PLAIN, "--output", tmp_path)
    status, _, errors = script_here(*call)
    assert status == 2 and path.read_bytes() == before
    assert "made from something else (it differs in: weights, images)" in errors
    path.write_bytes(before[: len(before) // 2])
    status, _, errors = script_here(*call)
    assert status == 2 and "is no whole store" in errors
    assert path.read_bytes() == before[: len(before) // 2]


def test_embeddings_that_are_no_numbers_are_refused(script_here, drawn_data, tmp_path):
    weights = tmp_path / "nan.weights.h5"
    backbone = build_backbone(find_backbone(SMALL), "none", (32, 32))
    backbone.set_weights([np.full_like(array, np.nan) for array in backbone.get_weights()])
    backbone.save_weights(weights)
    status, _, errors = script_here(
        EXPORT,
        "--data",
        drawn_data,
        "--backbones",
        SMALL,
        "--weights",
        f"{SMALL}={weights}",
        "--image-size",
        "32",
        "--no-openvino",
        "--output",
        tmp_path / "out",
    )
    assert status == 2 and "no finite numbers" in errors


def test_a_run_with_a_hidden_layer_gives_what_that_says(script, script_here, drawn_data, tmp_path):
    run = tmp_path / "deep"
    # In a process of its own: a training sets up the whole of Keras.
    done = script(
        "single_model.py",
        "--data",
        drawn_data,
        "--run",
        run,
        "--backbone",
        SMALL,
        "--weights",
        "none",
        "--image-size",
        "32",
        "--batch-size",
        "16",
        "--frozen-epochs",
        "1",
        "--views",
        "1",
        "--unfrozen-epochs",
        "1",
        "--unfreeze-from",
        "0",
        "--unfrozen-optimizer",
        "adam",
        "--hidden",
        "7",
        "--no-openvino",
    )
    assert done.returncode == 0, done.stderr
    status, _, errors = script_here(
        EXPORT, "--data", drawn_data, "--backbones", run, "--no-openvino", "--output", tmp_path
    )
    assert status == 0, errors
    model = open_finished_run(run).model()
    hidden = keras.Model(model.input, model.get_layer("hidden").output)
    with FeatureFile(tmp_path / "deep.h5") as features:
        paths = features.splits["valid"].paths
        np.testing.assert_allclose(
            features.read("valid", range(len(paths))),
            reference(hidden, drawn_data, paths, (32, 32)),
            rtol=1e-3,
            atol=1e-5,
        )
        assert features.width == 7
