"""Judge what `./demo.sh` left: its table and its submission.

    python tests/judge_demo.py OUTPUT demo/drawn

OUTPUT is what the demo printed. Says what is wrong and exits with status 1, or says what it found.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

# Twelve classes: guessing errs on 0.917 of the images, the demo's recipes on some 0.3 of them.
LARGEST_ERROR = 0.6
# Between the table and the submission, whose images are read one by one.
TOLERANCE = 0.02
ROW = re.compile(r"^(?P<recipe>\S.*?) {2,}(?P<valid>[\d.]+) +(?P<test>[\d.]+) +[-\d]+ +\d+ +demo/")
BASELINE = "baseline: logistic, frozen embeddings"
RECIPES = [
    BASELINE,
    "softmax, last blocks unfrozen",
    "multi-loss, last blocks unfrozen",
    "multi-loss, retrained without augmentation",
    "softmax, modern recipe",
]


class Unfit(Exception):
    """What the demo made is not what a user is promised."""


def table_of(output: str) -> dict[str, tuple[float, float]]:
    """Validation and test error of each recipe in the demo's table.

    Raises:
        Unfit: other rows than the baseline's and the recipes', or an error near chance or of 0.
    """
    rows = [found for line in output.splitlines() if (found := ROW.match(line))]
    if [row["recipe"] for row in rows] != RECIPES:
        raise Unfit(f"the table's rows are {[row['recipe'] for row in rows]}, not {RECIPES}")
    table = {row["recipe"]: (float(row["valid"]), float(row["test"])) for row in rows}
    for recipe, errors in table.items():
        if not all(0 < error < LARGEST_ERROR for error in errors):
            raise Unfit(f"{recipe} errs on {errors} of the images")
    return table


def submission_error(submission: Path, manifest: Path) -> float:
    """Top-1 error of a submission of `label<TAB>id` on a data set's test images.

    Raises:
        Unfit: a test image without a row, a row too many, or a label that is no class.
    """
    rows = pd.read_csv(manifest, dtype=str)
    classes = set(rows["label"])
    test = rows[rows["split"] == "test"]
    true = {Path(path).stem: label for path, label in zip(test["path"], test["label"], strict=True)}
    lines = [line.split("\t") for line in submission.read_text(encoding="utf-8").splitlines()]
    ids = [id for _, id in lines]
    if sorted(ids) != sorted(true):
        raise Unfit(
            f"{submission} has {len(ids)} rows, {len(set(ids) & set(true))} of them for "
            f"the {len(true)} test images"
        )
    strange = {label for label, _ in lines} - classes
    if strange:
        raise Unfit(f"{submission} names classes that there are not: {sorted(strange)}")
    return sum(true[id] != label for label, id in lines) / len(lines)


def judge(output: Path, folder: Path) -> str:
    """What the demo reached, in a sentence.

    Raises:
        Unfit: says what is wrong.
    """
    table = table_of(output.read_text(encoding="utf-8"))
    found = {}
    for submission, recipe in (
        (folder / "single" / "predict.txt", RECIPES[1]),
        (folder / "predict.txt", RECIPES[3]),
        (folder / "modern" / "predict.txt", RECIPES[4]),
    ):
        found[recipe] = submission_error(submission, folder / "data" / "manifest.csv")
        if abs(found[recipe] - table[recipe][1]) > TOLERANCE:
            raise Unfit(
                f"{submission} errs on {found[recipe]:.4f} of the test images, the table "
                f"says {table[recipe][1]}"
            )
    return "the demo holds: " + ", ".join(f"{error:.4f} {name}" for name, error in found.items())


def main(arguments: Sequence[str]) -> int:
    try:
        print(judge(*map(Path, arguments)))
    except (Unfit, OSError) as error:
        print(f"the demo does not hold: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
