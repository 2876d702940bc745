"""The exact search, against sorting all distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.embeddings.nearest import nearest, unit_rows


def reference(index, query, k):
    """Sort by distance, then by row; what has no direction is at a right angle to all."""
    rows = []
    for asked in query.astype("float64"):
        distances = []
        for place, known in enumerate(index.astype("float64")):
            lengths = np.linalg.norm(asked) * np.linalg.norm(known)
            distances.append((1 - (asked @ known / lengths if lengths else 0), place))
        rows.append(sorted(distances)[:k])
    return np.array(rows)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.integers(1, 50))
def test_as_sorting_all_of_them(seed, count, block, k):
    rng = np.random.default_rng(seed)
    index, query = rng.normal(size=(count, 6)), rng.normal(size=(3, 6)) * 100
    blocks = [index[start : start + block] for start in range(0, count, block)]
    found = nearest(map(unit_rows, blocks), unit_rows(query), k)
    expected = reference(index, query, k)
    assert found.rows.tolist() == expected[:, :, 1].tolist()
    np.testing.assert_allclose(found.distances, expected[:, :, 0], atol=1e-6)


def test_equal_ones_come_in_their_order_and_nothing_has_no_direction():
    same, query = unit_rows(np.ones((5, 4))), unit_rows(np.array([[2.0] * 4, [0] * 4]))
    found = nearest([same[:2], same[:0], same[2:]], query, 3)
    assert found.rows.tolist() == [[0, 1, 2], [0, 1, 2]]
    np.testing.assert_allclose(found.distances, [[0] * 3, [1] * 3], atol=1e-6)
    empty = nearest([np.zeros((2, 4)), same[:1]], same[:1], 3)
    assert empty.rows.tolist() == [[2, 0, 1]] and empty.distances[0, 1:].tolist() == [1, 1]


def test_what_cannot_be_searched_is_refused():
    same = unit_rows(np.ones((2, 3)))
    for query, k in ((same, 0), (same[:0], 1)):
        with pytest.raises(ValueError, match="Received"):
            nearest([same], query, k)
    with pytest.raises(ValueError, match="Received"):
        unit_rows(same * np.nan)
    assert nearest([], same, 1).rows.shape == (2, 0)
