"""What the speed benchmark is made of: pairs, towers, kept parts, the table's arithmetic."""

import subprocess
import sys
from itertools import chain, cycle, islice

import numpy as np
import pytest
from commands import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.errors import UserError

sys.path.insert(0, str(REPOSITORY / "benchmarks"))


def run_of(epochs=2, seconds=100.0, timed=None, error=0.25, peak=2e9, disk=0):
    """A run of three stages as the benchmark keeps it; stage n takes n times the seconds."""
    names = ("1-frozen", "2-unfrozen", "3-retrained")
    return {
        "images": {"train": 50, "valid": 10},
        "stages": {
            name: {
                "epochs": epochs,
                "seconds": seconds * number,
                "valid_error": error,
                "epoch_seconds": [seconds * number / epochs] * (timed or epochs),
            }
            for number, name in enumerate(names, start=1)
        },
        "wall_seconds": seconds * 7,
        "cpu_seconds": 1.0,
        "peak_bytes": peak,
        "disk_bytes": disk,
    }


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_both_sides_swap_the_same_images(labels):
    from side_by_side.image_pairs import swapped

    from finegrain.training.partners import swap_positive_partners

    one_hot = np.eye(6)[labels]
    images, swapped_labels = swapped((np.arange(len(labels)), one_hot))
    assert images.tolist() == swap_positive_partners(np.array(labels)).tolist()
    assert swapped_labels.tolist() == one_hot[images].tolist()


def test_one_batch_in_four_is_swapped_and_the_others_are_two_that_follow():
    from side_by_side.image_pairs import training_pairs

    labels = np.eye(2)[[0, 1, 0]]
    # The second batch of the epoch is a short one.
    flow = cycle([(np.array([0, 1, 2]), labels), (np.array([3, 4]), labels[:2])])
    batches = list(islice(training_pairs(flow), 5))
    pairs = [(i["image_1"].tolist(), i["image_2"].tolist()) for i, _ in batches]
    assert pairs[0] == ([0, 1, 2], [2, 1, 0])
    assert pairs[1:4] == [([3, 4], [0, 1]), ([3, 4], [0, 1]), ([3, 4], [0, 1])]
    assert pairs[4] == ([3, 4], [4, 3])
    for inputs, targets in batches:
        assert all(len(part) == len(inputs["image_1"]) for part in targets.values())
        same = (targets["category_1"] == targets["category_2"]).all(axis=1)
        assert targets["same_class"][:, 1].tolist() == same.tolist()


def test_every_validation_image_stands_once_in_each_tower():
    from side_by_side.image_pairs import ValidationPairs

    labels = np.eye(2)[[0, 0, 1]]
    pairs = ValidationPairs([(np.array([0, 1, 2]), labels), (np.array([3, 4, 5]), labels)])
    for tower in ("image_1", "image_2"):
        seen = [pairs[index][0][tower].tolist() for index in range(len(pairs))]
        assert sorted(chain.from_iterable(seen)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("first_layer", [None, "block_16_expand"])
def test_both_sides_train_the_same_layers(first_layer):
    import keras
    from side_by_side.two_towers import build_backbone, prepare, two_towers

    from finegrain.models import backbone as our_backbones
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.multi_loss import multi_loss_model

    backbone = build_backbone("mobilenet_v2_0.35", "none", 32)
    theirs, _ = two_towers(backbone, classes=4)
    prepare(theirs, backbone, first_layer, keras.optimizers.SGD(1e-4))
    spec = find_backbone("mobilenet_v2_0.35")
    ours = multi_loss_model(our_backbones.build_backbone(spec, "none", (32, 32)), spec, classes=4)
    body = ours.get_layer(our_backbones.BACKBONE_LAYER)
    first = None if first_layer is None else our_backbones.boundary_index(body, first_layer)
    our_backbones.freeze(body, first)
    shapes = [sorted(tuple(v.shape) for v in m.trainable_variables) for m in (theirs, ours)]
    assert shapes[0] == shapes[1]


def test_a_backbone_that_is_not_kept_is_refused():
    from side_by_side.backbones import family

    assert family("mobilenet_v2_0.35") == ("mobilenet_v2", {"alpha": 0.35})
    for name in ("resnet50", "xception_0.5"):
        with pytest.raises(UserError, match=f"--backbone {name} .*give xception"):
            family(name)


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=8),
    st.integers(1, 300),
)
@settings(max_examples=60, deadline=None)
def test_each_class_gives_its_share(sizes, count):
    from side_by_side.some_photos import shares

    given_ = shares(sizes, count)
    total = sum(sizes.values())
    assert sum(given_.values()) == min(count, total)
    for label, size in sizes.items():
        assert abs(given_[label] - size * min(count, total) / total) < 1
        assert given_[label] <= size


