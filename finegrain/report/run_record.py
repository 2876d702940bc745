"""All that a run folder tells of a run, as rows of tables, with a note of what it does not."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finegrain.datasets.manifest import CLASSES, read_class_names
from finegrain.errors import UserError
from finegrain.evaluation.answers import Answers, answers_of
from finegrain.evaluation.evaluation_file import EVALUATION, read_evaluation
from finegrain.evaluation.measures import MEASURES
from finegrain.evaluation.pictures import read_history
from finegrain.report.photographs import Photographs
from finegrain.runs.predictions import PREDICTIONS, read_sound_predictions
from finegrain.runs.run_folder import MODEL, RunFolder, read_results

# Of the held-out splits the one to look at: choices are made on the validation.
SPLITS_LOOKED_AT = ("valid", "test")
BASELINE = "logistic regression on frozen embeddings"


@dataclass
class RunRecord:
    """What the report of one run is made from.

    Attributes:
        data: where the data set of the photographs stands now, if it has moved.
        stages: (name, rows of its history) of each stage.
        results: stage name -> its numbers.
        baseline: those of its baseline, empty where none was measured.
        evaluation: split -> its measures in evaluation.json.
        answers: of the split that is shown; None where there are none.
        notes: sentences on what is missing or left out.
    """

    folder: Path
    config: dict[str, Any]
    photographs: Photographs
    data: Path | None = None
    classes: list[str] = field(default_factory=list)
    stages: list[tuple[str, list[dict[str, float]]]] = field(default_factory=list)
    results: dict[str, dict[str, float]] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    split: str = SPLITS_LOOKED_AT[0]
    answers: Answers | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The folder's own."""
        return self.folder.resolve().name

    @property
    def model_file(self) -> Path:
        """Where the finished model is, or would be."""
        return self.folder / MODEL


def read_run(folder: Path, split: str | None = None, data: Path | None = None) -> RunRecord:
    """Read a run folder; refused is only what is no run, or lacks answers of the split asked for.

    By default the answers are the validation's, else the test's; for `data` see `RunRecord`.
    """
    run = RunFolder.open(folder)
    photographs = Photographs(data or Path(run.config.data.folder))
    record = RunRecord(folder, run.config.content, photographs, data)
    try:
        record.classes = read_class_names(folder / CLASSES, "so nothing is known of the classes")
    except UserError as error:
        record.notes.append(f"{error}.")
    try:
        record.stages = [(name, rows) for name, rows in read_history(folder) if rows]
    except (OSError, ValueError, TypeError) as error:
        record.notes.append(f"A history.csv cannot be read ({error}), so no curves are drawn.")
    else:
        if not record.stages:
            record.notes.append("No epoch is finished yet, so there are no curves.")
    try:
        results = read_results(run)
        record.results, record.baseline = results["stages"], results.get("baseline") or {}
        record.evaluation = read_evaluation(folder / EVALUATION)["splits"]
    except (UserError, KeyError) as error:
        record.notes.append(f"Measures are missing: {error}.")
    if not record.model_file.is_file():
        record.notes.append(
            f"There is no {MODEL}, so Grad-CAM and nearest training photographs are missing."
        )
    _read_answers(record, split)
    return record


def _read_answers(record: RunRecord, split: str | None) -> None:
    try:
        table, problems = read_sound_predictions(record.folder / PREDICTIONS)
    except UserError as error:
        if split is not None:
            raise
        record.notes.append(f"No answers can be shown: {error}.")
        return
    record.notes += [f"Some rows are left out: {problem}." for problem in problems]
    present = set(table["split"])
    if split is not None and split not in present:
        known = ", ".join(sorted(present)) or "none"
        raise UserError(
            f"--split {split}: {record.folder / PREDICTIONS} has no such split (its splits: "
            f"{known}); name one of those"
        )
    wanted = SPLITS_LOOKED_AT if split is None else (split,)
    record.split = next((name for name in wanted if name in present), wanted[0])
    answers = answers_of(table[table["split"] == record.split], record.classes)
    if answers.unknown:
        record.notes.append(
            f"{answers.unknown} rows of {PREDICTIONS} are left out: {CLASSES} lacks their class."
        )
    if len(answers):
        record.answers = answers
    else:
        record.notes.append(
            f"{PREDICTIONS} has no usable row of a {' or '.join(wanted)} split, so there is "
            "nothing to show of right and wrong answers."
        )


