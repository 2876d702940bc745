"""Stores as a user meets them: said, used again, killed in the middle, removed."""

import re
import signal
import time

import h5py
import numpy as np
import pytest

SMALL = (
    "--backbone",
    "mobilenet_v2_0.35",
    "--weights",
    "none",
    "--image-size",
    "32",
    "--batch-size",
    "8",
    "--unfreeze-from",
    "block_16_expand",
    "--stop-patience",
    "0",
    "--no-unfrozen-augmentation",
    "--no-openvino",
)
EPOCHS = ("--frozen-epochs", "2", "--unfrozen-epochs", "1")


def there_already(output):
    return [tuple(map(int, found)) for found in re.findall(r"(\d+) of (\d+) there already", output)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, script, drawn_data):
    """A folder with a finished run, and what the run printed."""
    runs = tmp_path_factory.mktemp("runs")
    done = script("froze_fine_tune.py", "--data", drawn_data, "--run", runs / "a", *SMALL, *EPOCHS)
    assert done.returncode == 0, done.stderr
    return runs, done.stdout


def test_both_stages_say_what_they_store_and_compute_with(trained):
    _, said = trained
    assert "2 augmented views each: 0 of" in said
    assert "activations at the boundary: 0 of" in said
    assert said.count("computing Keras, tensorflow float32; OpenVINO was declined") == 2


def test_the_store_is_hdf5_as_documented(trained, drawn_data):
    runs, _ = trained
    (store,) = (runs / "cache").glob("embedding-*.h5")
    with h5py.File(store, "r") as file:
        paths = file["path/train"].asstr()[:]
        assert file["embedding/train"].shape == (len(paths), 1280)
        assert np.isfinite(file["embedding/train"][:]).all()
        assert file["view/train"][:].tolist() == sorted([0, 1] * (len(paths) // 2))
        assert all((drawn_data / path).is_file() for path in paths)
        classes = [path.split("/")[1] for path in paths]
        labels = file["label/train"][:].tolist()
        assert len(set(zip(classes, labels, strict=True))) == len(set(classes))
        assert file["done/train"][:].all() and file["done/valid"][:].all()


def test_another_run_and_stage_3_find_the_stores(trained, script, drawn_data):
    runs, _ = trained
    done = script("single_model.py", "--data", drawn_data, "--run", runs / "b", *SMALL, *EPOCHS)
    assert done.returncode == 0, done.stderr
    # Stage 2 starts from the same backbone: its lower part is that of the first run.
    assert all(have == wanted for have, wanted in there_already(done.stdout))
    assert len(there_already(done.stdout)) == 2
    done = script("trick_tune.py", "--run", runs / "a", "--epochs", "1", "--no-openvino")
    assert done.returncode == 0, done.stderr
    ((have, wanted),) = there_already(done.stdout)
    assert have == wanted > 0


def test_killed_while_filling_it_goes_on(trained, start_script, script, drawn_data, tmp_path):
    arguments = (
        "froze_fine_tune.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "run",
        *SMALL,
        "--views",
        1000,
        "--frozen-epochs",
        1000,
        "--unfrozen-epochs",
        0,
    )
    process = start_script(*arguments)
    # Long enough for the first rows to have been made final.
    while "computing" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(7)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start_script(*arguments)
    said = ""
    while "there already" not in said:
        said = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ((have, wanted),) = there_already(said)
    assert 0 < have < wanted


def test_nothing_is_stored_where_nothing_shall_be(script, drawn_data, tmp_path):
    done = script(
        "froze_fine_tune.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "run",
        *SMALL,
        *EPOCHS,
        "--cache-gb",
        "0",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("nothing shall be stored (--cache-gb 0)") == 2
    assert not (tmp_path / "cache").exists()


def test_a_file_is_no_cache(script, drawn_data, tmp_path):
    (tmp_path / "file").touch()
    done = script(
        "froze_fine_tune.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "run",
        *SMALL,
        "--cache",
        tmp_path / "file",
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --cache") and done.stderr.count("\n") == 1


def test_stores_are_listed_and_removed_and_nothing_else_is(trained, script):
    runs, _ = trained
    own = runs / "cache" / "my.weights.h5"
    own.write_bytes(b"weights")
    listed = script("tools/clear_cache.py", "--cache", runs / "cache", "--dry-run")
    count = listed.stdout.count("would go")
    assert listed.returncode == 0 and count == len(list((runs / "cache").glob("*-*.h5"))) >= 2
    done = script("tools/clear_cache.py", "--cache", runs / "cache")
    assert done.stdout.count("removed") == count and "freed" in done.stdout
    assert list((runs / "cache").iterdir()) == [own]
    again = script("tools/clear_cache.py", "--cache", runs / "nowhere")
    assert again.returncode == 2 and "there is no folder" in again.stderr
