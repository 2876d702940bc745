"""What can never fit into the memory of the machine is refused before it is begun."""

from types import SimpleNamespace

import psutil
import pytest
from finished_runs import make_run

from finegrain import memory
from finegrain.errors import UserError
from finegrain.memory import check_memory_fits, total_memory

SMALL = ("--backbone", "mobilenet_v2_0.35", "--weights", "none", "--image-size", "32")


@pytest.fixture
def memory_of(monkeypatch):
    """Make the machine one of so many bytes and no swap."""

    def make(memory: int) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=memory))
        monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(total=0))

    return make


@pytest.mark.parametrize(
    "limit,total", [("max\n", 900), ("500\n", 500), ("1000\n", 900), (None, 900), ("", 900)]
)
def test_a_container_may_have_less_than_its_machine(monkeypatch, memory_of, tmp_path, limit, total):
    memory_of(900)
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", [tmp_path / "memory.max"])
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    assert total_memory() == total


def test_exactly_what_there_is_still_fits(memory_of):
    memory_of(2_000_000_000)
    check_memory_fits(2e9, "this", "that")
    with pytest.raises(UserError, match="this needs 2.4 GB .* has 2.0 GB; that"):
        check_memory_fits(2.4e9, "this", "that")


@pytest.mark.parametrize("frozen,unfrozen", [(1, 0), (0, 1)])
def test_a_training_that_cannot_fit_is_refused_before_its_run_folder_is_made(
    script_here, memory_of, drawn_data, tmp_path, frozen, unfrozen
):
    memory_of(2_000_000)
    status, _, errors = script_here(
        "single_model.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "run",
        *SMALL,
        "--frozen-epochs",
        frozen,
        "--unfrozen-epochs",
        unfrozen,
    )
    assert status == 2
    assert "images of 32 x 32 pixels needs " in errors
    assert "this machine has 2.0 MB" in errors
    assert "lower --image-size or --batch-size" in errors
    assert not (tmp_path / "run").exists()


def test_an_export_that_cannot_fit_is_refused(script_here, memory_of, drawn_data, tmp_path):
    memory_of(2_000_000)
    status, _, errors = script_here(
        "recipes/export_features.py",
        "--data",
        drawn_data,
        "--output",
        tmp_path / "features",
        "--backbones",
        SMALL[1],
        *SMALL[2:],
    )
    assert status == 2 and "take a smaller --image-size" in errors
    assert not list(tmp_path.rglob("*.h5"))


def test_a_submission_that_cannot_fit_is_refused(script_here, memory_of, drawn_data, tmp_path):
    run = make_run(tmp_path / "run", drawn_data, "softmax")
    memory_of(20_000)
    status, _, errors = script_here(
        "single_model_test.py",
        "--run",
        run,
        "--images",
        drawn_data.parent / "photos",
        "--output",
        tmp_path / "predict.txt",
    )
    assert status == 2 and "lower --batch-size" in errors
    assert not (tmp_path / "predict.txt").exists()