def run_facts(record: RunRecord) -> list[tuple[str, str, bool]]:
    """Name, value, and whether it is code (a digest, a path), in the order a reader asks."""
    config = record.config
    data, weights = config.get("data", {}), config.get("weights", {})
    images = ", ".join(f"{count} {split}" for split, count in data.get("images", {}).items())
    size = " × ".join(map(str, config.get("image_size", [])))
    versions = ", ".join(f"{name} {number}" for name, number in config.get("versions", {}).items())
    teaching = config.get("teaching") or {}
    taught_by = ", ".join(teaching.get("runs", []))
    guessed = (
        f"{teaching.get('images', 0)} photographs of {teaching['folder']} with labels guessed by "
        "the teacher are among the training images; scores on these photographs are not comparable"
        if teaching.get("folder")
        else ""
    )
    facts = [
        ("Recipe", config.get("recipe", ""), False),
        ("Backbone", config.get("backbone", ""), False),
        ("Image size", f"{size} pixels" if size else "", False),
        ("Weights at the start", str(weights.get("name", "")), True),
        ("Digest of the weights", weights.get("digest", "")[:12], True),
        ("Precision", config.get("precision", ""), False),
        ("Classes", str(len(record.classes)) if record.classes else "", False),
        ("Photographs", images, False),
        ("Teacher", taught_by, True),
        ("Pseudo-labels", guessed, False),
        ("Data set", data.get("folder", ""), True),
        ("Digest of the data set", data.get("digest", "")[:12], True),
        ("Run folder", str(record.folder), True),
        ("Versions", versions, True),
    ]
    return [fact for fact in facts if fact[1]]


def setting_rows(record: RunRecord) -> list[tuple[str, str]]:
    """Every setting of the run as the flag it was given by."""
    settings = record.config.get("settings", {})
    return [(f"--{name.replace('_', '-')}", str(value)) for name, value in settings.items()]


def stage_rows(record: RunRecord) -> list[dict[str, str]]:
    """The errors of the baseline and of each finished stage, as text."""
    baseline = [(f"baseline: {BASELINE}", record.baseline)] if record.baseline else []
    return [
        {
            "name": name,
            "epochs": str(numbers.get("epochs", "–")),
            "seconds": f"{numbers['seconds']:.0f}",
            "valid": _percent(numbers.get("valid_error")),
            "test": _percent(numbers.get("test_error")),
        }
        for name, numbers in [*baseline, *sorted(record.results.items())]
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


@dataclass(frozen=True)
class Measure:
    """One number with its 95 % interval, `low to high` or empty, as text."""

    name: str
    value: str
    interval: str


def measures_of(evaluation: dict[str, Any]) -> list[Measure]:
    """The measures of one split that could be taken, in the order of evaluation.json."""
    return [
        Measure(_heading(key), _text(key, found["value"]), _span(key, found))
        for key, found in evaluation.get("measures", {}).items()
        if found is not None
    ]


def baseline_accuracy(record: RunRecord) -> list[Measure]:
    """The baseline's top-1 accuracy on the split shown, where it was measured."""
    error = record.baseline.get(f"{record.split}_error")
    return [] if error is None else [Measure("Baseline", _percent(1 - error), BASELINE)]


def measure_rows(evaluation: dict[str, Any]) -> list[tuple[str, list[Measure | None]]]:
    """Name of each measure that some split has, and what it is for each split."""
    columns = [{one.name: one for one in measures_of(part)} for part in evaluation.values()]
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name) for column in columns]) for name in names]


def measure_notes(evaluation: dict[str, Any]) -> list[str]:
    """Sentences on measures of one split that are missing, one a reason, and its other notes."""
    reasons: dict[str, list[str]] = {}
    for key, reason in evaluation.get("missing", {}).items():
        reasons.setdefault(reason, []).append(_heading(key))
    missing = [f"No {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    return missing + [f"{note}." for note in evaluation.get("notes", [])]


def _heading(key: str) -> str:
    # A measure of another version keeps its own name.
    return MEASURES[key].heading if key in MEASURES else key


def _span(key: str, found: dict[str, Any]) -> str:
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{_text(key, found['low']).removesuffix(' %')} to {_text(key, found['high'])}"


def _text(key: str, value: float) -> str:
    percent = key not in MEASURES or MEASURES[key].percent
    return f"{100 * value:.1f} %" if percent else f"{value:.3f}"