def test_finished_parts_are_kept_and_unfinished_ones_begin_anew(tmp_path):
    from side_by_side.kept_parts import KeptParts

    folder = tmp_path / "speed"

    def broken(part):
        (part / "half").write_text("made")
        raise UserError("stopped")

    with pytest.raises(UserError):
        KeptParts(folder, {"photos": 600}).part("ours", broken)
    parts = KeptParts(folder, {"photos": 600})
    assert parts.part("ours", lambda part: {"left": len(list(part.iterdir()))}) == {"left": 0}
    assert parts.part("ours", broken) == {"left": 0} == parts.read("ours")
    with pytest.raises(UserError, match="photos 600 there, 60 now.*another --output"):
        KeptParts(folder, {"photos": 60})
    (tmp_path / "mine").write_text("my thesis")
    with pytest.raises(UserError, match="holds other things"):
        KeptParts(tmp_path, {})
    assert (tmp_path / "mine").read_text() == "my thesis"


def test_each_process_is_measured_by_itself(tmp_path):
    (tmp_path / "large.py").write_text("b = b'x' * 300_000_000\nprint('large')")
    (tmp_path / "small.py").write_text("import time; time.sleep(0.3); print('small')")
    # From a small process, as the benchmark is; this one has grown with the tests before.
    measure = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY / "benchmarks")!r})
