"""leaderboard.py as a user runs it, on drawn photographs and the small backbone."""

import csv
import json
import os
import shutil
import signal
import time

import pytest
from commands import REPOSITORY
from PIL import Image

CLASSES, PER_CLASS = 4, 14
WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
FLAGS = ("--weights", f"xception_small={WEIGHTS}", "--batch-size", 8, "--workers", 1)


@pytest.fixture(scope="module")
def contest(tmp_path_factory):
    """Photographs to learn from, and test images whose file names do not tell their class."""
    from finegrain.drawn.breed import demo_breeds
    from finegrain.drawn.collection import write_photos

    folder = tmp_path_factory.mktemp("contest")
    write_photos(folder / "photos", demo_breeds()[:CLASSES], per_class=PER_CLASS, seed=1)
    (folder / "test").mkdir()
    right = {}
    for number, photograph in enumerate(sorted((folder / "photos").rglob("*.jpg"))[::7]):
        name = f"{number}"
        right[name] = photograph.stem.rpartition("_")[0]
        shutil.move(photograph, folder / "test" / f"{name}.jpg")
    (folder / "test" / "broken.jpg").write_bytes(b"no picture")
    known = next((folder / "photos").rglob("*.jpg"))
    shutil.copy(known, folder / "test" / "known.jpg")
    with Image.open(known) as picture:
        half = (picture.width // 2, picture.height // 2)
        picture.resize(half).save(folder / "test" / "smaller.jpg")
    for name in ("known", "smaller"):
        right[name] = known.stem.rpartition("_")[0]
    return folder, right


@pytest.fixture(scope="module")
def searched(contest, script):
    """A search of two candidates, what it said, and the command."""
    folder, _ = contest
    command = ("leaderboard.py", "--photos", folder / "photos", "--test", folder / "test", *FLAGS)
    command = (*command, "--trials", 2, "--output", folder / "answer")
    done = script(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "answer", done.stdout, command


def rows_of(submission):
    with submission.open(encoding="utf-8") as file:
        return {
            row.pop("id"): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)
        }


def test_a_search_ends_with_a_submission_and_what_to_expect(searched, contest):
    output, said, _ = searched
    _, right = contest
    rows = rows_of(output / "submission.csv")
    assert rows.keys() == {*right, "broken"}
    for row in rows.values():
        assert len(row) == CLASSES and sum(row.values()) == pytest.approx(1, abs=1e-3)
    guessed = sum(
        max(row, key=row.get) == right[name] for name, row in rows.items() if name in right
    )
    assert guessed > len(right) / CLASSES
    summary = json.loads((output / "leaderboard.json").read_text())
    low, high = summary["interval"]
    assert summary["metric"] == "top-1 error" and low <= summary["expected"] <= high
    assert sum(summary["ensemble"].values()) == pytest.approx(1)
    assert f"top-1 error {summary['expected']:.4f} is to be expected" in said
    # The shortest road first, then the recipe as it is.
    assert said.index("logistic regression on xception_small") < said.index("trying xception_small")
    assert "modern recipe\n" in said
    assert "2 test images stand among the photographs too, such as " in said


def test_the_page_tells_what_was_tried(searched):
    output, _, _ = searched
    page = (output / "report.html").read_text()
    assert "logistic regression on xception_small" in page and "modern recipe" in page
    assert "1 test image cannot be decoded" in page
    assert "2 test images stand among the photographs too" in page
    assert page.count("<svg") == 1 and "http" not in page.split("</style>")[1].split("<svg")[0]


def test_the_single_model_is_a_run_as_any_other(searched, contest, script, tmp_path):
    output, _, _ = searched
    folder, right = contest
    answer = tmp_path / "single.csv"
    done = script(
        *("single_model_test.py", "--run", output / "model", "--images", folder / "test"),
        *("--output", answer, "--format", "probabilities"),
    )
    assert done.returncode == 0, done.stderr
    assert rows_of(answer).keys() == {*right, "broken"}


def test_the_same_command_finds_all_there_and_says_the_same(searched, script):
    output, _, command = searched
    before = (output / "submission.csv").read_bytes()
    again = script(*command)
    assert again.returncode == 0, again.stderr
    assert "trying" not in again.stdout
    assert (output / "submission.csv").read_bytes() == before


def test_the_same_number_of_trials_gives_the_same_answers(searched, contest, script):
    output, _, command = searched
    folder, _ = contest
    done = script(*command[:-1], folder / "again")
    assert done.returncode == 0, done.stderr
    assert (folder / "again/submission.csv").read_bytes() == (
        output / "submission.csv"
    ).read_bytes()


def test_ctrl_c_leaves_a_submission_and_says_what_to_expect(contest, start_script, tmp_path):
    folder, right = contest
    process = start_script(
        *("leaderboard.py", "--photos", folder / "photos", "--test", folder / "test", *FLAGS),
        *("--minutes", 60, "--output", tmp_path / "answer", "--metric", "log_loss"),
    )
    summary = tmp_path / "answer" / "leaderboard.json"
    deadline = time.monotonic() + 200
    while not summary.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=100)
    assert process.returncode == 130, said + errors
    assert "log loss" in said and "is to be expected" in said
    assert rows_of(tmp_path / "answer" / "submission.csv").keys() == {*right, "broken"}


def test_minutes_are_kept(contest, script, tmp_path):
    folder, _ = contest
    started = time.monotonic()
    done = script(
        *("leaderboard.py", "--photos", folder / "photos", *FLAGS),
        *("--minutes", 0.7, "--output", tmp_path / "answer"),
    )
    assert done.returncode == 0, done.stderr
    # Of a machine that others use too; imports are among it.
    assert time.monotonic() - started < 42 * 2
    assert not list((tmp_path / "answer").glob("submission*"))
    assert (tmp_path / "answer" / "model" / "model.keras").is_file()


def test_what_takes_too_much_memory_is_left_out(contest, script, tmp_path):
    folder, right = contest
    done = script(
        *("leaderboard.py", "--photos", folder / "photos", "--test", folder / "test", *FLAGS),
        *("--trials", 2, "--memory-gb", 0.02, "--output", tmp_path / "answer"),
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "notice  training xception_small is likely to take" in said
    assert "give more --memory-gb or a smaller --batch-size" in said and "out of fold" in said
    assert rows_of(tmp_path / "answer" / "submission.csv").keys() == {*right, "broken"}
    done = script(
        *("leaderboard.py", "--photos", folder / "photos", *FLAGS),
        *("--trials", 0, "--memory-gb", 0.0001, "--output", tmp_path / "none"),
    )
    assert done.returncode == 2 and "give more --memory-gb" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flags,words",
    [
        (("--minutes", 0), "minutes"),
        (("--test", "{photos}"), "lies inside --photos"),
        (("--test", "{photos}/nowhere"), "nowhere"),
        (("--weights", "xception_small"), "must be BACKBONE=FILE"),
        (("--weights", "nothing=imagenet"), "nothing"),
    ],
)
def test_mistakes_are_one_sentence(flags, words, contest, script, tmp_path):
    folder, _ = contest
    flags = [str(flag).format(photos=folder / "photos") for flag in flags]
    base = ("leaderboard.py", "--photos", folder / "photos", "--output", tmp_path / "answer")
    done = script(*base, *flags)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
