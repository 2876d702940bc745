"""Everything that the page shows of one run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from finegrain.evaluation.answers import Answers
from finegrain.report.cases import (
    Case,
    least_sure,
    likely_label_errors,
    make_case,
    supported_first,
    worst_mistakes,
)
from finegrain.report.charts import draw_class_sizes, draw_curves, draw_reliability
from finegrain.report.confusions import (
    ClassRow,
    ConfusedPair,
    Side,
    class_notes,
    class_rows,
    confused_pairs,
    count_confusions,
    look_alike_order,
    most_confused,
    sides_of,
)
from finegrain.report.evidence import gather_evidence
from finegrain.report.matrix_drawing import draw_matrix, draw_overview
from finegrain.report.photographs import Picture
from finegrain.report.run_record import Measure, RunRecord, baseline_accuracy, measures_of

# With more classes the matrix shows the most confused ones.
MOST_IN_MATRIX = 60
BLOCK_OF_MANY = 40
TILES = 5
# Shown at most.
PAIRS, MISTAKES, UNSURE, LABEL_ERRORS, COPIES = 8, 12, 9, 12, 24
# Suspected labels whose neighbours are looked up, to put them in order.
MOST_SUSPECTS = 200


@dataclass
class RunView:
    """The parts of one run's report; what is empty is not known, and the record's notes say why.

    Attributes:
        curves: (title, SVG).
        tiles: the measures of the split shown that are said first.
        matrix, overview: the confusion matrix of `in_matrix` classes, and a picture of all.
        mistakes, unsure, label_errors: photographs to look at; the counts are of all there are.
        copies: (held-out photograph, training photograph, kind) of `copy_count`.
    """

    record: RunRecord
    curves: list[tuple[str, Markup]]
    tiles: list[Measure]
    reliability: Markup | None = None
    sizes: Markup | None = None
    matrix: Markup | None = None
    overview: Picture | None = None
    in_matrix: int = 0
    pairs: list[tuple[ConfusedPair, list[Side]]] = field(default_factory=list)
    mistakes: list[Case] = field(default_factory=list)
    unsure: list[Case] = field(default_factory=list)
    label_errors: list[Case] = field(default_factory=list)
    mistake_count: int = 0
    label_error_count: int = 0
    copies: list[tuple[Picture, Picture, str]] = field(default_factory=list)
    copy_count: int = 0
    looked_for_copies: str = ""
    rows: list[ClassRow] = field(default_factory=list)
    class_notes: list[str] = field(default_factory=list)


def view_run(record: RunRecord, most_embedded: int) -> RunView:
    """Make the parts of a run's report; for `most_embedded` see `gather_evidence`."""
    measured = record.evaluation.get(record.split, {})
    view = RunView(
        record,
        draw_curves(record.stages) if record.stages else [],
        _tiles(record, measures_of(measured)),
        draw_reliability(measured.get("reliability") or []),
    )
    training = record.config.get("data", {}).get("class_counts") or []
    if len(training) == len(record.classes) > 0:
        view.sizes = draw_class_sizes(training, record.classes)
    if record.answers is not None:
        _add_classes(view, record.answers, training)
        _add_cases(view, record.answers, most_embedded)
    missing = record.photographs.missing
    if missing:
        path, reason = next(iter(missing.items()))
        record.notes.append(
            f"{len(missing)} photographs of this page cannot be shown, such as {path} "
            f"({reason}); if the data set has moved, tell where it stands with --data."
        )
    return view


def _tiles(record: RunRecord, measures: list[Measure]) -> list[Measure]:
    """The first measures, that of the baseline behind the model's top-1 accuracy."""
    first = measures[:TILES]
    return first[:1] + baseline_accuracy(record) + first[1:] if first else []


def _add_classes(view: RunView, answers: Answers, training: Sequence[int]) -> None:
    classes, counts = answers.classes, count_confusions(answers)
    shown = np.arange(len(classes))
    if len(classes) > MOST_IN_MATRIX:
        shown = np.sort(most_confused(counts, BLOCK_OF_MANY))
        view.overview = draw_overview(counts, look_alike_order(counts))
    if len(shown):
        order = shown[look_alike_order(counts[shown][:, shown])]
        view.matrix, view.in_matrix = draw_matrix(counts, order, classes), len(shown)
    photographs = view.record.photographs
    for pair in confused_pairs(counts, PAIRS):
        view.pairs.append((pair, sides_of(pair, answers, photographs)))
    view.rows = class_rows(counts, classes, training)
    view.class_notes = class_notes(counts, classes)


def _add_cases(view: RunView, answers: Answers, most_embedded: int) -> None:
    photographs = view.record.photographs
    suspects = likely_label_errors(answers)
    mistakes, unsure = worst_mistakes(answers, MISTAKES), least_sure(answers, UNSURE)
    looked_at = np.union1d(mistakes, unsure).tolist()
    compared = np.union1d(looked_at, suspects[:MOST_SUSPECTS]).astype(int)
    evidence = gather_evidence(view.record, answers, looked_at, compared, most_embedded)
    likeliest = supported_first(answers, suspects, evidence.nearest)[:LABEL_ERRORS]
    view.mistakes, view.unsure, view.label_errors = (
        [make_case(answers, row, photographs, evidence) for row in rows]
        for rows in (mistakes, unsure, likeliest)
    )
    view.mistake_count = int((~answers.right).sum())
    view.label_error_count = len(suspects)
    view.looked_for_copies = evidence.looked_for_copies
    view.copy_count = len(evidence.copies)
    for copy in evidence.copies[:COPIES]:
        held_out, training = (
            photographs.picture(path, path) for path in (copy.path, copy.training_path)
        )
        view.copies.append((held_out, training, copy.kind))
