"""One case of the campaign: what it tried and what fell."""

from dataclasses import dataclass, field

from hostile.process import Outcome

LAST_LINES = 12


@dataclass
class Case:
    """Attributes:
    told: what was tried, in one line.
    faults: what fell; empty where all held.
    output: last lines of the command that fell.
    """

    told: str
    faults: list[str] = field(default_factory=list)
    output: str = ""

    def add(self, faults: list[str], outcome: Outcome | None = None) -> None:
        """Note faults, with the end of the output of the command that has them."""
        self.faults += faults
        if faults and outcome is not None:
            text = outcome.stdout + outcome.stderr
            lines = "\n".join(text.splitlines()[-LAST_LINES:])
            self.output += f"$ {outcome.command}\n{lines}\n[{outcome.status}]\n"
