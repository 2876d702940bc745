"""`predictions.csv`: what a model answered for each labelled image, one row an image."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.errors import UserError
from finegrain.runs.top_answers import TOP, TopAnswers
from finegrain.whole_files import written_whole

PREDICTIONS = "predictions.csv"
TEXT_COLUMNS = ("path", "split", "true", "predicted")
NUMBER_COLUMNS = ("probability", "true_probability", "true_rank")
TOP_COLUMNS = tuple(
    name for place in range(1, TOP + 1) for name in (f"top_{place}", f"top_{place}_probability")
)
# A softmax in float32 may end a hair above 1; it is read as 1.
LARGEST = 1 + 1e-5
COLUMNS = (*TEXT_COLUMNS, *NUMBER_COLUMNS, *TOP_COLUMNS)


def prediction_rows(
    paths: Sequence[str], split: str, labels: np.ndarray, answers: TopAnswers, classes: list[str]
) -> pd.DataFrame:
    """The table's rows for the images of one split.

    Args:
        paths: N paths relative to the data set or folder, with `/`.
        split: of all of them.
        labels: (N,) class indices.
        answers: for these images, in this order.
        classes: class names in index order.

    Returns:
        The columns of `COLUMNS`. A row whose answer is no number has NaN for its probabilities,
        no predicted class and the rank 0; of fewer than five classes the later columns are empty.
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
    """Write the table, replacing one of the same name; probabilities round-trip float32.

    Args:
        path: the file.
        table: from `prediction_rows`, of several splits one below the other.
    """
    text = {column: _as_text(table[column]) for column in COLUMNS}
    with (
        written_whole(path) as beside,
        # Names of files are bytes to the system; what is no UTF-8 goes out as it came in.
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*text.values(), strict=True))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check the table.

    Returns:
        The columns of `COLUMNS`: text as str, probabilities float32, `true_rank` int64. It may
        have no rows.

    Raises:
        UserError: no such file, no such table, or a row that is wrong; names the row.
    """
    table, problems = read_sound_predictions(path)
    if problems:
        raise UserError(problems[0])
    return table


def read_sound_predictions(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read the table without the rows that cannot be used.

    Returns:
        The sound rows, as `read_predictions` gives them, and a sentence for each kind of row that
        was left out.

    Raises:
        UserError: no such file, or no such table.
    """
    table = _read_text(path)
    numbers = {
        column: pd.to_numeric(table[column].where(table[column] != "", "nan"), errors="coerce")
        for column in COLUMNS
        if column == "true_rank" or column.endswith("probability")
    }
    probability, true_probability = numbers["probability"], numbers["true_probability"]
    rank = numbers["true_rank"]
    shares = [column for column in numbers if column != "true_rank"]
    outside = np.any(
        [(numbers[column] < 0) | (numbers[column] > LARGEST) for column in shares], axis=0
    )
    wrong = {
        "has no probability that is a number": (probability.isna() | true_probability.isna()),
        "has a probability outside 0 to 1": outside,
        "has a rank that is no whole number from 1": ~(
            # A float holds whole numbers apart up to here.
            rank.between(1, 2**53) & (rank % 1 == 0)
        ),
        "lacks a class": (table["true"] == "") | (table["predicted"] == ""),
        "names an image a second time": table["path"].duplicated(),
    }
    sound, problems = np.ones(len(table), bool), []
    for what, rows in wrong.items():
        found = np.flatnonzero(np.asarray(rows) & sound)
        if len(found):
            row = int(found[0])
            more = f", and so do {len(found) - 1} more" if len(found) > 1 else ""
            problems.append(
                f"{path} {what} in row {row + 1} ({table['path'].iloc[row]}){more}; make it again "
                "with tools/evaluate.py"
            )
            sound[found] = False
    table = table.assign(
        **{column: numbers[column].clip(upper=1).astype("float32") for column in shares}
    )
    table = table[sound].reset_index(drop=True)
    return table.assign(true_rank=rank[sound].to_numpy().astype("int64")), problems


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"there is no {path}; make it with tools/evaluate.py")
    try:
        # A class may well be called "NA" or "007".
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8",
            encoding_errors="surrogateescape",
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} is no table of predictions ({reason}); make it again with tools/evaluate.py"
        ) from error
    for names, what in ((set(COLUMNS) - set(table), "lacks"), (set(table) - set(COLUMNS), "has")):
        if names:
            raise UserError(
                f"{path} is no table of predictions: it {what} the column {sorted(names)[0]!r}; "
                "make it again with tools/evaluate.py"
            )
    return table[list(COLUMNS)]


def _as_text(column: pd.Series) -> list[str]:
    if column.dtype == object or not pd.api.types.is_numeric_dtype(column):
        return [str(entry) for entry in column]
    if column.name == "true_rank":
        return column.astype("int64").astype(str).tolist()
    # Of a float32 numpy writes the fewest digits that tell it from its neighbours.
    numbers = column.to_numpy("float32").astype(str).tolist()
    empty = column.name.startswith("top_")
    return ["" if empty and number == "nan" else number for number in numbers]
