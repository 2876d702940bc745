"""Parts of the modern recipe, each taken away or added, and the table of what they save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from side_by_side.reached import MODERN_FOLDER, Reached, baseline, finished
from side_by_side.spread import spread

MODERN = "the modern recipe"
BASELINE = "logistic regression on frozen embeddings"
SOFTMAX = "single_model.py"


@dataclass(frozen=True)
class Row:
    """One training beside the modern recipe's.

    Attributes:
        name: of the part.
        flags: what differs from the modern recipe.
        taken_away: whether the recipe has the part and the row has not; else it is added.
        script: that trains; that of answers asks the modern recipe's run in another way.
    """

    name: str
    flags: dict[str, Any] = field(default_factory=dict)
    taken_away: bool = False
    script: str = SOFTMAX

    @property
    def folder(self) -> str:
        """Name of its runs' folders."""
        words = [Path(self.script).stem] if self.script != SOFTMAX else []
        words += [f"{key}-{value}" for key, value in self.flags.items()]
        return "-".join(words) or MODERN_FOLDER


def parts_table(rows: Sequence[Row], places: Mapping[tuple[str, int], Path]) -> str:
    """Every row that is finished for some set, best first, as a Markdown table.

    Args:
        rows: the modern recipe first.
        places: (name of a set, seed) -> folder of its runs.
    """
    names = list(dict.fromkeys(name for name, _ in places))
    seeds = list(dict.fromkeys(seed for _, seed in places))
    table = {
        (row.name, *at): finished(here / row.folder) for row in rows for at, here in places.items()
    }
    table |= {(BASELINE, *at): baseline(here / MODERN_FOLDER) for at, here in places.items()}
    lines = [
        f"| part | {' | '.join(names)} | saved, validation | saved, test | seconds |",
        f"|---|{'---|' * len(names)}---|---|---|",
    ]
    every = [*rows, Row(BASELINE, taken_away=True)]
    parts = [Part.of(row, names, seeds, table) for row in every]
    first, *others = [part for part in parts if part.pairs]
    others.sort(key=lambda part: part.saved_a_second, reverse=True)
    return "\n".join([*lines, *(part.line(names) for part in [first, *others])]) + "\n"


@dataclass(frozen=True)
class Part:
    """A row beside the modern recipe.

    Attributes:
        pairs: set -> for each seed that is finished in both, what the row and the recipe reached.
    """

    row: Row
    pairs: dict[str, list[tuple[Reached, Reached]]]

    @classmethod
    def of(
        cls,
        row: Row,
        names: Sequence[str],
        seeds: Sequence[int],
        table: Mapping[tuple[str, str, int], Reached | None],
    ) -> "Part":
        """Take together what is finished."""
        pairs: dict[str, list[tuple[Reached, Reached]]] = {}
        for name in names:
            both = [(table[row.name, name, seed], table[MODERN, name, seed]) for seed in seeds]
            done = [(here, there) for here, there in both if here and there]
            if done:
                pairs[name] = done
        return cls(row, pairs)

    def saved(self, split: str) -> list[float]:
        """By how much the part lowers the error: for each seed, the mean over the sets."""
        sign = 1 if self.row.taken_away else -1
        count = min(len(done) for done in self.pairs.values())
        return [
            mean(
                sign * (getattr(here, split) - getattr(there, split))
                for here, there in (done[seed] for done in self.pairs.values())
            )
            for seed in range(count)
        ]

    @property
    def seconds(self) -> float:
        """Of what has the part, mean over sets and seeds."""
        which = 1 if self.row.taken_away else 0
        return mean(pair[which].seconds for done in self.pairs.values() for pair in done)

    @property
    def saved_a_second(self) -> float:
        """What the table is sorted by."""
        return mean(self.saved("test")) / self.seconds

    def line(self, names: Sequence[str]) -> str:
        """Of the Markdown table: test errors of each set, then what the part saves."""
        errors = [
            spread([here.test for here, _ in self.pairs[name]]) if name in self.pairs else "-"
            for name in names
        ]
        what = f"{'without' if self.row.taken_away else 'with'} {self.row.name}"
        saved = [spread(self.saved(split), sign="+") for split in ("valid", "test")]
        if self.row.name in (MODERN, BASELINE):
            what = self.row.name
        if self.row.name == MODERN:
            saved = ["", ""]
        return f"| {' | '.join([what, *errors, *saved])} | {self.seconds:.0f} |"
