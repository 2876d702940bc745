"""Divide photographs into train, valid and test: stratified, seeded, duplicates together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from finegrain.errors import UserError

SPLITS = ("train", "valid", "test")
# Beside them, images for retrieval only: of people that no split knows, seen by several cameras.
RETRIEVAL = ("query", "gallery")


def split_images(
    labels: Sequence[str],
    groups: Sequence[int],
    sha1: Sequence[str],
    valid_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """Assign each of N images to a split: N names out of `train`, `valid` and `test`.

    Each class gives the rounded fraction of its images, at least one, to valid (and to test); both
    fractions together must be below 1. `groups` are duplicates, `sha1` checksums of the images.
    Whole groups move, so with duplicates the count may fall short by less than the group that did
    not fit. A class with one group stays in train, one with two has nothing for test. Groups
    whose labels contradict each other go to train while others do, to keep the score clean.

    scikit-learn's splitters do not fit: none keeps groups together at a free fraction and
    promises every class a validation image. The draw depends on the images' checksums and the
    seed only, so neither the order of files nor their names matter, and photographs added later
    leave most of the split as it was.
    """
    check_fractions(valid_fraction, test_fraction)
    members = defaultdict(list)
    for image, group in enumerate(groups):
        members[group].append(image)
    # One for all images that are alone: of a million, each its own would take 300 MB.
    alone = {label: Counter([label]) for label in set(labels)}
    contents = {
        group: alone[labels[images[0]]]
        if len(images) == 1
        else Counter(labels[image] for image in images)
        for group, images in members.items()
    }
    draw = {group: _draw(seed, min(sha1[i] for i in images)) for group, images in members.items()}
    queue = sorted(members, key=lambda group: (len(contents[group]) > 1, draw[group]))

    def wanted(fraction: float) -> dict[str, int]:
        return {label: max(1, int(fraction * n + 0.5)) for label, n in Counter(labels).items()}

    test = _take(queue, contents, wanted(test_fraction), groups_left=2) if test_fraction else set()
    rest = [group for group in queue if group not in test]
    valid = _take(rest, contents, wanted(valid_fraction), groups_left=1)
    return ["test" if g in test else "valid" if g in valid else "train" for g in groups]


def check_fractions(valid_fraction: float, test_fraction: float) -> None:
    """Refuse fractions that together leave nothing to train on."""
    if valid_fraction + test_fraction >= 1:
        raise UserError(
            f"--valid-fraction {valid_fraction} and --test-fraction {test_fraction} leave nothing "
            "to train on; their sum must lie below 1"
        )


def _draw(seed: int, sha1: str) -> bytes:
    return hashlib.sha256(f"{seed} {sha1}".encode()).digest()


def _take(
    queue: list[int], contents: dict[int, Counter[str]], wanted: dict[str, int], groups_left: int
) -> set[int]:
    """Choose groups, first come first, that give what is wanted and leave so many of each class."""
    groups_of = defaultdict(list)
    for group in queue:
        for label in contents[group]:
            groups_of[label].append(group)
    remaining = {label: len(owned) for label, owned in groups_of.items()}
    given: Counter[str] = Counter()
    taken: set[int] = set()

    def take(group: int) -> bool:
        if group in taken or any(remaining[label] <= groups_left for label in contents[group]):
            return False
        taken.add(group)
        given.update(contents[group])
        remaining.update({label: remaining[label] - 1 for label in contents[group]})
        return True

    for label in sorted(groups_of):
        for group in groups_of[label]:
            if given[label] + contents[group][label] <= wanted[label]:
                take(group)
        if not given[label]:
            # Every group is larger than the share: the smallest that may go is nearest to it.
            by_size = sorted(groups_of[label], key=lambda g: (len(contents[g]), contents[g][label]))
            any(take(group) for group in by_size)
    return taken
