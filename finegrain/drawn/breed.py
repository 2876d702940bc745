"""The breeds of the drawn data set: one body plan, told apart by small parts."""

import itertools
from dataclasses import asdict, dataclass, replace

import numpy as np

# The choices for each part. Order matters: `all_breeds` numbers the combinations by it.
PARTS: dict[str, tuple[str, ...]] = {
    "ear": ("pointed", "round", "folded", "hanging", "long"),
    "tail": ("curled", "sickle", "low", "plume", "stub"),
    "coat": ("plain", "spots", "bands", "saddle", "belly", "socks"),
    "legs": ("short", "medium", "long"),
    "snout": ("blunt", "medium", "long"),
    "trunk": ("compact", "stretched"),
}

# Each line: the parts of a family's first breed, then the one part that each sibling changes.
_DEMO_FAMILIES: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
    ("pointed curled plain medium medium compact", {"ear": "folded"}, {"ear": "round"}),
    ("hanging low saddle medium long compact", {"snout": "medium"}, {"legs": "long"}),
    ("round plume spots short blunt stretched", {"ear": "pointed"}, {"snout": "medium"}),
    ("long stub bands long medium compact", {"snout": "long"}, {"tail": "low"}),
)

_SHUFFLE_SEED = 2017


@dataclass(frozen=True)
class Breed:
    """What makes a class, from the choices in `PARTS`; all else in its pictures is nuisance."""

    ear: str
    tail: str
    coat: str
    legs: str
    snout: str
    trunk: str

    def __post_init__(self) -> None:
        for part, choice in asdict(self).items():
            if choice not in PARTS[part]:
                raise ValueError(f"{part} must be one of {PARTS[part]}. Received: {choice!r}")


def all_breeds() -> list[Breed]:
    """Every combination of parts (2700) in a fixed shuffled order."""
    breeds = [Breed(*choices) for choices in itertools.product(*PARTS.values())]
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(breeds))
    return [breeds[i] for i in order]


def type_id(breed: Breed) -> int:
    """The breed's number in file names: four digits, the same in every run."""
    place = 0
    for part, choice in asdict(breed).items():
        place = place * len(PARTS[part]) + PARTS[part].index(choice)
    return 1000 + place


def demo_breeds() -> list[Breed]:
    """Four families of three, whose siblings differ from the first breed in exactly one part."""
    breeds = []
    for parts, *changes in _DEMO_FAMILIES:
        first = Breed(*parts.split())
        breeds += [first, *(replace(first, **change) for change in changes)]
    return breeds


def pretraining_breeds(count: int | None = None) -> list[Breed]:
    """Breeds to pretrain on: all that the demo does not use, or the first `count` of them."""
    demo = set(demo_breeds())
    return [breed for breed in all_breeds() if breed not in demo][:count]
