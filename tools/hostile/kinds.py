"""The kinds of cases, and the order in which a campaign goes through them."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from hostile import bad_values, damaged_photographs, full_disk, kills, tampering, two_at_once
from hostile.case import Case
from hostile.world import World

# Which attack, and how many of them in a round.
KINDS: dict[str, tuple[Callable[[World, np.random.Generator], Case], int]] = {
    "bad-values": (bad_values.attack, 8),
    "tampering": (tampering.attack, 8),
    "kills": (kills.attack, 3),
    "mutants": (damaged_photographs.attack, 2),
    "full-disk": (full_disk.attack, 2),
    "two-at-once": (two_at_once.attack, 2),
}
# A campaign's n-th case of a kind has the seed: this times the campaign's, plus n.
APART = 1_000_000


def case_names(seed: int) -> Iterator[tuple[str, int]]:
    """Kind and seed of every case of a campaign, without end; first one of each kind."""
    counts = dict.fromkeys(KINDS, 0)
    for kind in itertools.chain(KINDS, itertools.cycle(one_round())):
        yield kind, seed * APART + counts[kind]
        counts[kind] += 1


def one_round() -> list[str]:
    """Every kind as often as its weight says, spread evenly."""
    places = [
        ((number + 0.5) / weight, kind)
        for kind, (_, weight) in KINDS.items()
        for number in range(weight)
    ]
    return [kind for _, kind in sorted(places)]


def run_case(world: World, kind: str, seed: int) -> Case:
    """Run the case that this name stands for."""
    return KINDS[kind][0](world, np.random.default_rng(seed))
