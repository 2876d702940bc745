"""Work done ahead by threads, its results in order."""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

# Of images at work or waiting, for each thread; and the threads that are worth their memory.
AHEAD_A_THREAD, MOST_THREADS = 8, 16

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """Threads to read images with: one for each core, but no more than are worth their memory."""
    return min(usable_cores(), MOST_THREADS)


def read_ahead(
    function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int
) -> Generator[R, None, None]:
    """Yield `function(item)` of each item, in order, computed ahead by threads.

    Memory holds at most `ahead` results, one or more, beside the one handed out; `workers + 1`
    keeps all threads busy. The items are taken one by one in the caller's thread and may be
    endless. What the function raises is raised where its result would have come. When the iterator
    ends, fails, is closed or is dropped, what has not begun never begins, and what has is waited
    for: the function's files may be closed then.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read-ahead")
    waiting: deque[Future[R]] = deque()
    try:
        waiting.extend(pool.submit(function, item) for item in islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def progress(what: str, total: int, items: Iterable[T] | None = None) -> "tqdm[T]":
    """A bar on stderr that counts images, none where there are none."""
    # On a terminal the bar moves; in a log file it adds a line now and then.
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(items, what, total, unit=" images", mininterval=interval, disable=not total)


def over_images(
    function: Callable[[T], R], images: Sequence[T], what: str, workers: int | None = None
) -> Iterator[R]:
    """Read ahead as `read_ahead` does, with a progress bar on stderr.

    Pillow decodes outside Python's lock. None is one thread a core, sixteen at most.
    """
    workers = workers or default_workers()
    with closing(read_ahead(function, images, workers, AHEAD_A_THREAD * workers)) as coming:
        yield from progress(what, len(images), coming)
