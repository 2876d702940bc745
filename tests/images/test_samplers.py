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
