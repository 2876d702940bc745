"""A process of Ray's that makes shards of an export; what starts it is in `ray_shards`."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import SHARD, Export, export_key
from finegrain.embeddings.shard import Shard
from finegrain.embeddings.source import EmbeddingSource
from finegrain.errors import UserError
from finegrain.features.probe import Judged
from finegrain.inference.opened import Inference
from finegrain.quiet import load_keras
from finegrain.read_ahead import MOST_THREADS

# Gives what is exported and by which networks, on any machine.
Prepare: TypeAlias = Callable[[], tuple[Export, Sequence[EmbeddingSource]]]


def keys_of_all(export: Export, sources: Sequence[EmbeddingSource]) -> list[dict[str, Any]]:
    """What the shards of each source have in common."""
    keys = [export_key(replace(export, shard=Shard(1, 1)), source) for source in sources]
    return [{name: value for name, value in key.items() if name != SHARD} for key in keys]


@dataclass(frozen=True)
class Told:
    """What a worker answers: where it runs, the sentence for the user if it failed, its keys."""

    host: str
    process: int
    error: str = ""
    keys: Sequence[dict[str, Any]] = ()


class ShardWriter:
    """Makes shards, in a process of Ray's; its networks are loaded and compiled once."""

    def __init__(self, prepare: Prepare, folder: str, threads: int):
        # As many as Ray counts with, where several workers share a machine.
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(name, str(threads))
        self._prepare, self._folder = prepare, folder
        self._threads = min(threads, MOST_THREADS)
        self._export: Export | None = None
        self._sources: list[EmbeddingSource] = []

    def begin(self) -> Told:
        """Load what a shard needs."""
        return self._telling(lambda: keys_of_all(self._prepared(), self._sources))

    def write(self, shard: Shard) -> Told:
        """Make a shard, or go on with one."""

        def make() -> Sequence[dict[str, Any]]:
            export = replace(self._prepared(), shard=shard)
            export_embeddings(export, self._sources, self._threads)
            return ()

        return self._telling(make)

    def _prepared(self) -> Export:
        if self._export is None:
            if not os.path.isdir(self._folder):
                raise UserError(
                    f"{self._folder} is not there on {platform.node()}; all machines of a "
                    "cluster need it, the photographs and --output at the same paths"
                )
            os.chdir(self._folder)
            load_keras()
            self._export, sources = self._prepare()
            self._sources = [opened_once(source) for source in sources]
        return self._export

    def _telling(self, make: Callable[[], Sequence[dict[str, Any]]]) -> Told:
        told = Told(platform.node(), os.getpid())
        try:
            return replace(told, keys=make())
        except UserError as error:
            return replace(told, error=f"{error} (on {told.host})")


def opened_once(source: EmbeddingSource) -> EmbeddingSource:
    """The same source, whose engine is opened for the first file and serves all further ones."""
    opened: list[Inference] = []

    def engine(
        openvino: bool, images: int, judged: Judged | None
    ) -> Callable[[np.ndarray], Inference]:
        def open_or_take(pixels: np.ndarray) -> Inference:
            if not opened:
                opened.append(source.engine(openvino, images, judged)(pixels))
            return opened[0]

        return open_or_take

    return replace(source, engine=engine)
