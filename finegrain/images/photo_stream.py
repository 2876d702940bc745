"""Batches without end, read ahead in threads."""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

# Batches read ahead beyond the one each worker is at: hides an uneven disk, costs little memory.
BATCHES_AHEAD = 2


class Batches(Protocol):
    """Random access to the batches of any epoch."""

    def steps(self) -> int:
        """Batches an epoch."""

    def batch(self, epoch: int, step: int) -> tuple[Any, ...]:
        """Inputs and one-hot labels of one batch."""


class PhotoStream:
    """Iterator over the batches of one epoch after the other.

    Batches come in their order, whatever the number of workers, and a stream that starts at
    `first_batch` gives what one from the start would have given from there on.

    Args:
        batches: where they are read from.
        first_batch: number of batches to skip.
        workers: threads that read.

    Attributes:
        error: what the last `next()` raised, since frameworks that pull batches in threads of
            their own wrap errors beyond recognition.
    """

    def __init__(self, batches: Batches, first_batch: int = 0, workers: int = 2):
        self.error: Exception | None = None
        self._batches = batches
        self._steps = batches.steps()
        self._number = first_batch
        self._ahead = workers + BATCHES_AHEAD
        self._waiting: deque[Future[Any]] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="photos")
        self._closed = False

    def __iter__(self) -> "PhotoStream":
        return self

    def __next__(self) -> tuple[Any, ...]:
        with self._lock:
            if self._closed:
                raise StopIteration
            while len(self._waiting) < self._ahead:
                epoch, step = divmod(self._number, self._steps)
                self._waiting.append(self._pool.submit(self._batches.batch, epoch, step))
                self._number += 1
            first = self._waiting.popleft()
        try:
            return first.result()
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        """Stop reading; the iterator ends."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
