"""The folder in which every case happens: photographs, data sets, runs, stores and exports.

It is made once, kept aside, and put back before every case, always at the same place, so that
paths which stand inside files lead where they should.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hostile.child import Strike
from hostile.fingerprint import fingerprint, outline, raw_digests
from hostile.photographs import lay_out_photographs
from hostile.process import Command, Outcome, Running, start
from hostile.scenarios import Scenario, base_scenarios
from hostile.verdict import faults_of

# Below the work folder, so that ../.. of the world stays in it.
PLACE = "some/way/down/world"
BLOCK = 4096
LEAST_SECONDS, TIMES_UNDISTURBED = 60.0, 10.0


@dataclass(frozen=True)
class Undisturbed:
    """What commands make of the world when nobody is in their way.

    Attributes:
        result: fingerprint of the world afterwards.
        outline: of the world afterwards.
        outcomes: one a command.
        made_bytes: that new and changed files take on a disk.
    """

    result: dict[str, str]
    outline: dict[str, str]
    outcomes: tuple[Outcome, ...]
    made_bytes: int

    @property
    def seconds(self) -> float:
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def operations(self) -> int:
        return self.outcomes[-1].operations or 1


@dataclass
class World:
    """Args:
    work: folder of the campaign, which it has for itself.
    most_gigabytes: of memory that a command may take.
    """

    work: Path
    most_gigabytes: float = 6.0
    before: dict[str, str] = field(default_factory=dict)
    _started: list[Running] = field(default_factory=list)
    _undisturbed: dict[tuple[str, ...], Undisturbed] = field(default_factory=dict)

    @property
    def here(self) -> Path:
        return self.work / PLACE

    @property
    def base(self) -> Path:
        return self.work / "base"

    def make(self) -> list[Outcome]:
        """Draw photographs and let the project's own commands make the rest.

        Returns:
            the commands that failed, whose products no case can attack.
        """
        self.here.mkdir(parents=True)
        lay_out_photographs(self.here)
        failed = []
        for scenario in base_scenarios():
            outcome = self.run(scenario.command)
            if outcome.status or faults_of(outcome):
                failed.append(outcome)
        shutil.copytree(self.here, self.base, symlinks=True)
        self.before = raw_digests(self.base)
        return failed

    def reset(self) -> None:
        """Put the world back as it was made."""
        self.clear()
        self.fill()

    def clear(self) -> None:
        """An empty folder in the world's place."""
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir(parents=True, exist_ok=True)

    def fill(self) -> None:
        """Everything back into the empty folder."""
        shutil.copytree(self.base, self.here, symlinks=True, dirs_exist_ok=True)

    def start(
        self, command: Command, strike: Strike | None = None, most_bytes: int = 0, slot: int = 0
    ) -> Running:
        """Start a command in the world; `slot` tells those that run at once apart."""
        running = start(command, self.here, self.work / f"log-{slot}", strike, most_bytes)
        self._started = [*(each for each in self._started if not each.ended), running]
        return running

    def close(self) -> None:
        """End what still runs."""
        for running in self._started:
            running.end()

    def run(
        self,
        command: Command,
        limit: float = LEAST_SECONDS,
        most_bytes: int = 0,
        patience: float = 0.0,
        even_silent: bool = False,
    ) -> Outcome:
        running = self.start(command, most_bytes=most_bytes)
        return running.wait(limit, self.most_gigabytes, patience=patience, even_silent=even_silent)

    def limit(self, *scenarios: Scenario) -> float:
        """Seconds after which one of these commands hangs."""
        return max(LEAST_SECONDS, TIMES_UNDISTURBED * self.undisturbed(*scenarios).seconds)

    def undisturbed(self, *scenarios: Scenario) -> Undisturbed:
        """What these commands make, one after the other, computed at the first call.

        The world is as it was made afterwards.
        """
        names = tuple(scenario.name for scenario in scenarios)
        if names not in self._undisturbed:
            self.reset()
            outcomes = tuple(self.run(each.command, 600) for each in scenarios)
            after = raw_digests(self.here)
            made = [path for path in after if after[path] != self.before.get(path)]
            self._undisturbed[names] = Undisturbed(
                fingerprint(self.here),
                outline(self.here),
                outcomes,
                _bytes_on_disk(self.here, made),
            )
            self.reset()
        return self._undisturbed[names]


def _bytes_on_disk(folder: Path, paths: Iterable[str]) -> int:
    sizes = [(folder / path).stat().st_size for path in paths if (folder / path).is_file()]
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)
