"""The submission of a merged classifier, under the ids of the exported images."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.errors import UserError
from finegrain.evaluation.metrics import clipped
from finegrain.merging.answers import answer
from finegrain.merging.joined import JoinedFeatures
from finegrain.merging.split import answering_rows
from finegrain.merging.training import Merged
from finegrain.submission.class_probabilities import ClassProbabilities
from finegrain.submission.submission import SampleSubmission

MOST_NAMED = 20


@dataclass(frozen=True)
class Wanted:
    """The images a submission is made for: id -> (split, path) where there is an embedding.

    `unreadable`: id -> why there is none.
    """

    image_of: dict[str, tuple[str, str]]
    unreadable: dict[str, str]

    @property
    def ids(self) -> list[str]:
        """All ids."""
        return [*self.image_of, *self.unreadable]


def wanted_images(joined: JoinedFeatures, asked_for: Sequence[str]) -> Wanted:
    """The images of the splits asked for, by default of all without labels; ids must differ."""
    unlabelled = [split for split, rows in joined.splits.items() if not (rows.labels >= 0).any()]
    splits = list(asked_for) or unlabelled
    for split in splits:
        if split not in joined.splits:
            known = ", ".join(joined.splits)
            raise UserError(f"--predict {split}: the features have no such split, only {known}")
    if not splits:
        raise UserError(
            "the features hold no unlabelled images to predict; export them with --images TEST"
        )
    image_of: dict[str, tuple[str, str]] = {}
    unreadable: dict[str, str] = {}
    seen: dict[str, str] = {}
    for split in splits:
        rows = joined.splits[split]
        images = dict(zip(rows.paths, rows.ids, strict=True))
        images |= {lost.path: lost.image_id for lost in rows.unreadable}
        for path, image_id in images.items():
            place = f"{split}/{path}"
            if seen.setdefault(image_id, place) != place:
                raise UserError(
                    f"{seen[image_id]} and {place} have one id, {image_id}; name the one folder to "
                    "predict with --predict"
                )
            image_of[image_id] = (split, path)
        for lost in rows.unreadable:
            del image_of[lost.image_id]
            unreadable[lost.image_id] = lost.reason
    return Wanted(image_of, unreadable)


def check_sample(wanted: Wanted, sample: SampleSubmission) -> None:
    """Refuse a sample that asks for other images; tell how many it leaves out."""
    asked = sample.image_ids(wanted.ids)
    if len(asked) < len(wanted.ids):
        left_out = len(wanted.ids) - len(asked)
        print(f"notice  left out {left_out} of {len(wanted.ids)} images that {sample.path} lacks")


def answers_table(
    merged: Merged, joined: JoinedFeatures, wanted: Wanted, prior: np.ndarray, clip: float
) -> ClassProbabilities:
    """The table a submission is written from, its classes as the leaderboard calls them.

    Images that could not be read get the prior (C,), and are named on standard error.
    """
    classes = joined.category_ids or joined.classes
    rows: dict[tuple[str, str], np.ndarray] = {}
    for split in dict.fromkeys(split for split, _ in wanted.image_of.values()):
        answers = answer(merged.model, answering_rows(joined, split), merged.names, len(classes))
        for path, given in zip(answers.paths, clipped(answers.probabilities, clip), strict=True):
            rows[split, path] = given
    table = [rows[place] for place in wanted.image_of.values()]
    table += [clipped(prior[None], clip)[0]] * len(wanted.unreadable)
    if wanted.unreadable:
        print(
            f"warning: {len(wanted.unreadable)} of {len(wanted.ids)} images could not be read when "
            "the features were exported; their rows hold the class prior:",
            file=sys.stderr,
        )
        for image_id, reason in list(wanted.unreadable.items())[:MOST_NAMED]:
            print(f"  {image_id}: {reason}", file=sys.stderr)
    return ClassProbabilities(wanted.ids, classes, np.array(table, "float32"))