from side_by_side.child import run_script
folder = Path({str(tmp_path)!r})
large, small = (run_script([str(folder / name)], folder / "log.txt") for name in sys.argv[1:])
assert large.peak_bytes > 300_000_000, large
assert small.peak_bytes < 200_000_000, small
assert small.wall_seconds >= 0.3 and small.cpu_seconds < small.wall_seconds, small
"""
    subprocess.run([sys.executable, "-c", measure, "large.py", "small.py"], check=True)
    log = (tmp_path / "log.txt").read_text()
    assert log.index("large") < log.index("small")


def test_a_script_that_fails_ends_the_measurement(tmp_path, capsys):
    from side_by_side.child import run_script

    (tmp_path / "bad.py").write_text("import sys; sys.exit('no such photograph')")
    with pytest.raises(UserError, match=r"bad.py ended with status 1; .*log.txt"):
        run_script([str(tmp_path / "bad.py")], tmp_path / "log.txt")
    assert "no such photograph" in capsys.readouterr().out


def test_missing_epochs_are_as_the_later_ones():
    import first_coded

    assert first_coded.whole_stage(51.0, [30.0, 20.0], 5) == 51 + 3 * 20
    assert first_coded.whole_stage(51.0, [30.0, 20.0], 2) == 51
    assert first_coded.whole_stage(72.0, [30.0, 20.0, 22.0], 4) == 72 + 21


def test_a_row_holds_both_sides_and_their_ratio():
    from side_by_side.table import markdown, training_rows

    theirs, ours = run_of(seconds=100), run_of(seconds=10, error=0.2, peak=3e9, disk=5e8)
    rows = training_rows([theirs], [ours], views=4)
    assert [row.ratio for row in rows] == [10, 10, 10, 10]
    cells = [cell.strip() for cell in rows[0].line().split("|")[1:-1]]
    assert cells == [
        "stage 1, with augmentation (4 views) (2 epochs)",
        "50 / 5",
        "1 / 10",
        "10.0",
        "18",
        "2.00 / 3.00",
        "0 / 0.5",
        "0.2500 / 0.2000",
    ]
    # 600 seconds, 6 epochs of 50 images.
    assert [cell.strip() for cell in rows[2].line().split("|")[2:4]] == ["100 / 10", "0.5 / 5"]
    columns = {line.count("|") for line in markdown(rows).splitlines()}
    assert len(columns) == 1


def test_a_prediction_too_short_to_tell_has_no_row_without_its_start():
    from side_by_side.table import prediction_rows

    theirs = {
        "images": 40,
        "wall_seconds": 30.0,
        "peak_bytes": 1e9,
        "images_beyond_start": 32,
        "seconds_beyond_start": 20.0,
        "few_images": 10,
        "few_seconds": 12.0,
    }
    ours = {**theirs, "wall_seconds": 10.0, "seconds_beyond_start": 2.0, "few_seconds": 2.0}
    rows = prediction_rows(theirs, ours)
    assert [row.ratio for row in rows] == [3, 6, 10]
    assert "the same, 10 photographs" in rows[1].line() and "| 1.6 / 16 |" in rows[2].line()
    assert len(prediction_rows(theirs, {**ours, "seconds_beyond_start": -0.1})) == 2


def test_loaders_are_compared_from_the_second_epoch_on():
    from side_by_side.table import loader_rows

    rows = loader_rows(
        {
            "Original": [0.5, 0.01, 0.02, 0.03],
            "Fused": [0.01] * 4,
            "the same with a cache": [0.1, 0.0005, 0.0004, 0.0005],
            "Training": [0.1] * 4,
        },
        cores=1,
    )
    assert [round(row.ratio, 1) for row in rows] == [40, 0.2]
    name, _, rates, *_ = rows[0].line().strip("| ").split(" | ")
    assert name == "loader on one core: Fused with a cache (second epoch on)"
    assert rates == "50 / 2,000"


def test_seeds_become_mean_and_range():
    from side_by_side.table import plain_row

    theirs = [run_of(seconds=90), run_of(seconds=110)]
    ours = [run_of(seconds=10, error=0.1), run_of(seconds=30, error=0.3)]
    row = plain_row(theirs, ours)
    assert row.ratio == pytest.approx(100 / 20)
    assert "0.2500 (0.2500 to 0.2500) / 0.2000 (0.1000 to 0.3000)" in row.line()


def test_epochs_that_were_not_run_are_said_and_compared_with_nothing():
    from side_by_side.table import stages_row

    theirs, ours = run_of(epochs=10, timed=2), run_of(epochs=10)
    row = stages_row("all", 8, ["1-frozen", "2-unfrozen"], [theirs], [ours])
    assert "10, 10 epochs; first coded: 2, 2 of 10, 10 timed" in row.line()
    assert row.errors is None


def test_the_highest_ratio_counts_the_passes_that_must_be():
    from side_by_side.ceiling import shares_of

    rates = {"slow": {"whole": 10.0, "below": 20.0}, "fast": {"whole": 21.0, "below": 30.0}}
    ours = run_of(epochs=2, seconds=10)
    ours["stages"]["1-frozen"]["epoch_seconds"] = [1.0, 1.0]
    frozen, unfrozen, retrained = shares_of(run_of(seconds=100), ours, rates, views=4)
    # 4 views of 50 images and 10 of validation, 21 a second, and 2 seconds of epochs.
    assert frozen.most == pytest.approx(100 / (210 / 21 + 2))
    assert unfrozen.most == pytest.approx(200 / (60 / 30 + 20))
    assert retrained.most == pytest.approx(300 / 30)
    assert "8.0 s, 80% | 2.0 s, 20%" in frozen.line()
