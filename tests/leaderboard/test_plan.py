"""What is tried, in which order, and how long it is supposed to take."""

from pathlib import Path

import numpy as np
import pytest

from finegrain.leaderboard.changes import Changes, candidate_of
from finegrain.leaderboard.cost import gains_by_rounding, in_order, known
from finegrain.leaderboard.pace import CAUTION, START, Pace
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.variant import Backbone, recorded_variant, unusual, usual
from finegrain.models.backbone import boundary_index, build_backbone
from finegrain.models.backbone_table import find_backbone, listed_backbones


def backbone(name):
    return Backbone(find_backbone(name), "none")


@pytest.fixture
def partition():
    labels = np.tile([0, 1], 50)
    folds = np.repeat(np.arange(5), 20)
    return Partition(["a", "b"], [Path(f"{i}") for i in range(100)], labels, folds, [], [], {}, {})


def test_the_fastest_backbone_is_first_then_what_knows_most_for_its_time():
    names = ["xception", "inception_v3", "efficientnet_b0", "mobilenet_v2"]
    found = [each.spec.name for each in in_order([backbone(name) for name in names])]
    assert found == ["mobilenet_v2", "efficientnet_b0", "inception_v3", "xception"]
    # One that nobody measured is neither refused nor first.
    found = in_order([backbone(name) for name in ("nasnet_large", "mobilenet_v2")])
    assert [each.spec.name for each in found] == ["mobilenet_v2", "nasnetlarge"]
    assert known(found[1]).passes < known(found[0]).passes


def test_what_gains_by_rounding_is_expected_to_be_faster(partition):
    inception, mobile = usual(backbone("inception_v3")), usual(backbone("mobilenet_v2"))
    exact, rounded = Pace(partition), Pace(partition, rounded=True)
    assert gains_by_rounding(inception.backbone) and not gains_by_rounding(mobile.backbone)
    assert rounded.epoch(inception) < exact.epoch(inception)
    assert rounded.epoch(mobile) == exact.epoch(mobile)


def test_variants_say_what_is_not_usual_and_come_back_from_their_record():
    mobile = backbone("mobilenet_v2")
    names = [each.name for each in (usual(mobile), *unusual(mobile))]
    assert names == [
        "mobilenet_v2",
        "mobilenet_v2 at 288 pixels",
        "mobilenet_v2 from block_10_expand",
        "mobilenet_v2 with 8 views",
    ]
    for variant in (usual(mobile), *unusual(mobile)):
        settings = candidate_of(variant, Changes(pair_loss="supervised-contrastive")).settings
        assert recorded_variant(settings, [mobile]) == variant


@pytest.mark.parametrize("name", ["xception_small", "mobilenet_v2_0.35", "inception_v3"])
def test_more_blocks_begin_below_the_usual_ones(name):
    spec = listed_backbones()[name]
    built = build_backbone(spec, "none", (96, 96))
    first = boundary_index(built, spec.unfreeze_from)
    assert 0 < boundary_index(built, spec.more_from) < first


def test_a_candidate_says_what_it_changes():
    mobile = usual(backbone("mobilenet_v2"))
    assert candidate_of(mobile, Changes()).name == "mobilenet_v2, last blocks, modern recipe"
    changed = Changes(unfrozen_epochs=8, pair_loss="supervised-contrastive")
    told = candidate_of(mobile, changed).name
    assert told.endswith("with epochs 8, pair loss supervised-contrastive")


def test_pace_is_measured_where_it_was_and_else_supposed(partition):
    pace = Pace(partition)
    mobile, inception = backbone("mobilenet_v2"), backbone("inception_v3")
    ratio = known(mobile).passes / known(inception).passes
    assert pace.embeddings(mobile) == pytest.approx(200 / known(mobile).passes)
    pace.saw_embeddings(mobile, 20.0)
    assert pace.embeddings(mobile) == pytest.approx(20)
    assert pace.embeddings(inception) == pytest.approx(20 * ratio)
    # Read from a file, they tell nothing.
    pace.saw_embeddings(inception, 0.001)
    assert pace.embeddings(inception) == pytest.approx(20 * ratio)
    variant, (larger, more, _) = usual(mobile), unusual(mobile)
    for seconds in (9.0, 2.0, 3.0):
        pace.saw_epoch(variant, seconds)
    assert pace.epoch(variant) == pytest.approx(CAUTION * 2)
    assert pace.candidate(variant, 10) == pytest.approx(START + 10 * 5 * CAUTION * 2)
    assert pace.single(variant, 10) == pytest.approx(START + 10 * CAUTION * 2 * 5 / 4)
    assert pace.epoch(larger) == pytest.approx(2 * (288 / 224) ** 2)
    assert pace.epoch(more) > pace.epoch(variant)
    assert pace.store(larger) > pace.store(variant) > 0
