"""Scores, folds, the greedy ensemble and labels to look at, against obvious references."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError
from finegrain.evaluation.metrics import log_loss
from finegrain.leaderboard.answers import AnswerFolder, Answers, Candidate
from finegrain.leaderboard.clock import FOR_THE_END, Clock
from finegrain.leaderboard.contest import find_metric, measured
from finegrain.leaderboard.doubtful import doubtful_labels, weak_classes
from finegrain.leaderboard.ensemble import choose_ensemble
from finegrain.leaderboard.partition import part

CLASSES = ["ash", "birch", "cedar"]


def answers_of(out_of_fold, name="one", finished=1.0):
    out_of_fold = np.asarray(out_of_fold, np.float32)
    classes = out_of_fold.shape[1]
    held_out, test = np.full((2, classes), 1 / classes), np.full((1, classes), 1 / classes)
    candidate = Candidate(name, {"kind": "made", "name": name})
    return Answers(candidate, out_of_fold, held_out, test, 2.0, finished)


def drawn_answers(rng, labels, how_sure, name):
    scores = rng.random((len(labels), 3))
    scores[np.arange(len(labels)), labels] += how_sure
    return answers_of(scores / scores.sum(axis=1, keepdims=True), name)


@pytest.fixture
def labels():
    return np.tile([0, 1, 2], 40)


def test_scores_are_those_of_scikit_learn(labels):
    probabilities = drawn_answers(np.random.default_rng(0), labels, 0.3, "x").out_of_fold
    right = probabilities.argmax(axis=1) == labels
    precision = np.mean(
        [average_precision_score(labels == c, probabilities[:, c]) for c in range(3)]
    )
    expected = {
        "top1": 1 - right.mean(),
        "log_loss": log_loss(probabilities, labels),
        "macro_f1": f1_score(labels, probabilities.argmax(axis=1), average="macro"),
        "map": precision,
    }
    for name, value in expected.items():
        metric = find_metric(name)
        score = measured(metric, probabilities, labels)
        assert score.value == pytest.approx(value)
        assert score.low < score.value < score.high
        better = drawn_answers(np.random.default_rng(0), labels, 1.0, "y").out_of_fold
        assert metric.loss(better, labels) < metric.loss(probabilities, labels)
    with pytest.raises(UserError, match="--metric auc is none of top1, log_loss, macro_f1, map"):
        find_metric("auc")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["top1", "log_loss"]))
def test_an_ensemble_is_never_worse_than_its_best_member(seed, name):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 60)
    candidates = [drawn_answers(rng, labels, sure, f"{sure}") for sure in (0.1, 0.3, 0.5, 0.5)]
    metric = find_metric(name)
    found = choose_ensemble(candidates, labels, metric)
    assert found.loss <= min(metric.loss(c.out_of_fold, labels) for c in candidates) + 1e-9
    assert found.loss == pytest.approx(metric.loss(found.mean("out_of_fold"), labels), abs=1e-6)
    assert sum(found.weights) == pytest.approx(1)


def test_two_halves_that_know_different_classes_are_both_taken(labels):
    one = np.where((labels == 0)[:, None], [0.98, 0.01, 0.01], [0.4, 0.3, 0.3])
    other = np.tile([0.3, 0.4, 0.3], (len(labels), 1))
    for label in (1, 2):
        other[labels == label] = 0.01
        other[labels == label, label] = 0.98
    found = choose_ensemble(
        [answers_of(one, "one"), answers_of(other, "other")], labels, find_metric("top1")
    )
    assert {member.candidate.name for member in found.members} == {"one", "other"}
    assert found.loss == 0


def data_set(tmp_path, per_class, groups=None, split="valid"):
    rows = []
    for label in CLASSES:
        for number in range(per_class):
            rows.append(
                {
                    "path": f"train/{label}/{number}.jpg",
                    "label": label,
                    "split": split if number == 0 else "train",
                    "sha1": f"{label}{number}",
                    "group": str((groups or {}).get((label, number), 0) or ""),
                }
            )
    return DataSet(tmp_path, CLASSES, pd.DataFrame(rows), "0" * 64)


def test_copies_share_a_fold_and_every_fold_has_every_class(tmp_path):
    groups = {("ash", 3): 1, ("birch", 4): 1, ("ash", 5): 2, ("ash", 6): 2}
    found = part(data_set(tmp_path, 11, groups), {}, seed=4)
    assert found.fold_count == 5 and len(found.known) == 30 and len(found.held_out) == 3
    of = {
        path.relative_to(tmp_path).as_posix(): fold
        for path, fold in zip(found.known, found.folds, strict=True)
    }
    assert of["train/ash/3.jpg"] == of["train/birch/4.jpg"]
    assert of["train/ash/5.jpg"] == of["train/ash/6.jpg"]
    for fold in range(5):
        assert set(found.labels[found.folds == fold]) == {0, 1, 2}
    again = part(data_set(tmp_path, 11, groups), {}, seed=4)
    np.testing.assert_array_equal(again.folds, found.folds)
    assert not np.array_equal(part(data_set(tmp_path, 11), {}, seed=5).folds, found.folds)


def test_three_images_a_class_are_two_folds_and_fewer_are_refused(tmp_path):
    assert part(data_set(tmp_path, 3), {}, seed=0).fold_count == 2
    with pytest.raises(UserError, match="ash has 2 images, and a search needs three or more"):
        part(data_set(tmp_path, 2), {}, seed=0)


def test_a_test_split_of_the_source_is_what_is_held_out(tmp_path):
    found = part(data_set(tmp_path, 5, split="test"), {}, seed=0)
    assert all(path.name == "0.jpg" for path in found.held_out)


def test_a_label_that_all_answers_contradict_is_doubted(labels):
    probabilities = np.full((len(labels), 3), 0.05)
    probabilities[np.arange(len(labels)), labels] = 0.9
    given = labels.copy()
    given[7], given[50] = (labels[7] + 1) % 3, (labels[50] + 1) % 3
    probabilities[50] = [0.3, 0.3, 0.3]
    found = doubtful_labels(probabilities, given)
    assert [doubt.image for doubt in found] == [7]
    assert (found[0].given, found[0].likely) == (given[7], labels[7])
    assert weak_classes(probabilities, given)[0].label == given[7]


def test_answers_come_back_as_they_were_kept(tmp_path, labels):
    folder = AnswerFolder(tmp_path / "answers")
    assert list(folder.load()) == []
    made = [drawn_answers(np.random.default_rng(seed), labels, 0.5, f"{seed}") for seed in range(3)]
    for each in made:
        folder.save(each)
    damaged = sorted((tmp_path / "answers").iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:100])
    found = list(folder.load())
    assert [each.candidate for each in found] == [made[0].candidate, made[2].candidate]
    np.testing.assert_array_equal(found[1].out_of_fold, made[2].out_of_fold)
    assert not damaged.exists()
    assert folder.left() == []
    folder.save_left(made[1].candidate, [0.5, 0.25])
    folder.save_left(made[2].candidate, [0.5])
    assert folder.left() == [(made[1].candidate, [0.5, 0.25]), (made[2].candidate, [0.5])]


def test_a_clock_keeps_time_for_the_end():
    assert Clock(None).fits(1e9)
    clock = Clock(60.0)
    assert clock.fits(60 - FOR_THE_END - 1) and not clock.fits(60 - FOR_THE_END + 1)
    # Another sitting has its own minutes.
    assert Clock(60.0, before=100.0).left() > 0 and Clock(60.0, before=100.0).passed() >= 100
    clock.reserved = 30.0
    assert not clock.fits(30)
