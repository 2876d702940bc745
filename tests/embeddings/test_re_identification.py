"""CMC and mAP of Market-1501, against a hand-worked example and a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from finegrain.embeddings.nearest import cosine_distances, unit_rows
from finegrain.embeddings.re_identification import Places, Sightings, places_in_gallery


def sightings(*pairs: tuple[int, int]) -> Sightings:
    return Sightings(*np.array(pairs).T)


def places(distances, query: Sightings, gallery: Sightings) -> Places:
    return places_in_gallery([np.asarray(distances, "float32")], query, gallery)


def test_worked_by_hand():
    # One query of identity 1 by camera 1. By distance stand in the gallery:
    #   0.1  identity 1, camera 1: the same camera, taken out
    #   0.2  identity 2          : place 1, wrong
    #   0.3  identity 1, camera 2: place 2, right, precision 1/2 (before it 0/1)
    #   0.4  junk                : taken out
    #   0.5  a distractor        : place 3, wrong
    #   0.6  identity 1, camera 3: place 4, right, precision 2/4 (before it 1/3)
    gallery = sightings((0, 2), (1, 3), (-1, 2), (1, 1), (2, 1), (1, 2))
    found = places([[0.5, 0.6, 0.4, 0.1, 0.2, 0.3]], sightings((1, 1)), gallery)
    assert found.measures() == pytest.approx(
        {
            "rank-1": 0,
            "rank-5": 1,
            "rank-10": 1,
            "mAP": (1 / 2 + 2 / 4) / 2,
            "mAP-trapezoid": ((1 / 2 + 0) / 2 + (2 / 4 + 1 / 3) / 2) / 2,
        }
    )
    assert found.first.tolist() == [2] and found.without_match == 0


def test_several_queries_and_one_without_a_match():
    query = sightings((1, 1), (2, 1), (3, 1), (0, 1))
    gallery = sightings((1, 2), (2, 2), (3, 1), (0, 2))
    distances = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.4], [0.1] * 4, [0.4, 0.3, 0.2, 0.1]]
    found = places(distances, query, gallery)
    assert found.queries.tolist() == [0, 1] and found.without_match == 2
    assert found.first.tolist() == [1, 2]
    assert found.measures((1, 2))["rank-1"] == 0.5 and found.measures((2,))["rank-2"] == 1
    assert found.measures()["mAP"] == pytest.approx((1 + 1 / 2) / 2)


def reference(distances, query, gallery, ranks=(1, 5, 10)) -> dict[str, float]:
    """Walk each ranking from its first image to its last."""
    hits, precisions, trapezoids = [], [], []
    for line, identity, camera in zip(distances, query.identities, query.cameras, strict=True):
        images = []
        for distance, other, seen_by in zip(line, gallery.identities, gallery.cameras, strict=True):
            if other == -1 or (other == identity and seen_by == camera):
                continue
            images.append((distance, bool(other == identity)))
        answers = [right for _, right in sorted(images)]
        if not any(answers) or identity <= 0:
            continue
        hits.append([any(answers[:k]) for k in ranks])
        seen, old, precision, trapezoid = 0, 1.0, 0.0, 0.0
        for place, right in enumerate(answers, start=1):
            seen += right
            if right:
                precision += seen / place / sum(answers)
                trapezoid += (old + seen / place) / 2 / sum(answers)
            old = seen / place
        precisions.append(precision)
        trapezoids.append(trapezoid)
    named = {f"rank-{k}": value for k, value in zip(ranks, np.mean(hits, axis=0), strict=True)}
    return {**named, "mAP": np.mean(precisions), "mAP-trapezoid": np.mean(trapezoids)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 4), st.sampled_from([3, 50]))
def test_as_the_slow_reference_with_ties_too(seed, people, cameras, levels):
    rng = np.random.default_rng(seed)

    def draw(count: int, least: int) -> Sightings:
        return Sightings(rng.integers(least, people + 1, count), rng.integers(0, cameras, count))

    query, gallery = draw(9, 0), draw(40, -1)
    distances = rng.integers(0, levels, (9, 40)) / np.float32(levels)
    try:
        found = places(distances, query, gallery)
    except ValueError as error:
        assert "no query has" in str(error)
        return
    assert found.measures() == pytest.approx(reference(distances, query, gallery))


def test_average_precision_is_that_of_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    gallery = Sightings(rng.integers(1, 4, 50), np.full(50, 2))
    distances = rng.permutation(50)[None] / np.float32(50)
    found = places(distances, sightings((2, 1)), gallery)
    expected = average_precision_score(gallery.identities == 2, -distances[0])
    assert found.measures()["mAP"] == pytest.approx(expected)


def test_all_right_all_wrong_and_all_alike():
    query, gallery = sightings((1, 1)), sightings((1, 2), (1, 3), *[(2, 1)] * 20)
    apart = np.arange(22.0)[None]
    assert set(places(apart, query, gallery).measures().values()) == {1.0}
    assert places(-apart, query, gallery).first.tolist() == [21]
    # Embeddings that are all alike find nobody.
    assert places(np.zeros((1, 22)), query, gallery).first.tolist() == [21]


def test_blocks_are_rows_and_what_does_not_fit_is_refused():
    rng = np.random.default_rng(1)
    query = Sightings(rng.integers(1, 5, 30), rng.integers(0, 3, 30))
    gallery = Sightings(rng.integers(-1, 5, 80), rng.integers(0, 3, 80))
    one, other = rng.normal(size=(30, 8)) * 1e3, rng.normal(size=(80, 8))
    cosines = unit_rows(one) @ unit_rows(other).T
    whole = places(1 - cosines, query, gallery)
    blocks = places_in_gallery(cosine_distances(one, other, 7), query, gallery)
    assert blocks.measures() == pytest.approx(whole.measures())
    for wrong in (cosines[:29], np.vstack([cosines, cosines]), cosines[:, :-1], cosines * np.nan):
        with pytest.raises(ValueError, match="Received"):
            places(wrong, query, gallery)
    with pytest.raises(ValueError, match="no query has"):
        places(cosines, Sightings(query.identities + 9, query.cameras), gallery)
    with pytest.raises(ValueError, match="must be"):
        Sightings(query.identities, query.cameras[:-1])


def test_embeddings_of_any_length_even_none():
    rows = unit_rows(np.array([[3e30, 4e30], [0, 0], [1e-30, 0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    with pytest.raises(ValueError, match="finite"):
        unit_rows(np.array([[np.inf, 1]]))
