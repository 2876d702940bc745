"""The split is complete, stratified, repeatable, and never tears duplicates apart."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.datasets.split import split_images
from finegrain.errors import UserError


@st.composite
def image_sets(draw, conflicts: bool):
    """(labels, groups, sha1) of images in groups of one to four."""
    labels, groups = [], []
    for group in range(draw(st.integers(4, 60))):
        size = draw(st.sampled_from([1, 1, 1, 1, 2, 4]))
        label = draw(st.sampled_from("abcd"))
        for _ in range(size):
            odd = conflicts and draw(st.integers(0, 9)) == 0
            labels.append(draw(st.sampled_from("abcd")) if odd else label)
            groups.append(group)
    return labels, groups, [f"{number:040x}" for number in range(len(labels))]


FRACTIONS = st.tuples(st.sampled_from([0.05, 0.1, 0.25, 0.4]), st.sampled_from([0.0, 0.1, 0.3]))


@settings(max_examples=80, deadline=None)
@given(images=image_sets(conflicts=True), fractions=FRACTIONS, seed=st.integers(0, 99))
def test_complete_and_together_even_with_conflicts(images, fractions, seed):
    labels, groups, _ = images
    splits = split_images(*images, *fractions, seed)
    assert len(splits) == len(labels)
    assert set(splits) <= {"train", "valid", "test"}
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    in_train = {label for label, split in zip(labels, splits, strict=True) if split == "train"}
    assert in_train == set(labels)


@settings(max_examples=80, deadline=None)
@given(images=image_sets(conflicts=False), fractions=FRACTIONS, seed=st.integers(0, 99))
def test_each_class_gives_its_fraction(images, fractions, seed):
    labels, groups, _ = images
    splits = split_images(*images, *fractions, seed)
    groups_of, counts = defaultdict(set), defaultdict(Counter)
    for label, group, split in zip(labels, groups, splits, strict=True):
        groups_of[label].add(group)
        counts[label][split] += 1
    largest = max(Counter(groups).values())
    for label, count in counts.items():
        total = count.total()
        enough = {"valid": 2, "test": 3}
        for split, fraction in zip(("valid", "test"), fractions, strict=True):
            if fraction == 0 or len(groups_of[label]) < enough[split]:
                assert count[split] == 0
                continue
            assert count[split] >= 1
            assert count[split] <= max(fraction * total + 0.5, largest)
            if len(groups_of[label]) >= 12:
                assert count[split] > fraction * total - 0.5 - largest


@settings(max_examples=40, deadline=None)
@given(images=image_sets(conflicts=True), seed=st.integers(0, 99), data=st.data())
def test_the_order_of_files_does_not_matter(images, seed, data):
    labels, groups, sha1 = images
    order = data.draw(st.permutations(range(len(labels))))
    expected = dict(zip(sha1, split_images(labels, groups, sha1, 0.2, 0.1, seed), strict=True))
    renumbered = {group: 1000 - group for group in groups}
    shuffled = [[labels[i] for i in order], [renumbered[groups[i]] for i in order]]
    checksums = [sha1[i] for i in order]
    found = split_images(*shuffled, checksums, 0.2, 0.1, seed)
    # Groups drawn alike (none here: checksums differ) would be the only freedom.
    assert dict(zip(checksums, found, strict=True)) == expected


def test_without_duplicates_the_fraction_is_exact():
    labels = ["a"] * 100 + ["b"] * 33 + ["c"] * 4
    sha1 = [f"{number:040x}" for number in range(len(labels))]
    splits = split_images(labels, range(len(labels)), sha1, 0.1, 0.2, seed=1)
    count = Counter(zip(labels, splits, strict=True))
    assert [count[label, "valid"] for label in "abc"] == [10, 3, 1]
    assert [count[label, "test"] for label in "abc"] == [20, 7, 1]


def test_another_seed_is_another_split_and_more_photographs_keep_most_of_it():
    labels = ["a", "b"] * 100
    sha1 = [f"{number:040x}" for number in range(200)]
    valid = [
        {
            i
            for i, split in enumerate(split_images(labels, range(200), sha1, seed=seed))
            if split == "valid"
        }
        for seed in (0, 1)
    ]
    assert len(valid[0]) == len(valid[1]) == 20
    assert len(valid[0] & valid[1]) < 10
    fewer = split_images(labels[:190], range(190), sha1[:190], seed=0)
    assert len({i for i, split in enumerate(fewer) if split == "valid"} & valid[0]) >= 16


def test_conflicting_groups_train_where_others_can_be_tested():
    labels = ["a", "b"] * 3 + ["a"] * 10 + ["b"] * 10
    groups = [0, 0, 1, 1, 2, 2, *range(3, 23)]
    sha1 = [f"{number:040x}" for number in range(len(labels))]
    for seed in range(10):
        splits = split_images(labels, groups, sha1, 0.3, 0.2, seed)
        assert set(splits[:6]) == {"train"}


def test_fractions_that_leave_nothing_to_train_on():
    with pytest.raises(UserError, match="nothing to train on"):
        split_images(["a"], [0], ["0"], 0.5, 0.5)
