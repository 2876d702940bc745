"""Work done ahead by threads, its results in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_ahead(
    function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int
) -> Generator[R, None, None]:
    """Yield `function(item)` of each item, in order, computed ahead by threads.

    Memory holds at most `ahead` results beside the one handed out, however many items there are.
    When the iterator ends, fails, is closed or is dropped, what has not begun never begins, and
    what has is waited for: the function's files may be closed then.

    Args:
        function: runs in several threads at a time.
        items: taken one by one in the caller's thread; may be endless.
        workers: threads.
        ahead: results under way or waiting, at least 1; `workers + 1` keeps all threads busy.

    Raises:
        Exception: what the function raised, where its result would have come.
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
