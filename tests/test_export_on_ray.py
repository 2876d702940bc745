"""export_features.py --engine ray: the plain export, whichever workers die."""

import itertools
import os
import re
import signal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_export_shards import EXPORT, FLAGS, check_same, images, plain

from finegrain.embeddings.ray_shards import Work, connected
from finegrain.embeddings.ray_worker import Told
from finegrain.embeddings.shard import Shard
from finegrain.errors import UserError

# Fixtures of the export in shards.
__all__ = ["images", "plain"]


@pytest.mark.thorough
@pytest.mark.optional("ray")
def test_a_worker_is_killed_and_no_row_is_lost_or_doubled(
    start_script, drawn_data, images, plain, tmp_path
):
    process = start_script(
        *(EXPORT, "--data", drawn_data, "--images", images, *FLAGS, "--output", tmp_path),
        *("--engine", "ray", "--address", "local", "--worker-cpus", 1, "--shards", 8),
    )
    said, killed = [], None
    for line in process.stdout:
        said.append(line)
        ready = re.match(r"a worker is ready, process (\d+) on ", line)
        if ready and killed is None:
            # It has a shard to make by now, or will be found dead when it is given one.
            killed = int(ready[1])
            os.kill(killed, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    text = "".join(said)
    assert "a worker of Ray died at shard " in text
    made = re.findall(r"^shard (\d) of 8 is there, by process (\d+)", text, re.MULTILINE)
    assert sorted(int(number) for number, _ in made) == list(range(1, 9))
    assert killed not in [int(process) for _, process in made]
    check_same(plain, tmp_path)


class Died(Exception):
    """What Ray raises where a worker is dead."""


class Remote:
    """A worker that may die, or find something wrong; it answers when it is asked to."""

    def __init__(self, number, dies, error):
        self.number, self._dies, self._error = number, dies, error
        self.begin = SimpleNamespace(remote=lambda: lambda: self._told(None))
        self.write = SimpleNamespace(remote=lambda shard: lambda: self._told(shard.number))

    def _told(self, number):
        if self._dies(self.number, number):
            raise Died("lost\nits host went away")
        keys = [{"images": "other" if self._error == "other" else "own"}]
        mistake = "" if self._error == "other" else self._error
        return Told("host", self.number, mistake, () if number else keys)


def work(dies=lambda worker, number: False, error="", choose=lambda waiting: 0) -> int:
    """Make nine shards by three workers of a Ray that is none; the workers it took."""

    def wait(answers, num_returns):
        answers = list(answers)
        return [answers.pop(choose(len(answers)))], answers

    exceptions = SimpleNamespace(RayActorError=Died, OutOfMemoryError=MemoryError)
    ray = SimpleNamespace(wait=wait, get=lambda answer: answer(), exceptions=exceptions)
    numbers = itertools.count(1)
    shards = [Shard(number, 9) for number in range(1, 10)]
    Work(ray, lambda: Remote(next(numbers), dies, error), shards, [{"images": "own"}], 3).do()
    return next(numbers) - 1


@given(st.data(), st.sets(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20))
def test_each_shard_is_made_once_whoever_dies_when(data, deaths):
    written = []

    def dies(worker, number):
        if number and (worker, number) in deaths:
            return True
        written.extend([number] * (number is not None))
        return False

    try:
        work(dies, choose=lambda waiting: data.draw(st.integers(0, waiting - 1)))
    except UserError as error:
        assert "3 workers of Ray died at shard " in str(error)
        assert len(written) == len(set(written))
    else:
        assert sorted(written) == list(range(1, 10))


@pytest.mark.parametrize(
    "how, sentence",
    [
        ({"dies": lambda worker, number: number == 2}, "3 workers of Ray died at shard 2 of 9"),
        ({"dies": lambda worker, number: number is None}, r"as it began \(its host went away\)"),
        ({"error": "the disk is full"}, "the disk is full"),
        ({"error": "other"}, "host would export something else .* differs in: images"),
    ],
    ids=["a deadly shard", "no worker begins", "a mistake", "other photographs"],
)
def test_what_cannot_go_on_ends_in_one_sentence(how, sentence):
    with pytest.raises(UserError, match=sentence):
        work(**how)


def test_without_ray_the_sentence_says_what_to_install(script_here, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, _, errors = script_here(
        EXPORT, "--data", tmp_path, "--output", tmp_path / "out", "--engine", "ray"
    )
    assert status == 2 and "pip install -r requirements-ray.txt" in errors


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (("--engine", "ray", "--shard", "1/2"), "leave one of them out"),
        (("--engine", "ray", "--layout", "gap"), "which --engine ray does not make"),
        (("--shards", "3"), "go with --engine ray"),
    ],
)
def test_flags_that_do_not_go_together_get_one_sentence(script_here, tmp_path, flags, sentence):
    status, _, errors = script_here(EXPORT, "--data", tmp_path, "--output", tmp_path / "o", *flags)
    assert status == 2 and sentence in errors and errors.count("\n") == 1


@pytest.mark.optional("ray")
@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9", "127.0.0.1:x", "ray://a:1", ""])
def test_without_a_cluster_there_is_one_sentence(address):
    with (
        pytest.raises(UserError, match=f"no Ray cluster can be reached at --address {address} "),
        connected(address),
    ):
        pass
