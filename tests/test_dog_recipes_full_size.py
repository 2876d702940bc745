"""The dogs' recipes with Xception at its full size: two steps of each stage, and a submission."""

import os
import shutil

import pytest

# At 299 pixels, as the sources had it; the numbers of epochs and images alone are smaller.
SHORT = (
    *("--backbone", "xception", "--weights", "none", "--batch-size", 16),
    *("--frozen-epochs", 1, "--unfrozen-epochs", 1, "--unfreeze-from", 105),
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("recipe", "backend"),
    # JAX compiles Xception for a minute, so there the one that everybody takes.
    [
        ("original", "tensorflow"),
        pytest.param("as-first-coded", "tensorflow", marks=pytest.mark.thorough),
        pytest.param("original", "jax", marks=pytest.mark.thorough),
    ],
)
def test_every_stage_learns_and_a_submission_comes_out(
    recipe, backend, script, drawn_data, tmp_path
):
    if backend == "jax":
        pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    run, images = tmp_path / "run", tmp_path / "test"
    images.mkdir()
    for photograph in (drawn_data / "test").rglob("*.jpg"):
        shutil.copy(photograph, images)
    # One stored view of an image, where the recipe has some at all.
    views = ("--views", 1) if recipe == "original" else ()
    train = ("--recipe", recipe, "--data", drawn_data, "--run", run, *SHORT, *views)
    answer = tmp_path / "answer.txt"
    for name, *arguments in (
        ("froze_fine_tune.py", *train),
        ("trick_tune.py", "--run", run, "--epochs", 1),
        ("baidu_dog_test.py", "--run", run, "--images", images, "--output", answer),
    ):
        done = script(name, *arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        if name == "froze_fine_tune.py":
            assert "299 x 299 pixels" in done.stdout and "1 epochs of 2 steps of 16" in done.stdout
            assert "from layer 105 (add" in done.stdout
    assert len(answer.read_text().splitlines()) == len(list(images.iterdir())) > 0
