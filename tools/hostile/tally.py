"""What was tried and what fell, counted and told."""

import json
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from hostile.case import Case
from hostile.kinds import KINDS

# Seconds between lines of progress.
EVERY = 10


@dataclass
class Tally:
    """Args:
    log: JSON lines of all cases are added to this file, if given.
    """

    log: Path | None = None
    tried: Counter = field(default_factory=Counter)
    fell: Counter = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def add(self, kind: str, seed: int, case: Case) -> None:
        """Count a case; one that fell is told at once, with the line that repeats it."""
        self.tried[kind] += 1
        if case.faults:
            self.fell[kind] += 1
            print(f"\nfell     {kind}: {case.told}")
            for fault in case.faults:
                print(f"  {fault}")
            print("".join(f"    {line}\n" for line in case.output.splitlines()), end="")
            print(f"  again: {repeat_line(kind, seed)}\n", flush=True)
        if self.log is not None:
            line = {"case": f"{kind}:{seed}", "told": case.told, "faults": case.faults}
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if time.monotonic() - self.told > EVERY:
            self.told = time.monotonic()
            counts = ", ".join(f"{kind} {self._count(kind)}" for kind in self.tried)
            print(f"{self.told - self.started:6.0f} s  {counts}", flush=True)

    def has_all(self, kinds: Collection[str]) -> bool:
        """Whether each of these kinds, or of all where there are none, has been tried."""
        return all(self.tried[kind] for kind in kinds or KINDS)

    def _count(self, kind: str) -> str:
        return f"{self.tried[kind]}" + (f" ({self.fell[kind]} fell)" if self.fell[kind] else "")

    def table(self) -> str:
        """A line a kind: how many were tried, how many fell."""
        lines = [f"{'kind':12} {'tried':>7} {'fell':>7}"]
        lines += [f"{kind:12} {self.tried[kind]:7} {self.fell[kind]:7}" for kind in KINDS]
        lines.append(f"{'all':12} {self.tried.total():7} {self.fell.total():7}")
        return "\n".join(lines)


def repeat_line(kind: str, seed: int) -> str:
    """The command that repeats one case."""
    return f"python tools/campaign.py --case {kind}:{seed}"
