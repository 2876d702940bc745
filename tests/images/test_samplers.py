"""Each sampler shows every image, as often and with whom it says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.images.samplers import ClassBalanced, in_order, shuffled


def test_in_order_keeps_the_order():
    batches = in_order(np.zeros(7), 3, np.random.default_rng(0))
    assert [batch.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 99))
def test_shuffled_batches_are_a_permutation(count, batch_size, seed):
    batches = shuffled(np.zeros(count), batch_size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=60),
    st.integers(2, 12),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_balanced_batches_hold_k_of_each_class(labels, batch_size, per_class, seed):
    labels, sampler = np.array(labels), ClassBalanced(per_class)
    batches = sampler(labels, batch_size, np.random.default_rng(seed))
    for batch in batches:
        counts = np.unique(labels[batch], return_counts=True)[1]
        assert set(counts) == {per_class}
        assert len(counts) <= max(1, batch_size // per_class)
    assert set(np.concatenate(batches).tolist()) == set(range(len(labels)))
    again = sampler(labels, batch_size, np.random.default_rng(seed + 1))
    assert len(again) == len(batches)


def slow_balanced(labels, per_class, batch_size, rng):
    """The batches as they were dealt out with no thought for speed; runs repeat them to the bit."""
    groups = {}
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        filled = rng.choice(members, -len(members) % per_class)
        groups[label] = list(np.concatenate([members, filled]).reshape(-1, per_class))
    batches = []
    while groups:
        order = sorted(groups, key=lambda label: (-len(groups[label]), rng.random()))
        chosen = order[: max(1, batch_size // per_class)]
        batches.append(np.concatenate([groups[label].pop() for label in chosen]))
        groups = {label: queue for label, queue in groups.items() if queue}
    return [batches[index] for index in rng.permutation(len(batches))]


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=80),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(0, 999),
)
def test_balanced_batches_are_those_of_the_slow_way(labels, batch_size, per_class, seed):
    labels = np.array(labels)
    fast = ClassBalanced(per_class)(labels, batch_size, np.random.default_rng(seed))
    slow = slow_balanced(labels, per_class, batch_size, np.random.default_rng(seed))
    assert [batch.tolist() for batch in fast] == [batch.tolist() for batch in slow]
