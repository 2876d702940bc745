"""The shards of an export, made by the machines of a Ray cluster.

A worker holds the networks and makes one shard after the other. A shard is the file that
`export_features.py --shard` makes, so a worker that dies loses what it computed in some seconds:
another one goes on with its file. Ray is an optional requirement.
"""

import contextlib
import math
import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from finegrain.embeddings.export_file import Export
from finegrain.embeddings.ray_worker import Prepare, ShardWriter, Told, keys_of_all
from finegrain.embeddings.shard import MOST_SHARDS, Shard, check_ray
from finegrain.embeddings.source import EmbeddingSource
from finegrain.errors import UserError, one_line

AUTO, LOCAL = "auto", "local"
SECONDS_TO_ANSWER = 10
# So long that starting on one costs little, so short that all machines end at nearly one time.
PHOTOGRAPHS_A_SHARD = 5_000
# A shard at which so many workers died is what kills them.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Cluster:
    """Which Ray cluster makes the shards.

    Attributes:
        address: HOST:PORT of the cluster; `auto` for the one that this machine is part of; `local`
            to start one of this machine alone.
        worker_cpus: cores a worker; None for all those of the smallest machine.
    """

    address: str
    worker_cpus: int | None = None


def shards_for(export: Export) -> int:
    """How many shards suit an export, the same each time."""
    photographs = sum(len(photos.paths) for photos in export.photos.values())
    return min(MOST_SHARDS, max(1, math.ceil(photographs / PHOTOGRAPHS_A_SHARD)))


def export_on_ray(
    prepare: Prepare, export: Export, sources: Sequence[EmbeddingSource], of: int, cluster: Cluster
) -> list[list[Path]]:
    """Have the machines of a cluster make all shards of an export; the files of each source.

    Those that are finished are kept, those that are not are gone on with. All machines see the
    photographs and the folder of the export at the same paths.

    Args:
        prepare: gives `export` and `sources` on another machine, started in the same folder.
        of: number of shards.

    Raises:
        UserError: there is no such cluster, a machine would export something else than this one,
            workers die again and again, or what `export_embeddings` raises on any of them.
    """
    shards = [Shard(number, of) for number in range(1, of + 1)]
    keys = keys_of_all(export, sources)
    with connected(cluster.address) as ray:
        cores, workers = _workers(ray, cluster, of)
        print(f"Ray: {workers} workers of {cores} cores each make {of} shards", flush=True)
        start = ray.remote(ShardWriter).options(num_cpus=cores).remote
        Work(ray, lambda: start(prepare, os.getcwd(), cores), shards, keys, workers).do()
    return [[replace(export, shard=shard).path(source) for shard in shards] for source in sources]


@contextlib.contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """The module `ray`, which does not report its use, connected to a cluster."""
    check_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        quiet["include_dashboard"] = False
    try:
        _check_there(address)
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster can be reached at --address {address} ({one_line(error)}); start one "
            "with `ray start --head`, or give --address local for this machine alone"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_there(address: str) -> None:
    """Raise an error where nothing listens at HOST:PORT, which Ray tries for minutes."""
    if address not in (AUTO, LOCAL):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or len(port) > 5 or "/" in host:
            raise ValueError("it is none of auto, local and HOST:PORT")
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()


def _workers(ray: ModuleType, cluster: Cluster, most: int) -> tuple[int, int]:
    """Cores of a worker, and how many workers the cluster has room for."""
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    machines = [cores for cores in machines if cores]
    cores = cluster.worker_cpus or min(machines, default=1)
    workers = sum(there // cores for there in machines)
    if not workers:
        raise UserError(
            f"no machine of the Ray cluster has the {cores} cores that a worker takes; give fewer "
            "--worker-cpus"
        )
    return cores, min(workers, most)


@dataclass
class Work:
    """Shards given to workers until all are there; dead workers are replaced."""

    ray: ModuleType
    start: Callable[[], Any]
    shards: Sequence[Shard]
    keys: list[dict[str, Any]]
    workers: int
    # Reference of Ray's to an answer -> the worker that will give it, and the shard it makes.
    _running: dict[Any, tuple[Any, Shard | None]] = field(default_factory=dict, init=False)
    _deaths: Counter[Shard | None] = field(default_factory=Counter, init=False)

    def do(self) -> None:
        """Make all shards."""
        waiting, left, idle = deque(self.shards), len(self.shards), []
        for _ in range(self.workers):
            self._add_worker()
        while left:
            (answer,), _ = self.ray.wait(list(self._running), num_returns=1)
            worker, shard = self._running.pop(answer)
            try:
                told = self.ray.get(answer)
            except (self.ray.exceptions.RayActorError, self.ray.exceptions.OutOfMemoryError) as end:
                self._count_death(shard, one_line(end))
                if shard is not None:
                    waiting.appendleft(shard)
                self._add_worker()
            else:
                self._check(told)
                left -= shard is not None
                print(_line(told, shard), flush=True)
                idle.append(worker)
            while waiting and idle:
                worker, shard = idle.pop(), waiting.popleft()
                self._running[worker.write.remote(shard)] = worker, shard

    def _add_worker(self) -> None:
        # Where there is no room for it Ray lets it wait, and the others do its work.
        worker = self.start()
        self._running[worker.begin.remote()] = worker, None

    def _check(self, told: Told) -> None:
        if told.error:
            raise UserError(told.error)
        for own, there in zip(self.keys, told.keys, strict=bool(told.keys)):
            differing = [name for name in {**own, **there} if own.get(name) != there.get(name)]
            if differing:
                raise UserError(
                    f"{told.host} would export something else than this machine (it differs in: "
                    f"{', '.join(differing)}); give it the same photographs, times of change "
                    "included, and the same packages"
                )

    def _count_death(self, shard: Shard | None, reason: str) -> None:
        self._deaths[shard] += 1
        what = "as it began" if shard is None else f"at shard {shard}"
        if self._deaths[shard] >= MOST_DEATHS:
            raise UserError(
                f"{MOST_DEATHS} workers of Ray died {what} ({reason}); look into Ray's logs, since "
                "they may lack memory or packages; what is finished is kept"
            )
        print(f"notice: a worker of Ray died {what}; another one goes on", flush=True)


def _line(told: Told, shard: Shard | None) -> str:
    where = f"process {told.process} on {told.host}"
    return f"a worker is ready, {where}" if shard is None else f"shard {shard} is there, by {where}"
