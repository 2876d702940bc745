"""The minutes of a search."""

import time
from dataclasses import dataclass, field

# Kept back for the end: the last ensemble, the submission and the page.
FOR_THE_END = 10.0


class OutOfTime(Exception):
    """The minutes are over before something is finished."""

    def __str__(self) -> str:
        return "the minutes are over"


@dataclass
class Clock:
    """How much time is left of so many seconds; None is without end.

    Attributes:
        before: seconds that earlier sittings took; each has its own minutes.
        reserved: seconds kept back for the single model, beside those for the end.
    """

    seconds: float | None
    before: float = 0.0
    reserved: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def passed(self) -> float:
        """Seconds since the search began, without the time between its sittings."""
        return self.before + self._here()

    def left(self) -> float:
        """Seconds until the end is to be made ready."""
        if self.seconds is None:
            return float("inf")
        return self.seconds - self._here() - self.reserved - FOR_THE_END

    def _here(self) -> float:
        return time.monotonic() - self.started

    def fits(self, seconds: float) -> bool:
        """Whether something that takes so long can still be begun."""
        return seconds <= self.left()

    def check(self) -> None:
        """Raise `OutOfTime` where the end is to be made ready."""
        if not self.fits(0):
            raise OutOfTime
