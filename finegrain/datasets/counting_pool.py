"""Count the pixel values of very many photographs with a pool of processes."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

import numpy as np

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError
from finegrain.read_ahead import progress, usable_cores

CHANNELS, VALUES = 3, 256
CHUNK_IMAGES = 32
# Chunks at work or waiting for each process, so that none stands idle.
CHUNKS_AHEAD = 3

# The name of a part and some of its images.
Chunk = tuple[str, list[Path]]


def count_in_processes(parts: dict[str, list[Path]], processes: int = 0) -> dict[str, np.ndarray]:
    """Count the values of several lists of images by name, with a progress bar on stderr.

    Only the images being decoded are in memory, one a process. With 0 `processes` there is one a
    core; with 1, or few images, this process does the work itself.

    Returns:
        name -> (3, 256) int64, see `count_values`.

    Raises:
        UserError: an image cannot be read, or the system ended a process of the pool.
    """
    counts = {name: np.zeros((CHANNELS, VALUES), np.int64) for name in parts}
    total = sum(map(len, parts.values()))
    processes = min(processes or usable_cores(), -(-total // CHUNK_IMAGES))
    with progress("measuring pixels", total) as bar:

        def add(chunk: Chunk, counted: np.ndarray) -> None:
            name, paths = chunk
            counts[name] += counted
            bar.update(len(paths))

        if processes > 1:
            _spread(_chunks(parts), processes, add)
        else:
            for chunk in _chunks(parts):
                add(chunk, count_values(chunk[1]))
    return counts


def count_values(paths: Iterable[Path]) -> np.ndarray:
    """How often red, green and blue have each value in some images at full size: (3, 256) int64.

    Raises:
        UserError: an image cannot be read.
    """
    counts = np.zeros(CHANNELS * VALUES, np.int64)
    for path in paths:
        try:
            counts += open_rgb(path).histogram()
        except UnreadableImage as error:
            raise UserError(
                f"{path} cannot be read any more ({error}); start the same command again, which "
                "leaves it out"
            ) from error
    return counts.reshape(CHANNELS, VALUES)


def _chunks(parts: dict[str, list[Path]]) -> Iterator[Chunk]:
    for name, paths in parts.items():
        for start in range(0, len(paths), CHUNK_IMAGES):
            yield name, paths[start : start + CHUNK_IMAGES]


def _spread(
    chunks: Iterator[Chunk], processes: int, add: Callable[[Chunk, np.ndarray], None]
) -> None:
    # Fresh interpreters, since the fork of a process that has threads may hang.
    fresh = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, fresh, _start_worker)
    at_work: dict[Future[np.ndarray], Chunk] = {}
    try:
        while True:
            for chunk in islice(chunks, CHUNKS_AHEAD * processes - len(at_work)):
                with _ctrl_c_held():
                    at_work[executor.submit(count_values, chunk[1])] = chunk
            if not at_work:
                break
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                add(at_work.pop(future), future.result())
    except BrokenProcessPool as error:
        raise UserError(
            "the system ended a process that measured pixels, probably for want of memory; start "
            "again with fewer --workers"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Ctrl-C has to wait for the end of this, and processes started in it never hear of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *call: heard.append(call))
    blocks = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocks else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if heard and callable(before):
            before(*heard[0])


def _start_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Where the parent is killed, a worker would otherwise wait for images for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
