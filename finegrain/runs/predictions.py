"""`predictions.csv`: the most probable classes of each labelled image, one row an image."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.errors import UserError
from finegrain.whole_files import written_whole

PREDICTIONS = "predictions.csv"
TOP = 5
NO_CLASS = -1
COLUMNS = (
    *("path", "split", "true", "predicted", "probability", "true_probability", "true_rank"),
    *(f"top_{place}{kind}" for place in range(1, TOP + 1) for kind in ("", "_probability")),
)
PROBABILITIES = [name for name in COLUMNS if name.endswith("probability")]
# A softmax in float32 may end a hair above 1; it is read as 1.
LARGEST = 1 + 1e-5
MAKE_AGAIN = "make it again with tools/evaluate.py"


@dataclass(frozen=True)
class TopAnswers:
    """All that is kept of the C probabilities of N images: of K = min(5, C) classes an image.

    Where the answer is no number, classes are -1, ranks 0 and probabilities NaN.
    """

    # (N, K) indices by falling probability; of equals the smaller first, as `argmax` has it.
    classes: np.ndarray
    probabilities: np.ndarray  # (N, K) float32, theirs
    true_probability: np.ndarray  # (N,) float32, of the true class
    true_rank: np.ndarray  # (N,) int64, place of the true class among all, 1 for right


def top_answers(probabilities: np.ndarray, labels: np.ndarray) -> TopAnswers:
    """Of (B, C) probabilities and (B,) true class indices; a row not all finite is no answer."""
    probabilities, labels = np.array(probabilities, "float32"), np.asarray(labels, np.int64)
    rows, indices = (np.arange(length) for length in probabilities.shape)
    true = probabilities[rows, labels]
    before = probabilities > true[:, None]
    before |= (probabilities == true[:, None]) & (indices < labels[:, None])
    rank = 1 + before.sum(axis=1)
    bad = ~np.isfinite(probabilities).all(axis=1)
    shape = len(rows), min(TOP, len(indices))
    classes, best = np.empty(shape, np.int64), np.empty(shape, "float32")
    for place in range(shape[1]):
        # Five looks at a row are faster than sorting ten thousand classes.
        classes[:, place] = probabilities.argmax(axis=1)
        best[:, place] = probabilities[rows, classes[:, place]]
        probabilities[rows, classes[:, place]] = -np.inf
    classes[bad], best[bad], true[bad], rank[bad] = NO_CLASS, np.nan, np.nan, 0
    return TopAnswers(classes, best, true, rank.astype(np.int64))


def joined_answers(parts: Sequence[TopAnswers]) -> TopAnswers:
    """The answers for several batches, at least one, one after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return TopAnswers(*map(np.concatenate, columns))


def prediction_rows(
    paths: Sequence[str], split: str, labels: np.ndarray, answers: TopAnswers, classes: list[str]
) -> pd.DataFrame:
    """The table's rows, with the columns of `COLUMNS`, for N images of one split.

    A row whose answer is no number has no predicted class; of fewer than five classes the later
    columns are empty. Paths are relative to the data set, with `/`; labels are (N,) indices.
    """
    # One more name, for the index -1 of an answer that is not there.
    names = np.array([*classes, ""], object)
    table = pd.DataFrame(
        {
            "path": np.array(list(paths), object),
            "split": split,
            "true": names[labels],
            "predicted": names[answers.classes[:, 0]],
            "probability": answers.probabilities[:, 0],
            "true_probability": answers.true_probability,
            "true_rank": answers.true_rank,
        }
    )
    for place in range(TOP):
        there = place < answers.classes.shape[1]
        name, nothing = f"top_{place + 1}", np.full(len(table), np.nan, "float32")
        table[name] = names[answers.classes[:, place]] if there else ""
        table[f"{name}_probability"] = answers.probabilities[:, place] if there else nothing
    return table


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write rows of `prediction_rows`, of all splits; probabilities round-trip float32."""
    text = [_as_text(table[column]) for column in COLUMNS]
    with (
        written_whole(path) as beside,
        # Names of files are bytes to the system; what is no UTF-8 goes out as it came in.
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*text, strict=True))


def _as_text(column: pd.Series) -> list[str]:
    if column.dtype == object or not pd.api.types.is_numeric_dtype(column):
        return [str(entry) for entry in column]
    if column.name == "true_rank":
        return column.astype("int64").astype(str).tolist()
    # Of a float32 numpy writes the fewest digits that tell it from its neighbours.
    numbers = column.to_numpy("float32").astype(str).tolist()
    empty = column.name.startswith("top_")
    return ["" if empty and number == "nan" else number for number in numbers]


def read_predictions(path: Path) -> pd.DataFrame:
    """As `read_sound_predictions`, but with a `UserError` that names the first wrong row."""
    table, problems = read_sound_predictions(path)
    if problems:
        raise UserError(problems[0])
    return table


def read_sound_predictions(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read the table without the rows that cannot be used; a sentence for each kind left out.

    Probabilities are float32, `true_rank` is int64, the rest str; there may be no rows. Raises a
    `UserError` for no such file, or no such table.
    """
    text = _read_text(path)
    shares = pd.DataFrame({name: _as_numbers(text[name]) for name in PROBABILITIES})
    rank = _as_numbers(text["true_rank"])
    # A float holds whole numbers apart up to here.
    is_rank = rank.between(1, 2**53) & (rank % 1 == 0)
    wrong = {
        "has no probability that is a number": shares[PROBABILITIES[:2]].isna().any(axis=1),
        "has a probability outside 0 to 1": ((shares < 0) | (shares > LARGEST)).any(axis=1),
        "has a rank that is no whole number from 1": ~is_rank,
        "lacks a class": (text["true"] == "") | (text["predicted"] == ""),
        "names an image a second time": text["path"].duplicated(),
    }
    sound, problems = np.ones(len(text), bool), []
    for problem, rows in wrong.items():
        found = np.flatnonzero(rows.to_numpy() & sound)
        if len(found):
            row = int(found[0])
            more = f", and so do {len(found) - 1} more" if len(found) > 1 else ""
            problems.append(
                f"{path} {problem} in row {row + 1} ({text['path'].iloc[row]}){more}; {MAKE_AGAIN}"
            )
            sound[found] = False
    table = text.assign(**shares.clip(upper=1).astype("float32"))[sound].reset_index(drop=True)
    return table.assign(true_rank=rank[sound].to_numpy().astype("int64")), problems


def _as_numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column.where(column != "", "nan"), errors="coerce")


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"there is no {path}; make it with tools/evaluate.py")
    try:
        # A class may well be called "NA" or "007".
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape"
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no table of predictions ({reason}); {MAKE_AGAIN}") from error
    for names, verb in ((set(COLUMNS) - set(table), "lacks"), (set(table) - set(COLUMNS), "has")):
        if names:
            raise UserError(
                f"{path} is no table of predictions: it {verb} the column {sorted(names)[0]!r}; "
                f"{MAKE_AGAIN}"
            )
    return table[list(COLUMNS)]
