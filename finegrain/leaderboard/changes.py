"""What a candidate that trains changes of the modern recipe."""

from dataclasses import asdict, dataclass

from finegrain.leaderboard.answers import Candidate
from finegrain.leaderboard.variant import Variant


@dataclass(frozen=True)
class Changes:
    """What a candidate has other than `--recipe modern`; fields are flags of that name."""

    unfrozen_epochs: int = 12
    unfrozen_learning_rate: float = 3e-4
    label_smoothing: float = 0.1
    dropout: float = 0.3
    weight_decay: float = 0.02
    pair_loss: str = "none"
    pooling: str = "mean"
    neck: str = "none"

    @property
    def told(self) -> str:
        """For the user, what is changed; empty where nothing is."""
        changed = {
            name: value for name, value in asdict(self).items() if value != getattr(Changes(), name)
        }
        return ", ".join(
            f"{name.removeprefix('unfrozen_').replace('_', ' ')} "
            f"{value if isinstance(value, str) else format(value, 'g')}"
            for name, value in changed.items()
        )


def candidate_of(variant: Variant, changes: Changes) -> Candidate:
    """The candidate that trains a backbone so."""
    told = f" with {changes.told}" if changes.told else ""
    name = f"{variant.name}, last blocks, modern recipe{told}"
    return Candidate(name, {"kind": "tuned", **variant.recorded, **asdict(changes)})
