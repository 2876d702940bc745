"""Where our seconds go, and what ratio the machine allows at most."""

from dataclasses import dataclass
from typing import Any

from side_by_side.plan import FROZEN, RETRAINED, UNFROZEN
from side_by_side.table import digits

HEADER = (
    "| stage | first coded, s | ours, s | filling | epochs | passes that must be | ratio "
    "| at most |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Share:
    """Where the seconds of one of our stages go.

    Attributes:
        stage: its name.
        theirs: seconds of the recipe as first coded.
        ours: seconds of ours: filling stores, then epochs (training steps, validation,
            checkpoints).
        epochs: those of the epochs alone.
        passes: images that must pass what stands still, once each.
        rate: images a second of the fastest engine there.
        part: `whole` or `below`, the part of the backbone that they must pass.
    """

    stage: str
    theirs: float
    ours: float
    epochs: float
    passes: int
    rate: float
    part: str

    @property
    def most(self) -> float:
        """The ratio, were filling nothing but those passes at that rate."""
        return self.theirs / (self.passes / self.rate + self.epochs)

    def line(self) -> str:
        """A row in Markdown."""
        filling = self.ours - self.epochs
        shares = [f"{part:.1f} s, {part / self.ours:.0%}" for part in (filling, self.epochs)]
        must = f"{self.passes} of {self.part} at {digits(self.rate)}/s" if self.passes else "none"
        cells = [
            self.stage,
            f"{self.theirs:.1f}",
            f"{self.ours:.1f}",
            *shares,
            must,
            f"{self.theirs / self.ours:.1f}",
            f"{self.most:.1f}",
        ]
        return f"| {' | '.join(cells)} |"


def shares_of(
    theirs: dict[str, Any], ours: dict[str, Any], rates: dict[str, dict[str, float]], views: int
) -> list[Share]:
    """The shares of each stage of a run.

    Args:
        theirs, ours: the same training of both sides, as `Plan` reads them.
        rates: engine -> part of the backbone -> images a second.
        views: stored views an image of stage 1.
    """
    train, valid = (theirs["images"][split] for split in ("train", "valid"))
    # What stage 2 has stored is there for stage 3.
    must = {
        FROZEN: ("whole", views * train + valid),
        UNFROZEN: ("below", train + valid),
        RETRAINED: ("below", 0),
    }
    shares = []
    for stage, numbers in ours["stages"].items():
        part, passes = must[stage]
        shares.append(
            Share(
                stage,
                theirs["stages"][stage]["seconds"],
                numbers["seconds"],
                sum(numbers["epoch_seconds"]),
                passes,
                max(engine[part] for engine in rates.values()),
                part,
            )
        )
    return shares


def profile_text(
    titles_and_shares: dict[str, list[Share]],
    rates: dict[str, dict[str, float]],
    around: float,
    wall: float,
) -> str:
    """The profile as Markdown.

    Args:
        titles_and_shares: what was trained -> its shares.
        rates: as for `shares_of`.
        around: seconds of our processes outside the stages: imports, building the model,
            measuring the validation error, saving.
        wall: seconds of our processes in all.
    """
    lines = ["| forward, images a second | whole backbone | below the boundary |", "|---|---|---|"]
    lines += [
        f"| {engine} | {digits(numbers['whole'])} | {digits(numbers['below'])} |"
        for engine, numbers in rates.items()
    ]
    for title, shares in titles_and_shares.items():
        lines += ["", f"{title}:", "", HEADER, *(share.line() for share in shares)]
    lines += [
        "",
        (
            f"Our processes of the three stages took {wall:.1f} s, of which {around:.1f} s "
            f"({around / wall:.0%}) outside the stages: imports, building the model, the "
            'validation error, saving. "At most" is the ratio if filling took no longer than the '
            "passes that must be made, at the rate of the fastest engine above."
        ),
    ]
    return "\n".join(lines) + "\n"
