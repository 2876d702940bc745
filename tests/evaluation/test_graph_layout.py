"""Boxes of a graph: arrows go down, nothing overlaps, no arrow runs through a box."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.evaluation.graph_layout import ARROW_ROOM, lay_out


def test_a_chain_is_a_straight_line():
    layout = lay_out(4, [(0, 1), (1, 2), (2, 3)])
    assert [rank for _, rank in layout.boxes] == [0, 1, 2, 3]
    assert {round(column, 6) for column, _ in layout.boxes} == {0.0}


def test_an_arrow_over_several_ranks_goes_around_the_boxes_between():
    layout = lay_out(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    way = layout.paths[3]
    assert [rank for _, rank in way] == [0, 1, 2, 3]
    for column, rank in way[1:-1]:
        assert abs(column - layout.boxes[rank][0]) >= (1 + ARROW_ROOM) / 2 - 1e-6


def test_an_input_stands_just_above_what_takes_it():
    layout = lay_out(4, [(0, 1), (1, 2), (3, 2)])
    assert layout.boxes[3][1] == layout.boxes[1][1] == 1


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        lay_out(2, [(0, 1), (1, 0)])


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 9))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return count, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_any_graph(graph):
    count, arrows = graph
    layout = lay_out(count, arrows)
    assert len(layout.boxes) == count and len(layout.paths) == len(arrows)
    for (a, b), way in zip(arrows, layout.paths, strict=True):
        assert (way[0], way[-1]) == (layout.boxes[a], layout.boxes[b])
        ranks = [rank for _, rank in way]
        assert ranks == list(range(ranks[0], ranks[-1] + 1)) and len(ranks) > 1
    places = [(place, 1.0) for place in layout.boxes]
    places += [(place, ARROW_ROOM) for way in layout.paths for place in way[1:-1]]
    for number, ((column, rank), width) in enumerate(places):
        for (other, other_rank), other_width in places[number + 1 :]:
            if rank == other_rank:
                assert abs(column - other) >= (width + other_width) / 2 - 1e-6
