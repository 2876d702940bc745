"""Images for retrieval only: the query and the gallery of a re-identification data set.

They stand in `query/` and `gallery/` of the data set folder and in its manifest, with the identity
that is seen and the camera that saw it. No training knows them.
"""

from collections import Counter

import pandas as pd

from finegrain.datasets.class_names import natural_key
from finegrain.datasets.split import RETRIEVAL

IDENTITY, CAMERA = "identity", "camera"
# In a gallery: a detection of nobody that anybody looks for.
DISTRACTOR = 0


def apart(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images to learn from, whose split is to be drawn, and the others as manifest rows.

    Args:
        table: from `gather_images`, with the column `part` where there are images for retrieval.

    Returns:
        Both without `part`; the second with `path`, `split` and `group`, ordered by part and
        file name.
    """
    if "part" not in table:
        return table, table.iloc[:0].assign(path="", split="", group=0)
    learned = table[table["part"].isna()].drop(columns="part").reset_index(drop=True)
    rows = table[table["part"].notna()].rename(columns={"part": "split"})
    rows = rows.assign(path=rows["split"] + "/" + rows["label"] + "/" + rows["name"], group=0)
    order = sorted(
        range(len(rows)),
        key=lambda row: (
            RETRIEVAL.index(rows["split"].iloc[row]),
            natural_key(rows["path"].iloc[row]),
        ),
    )
    return learned, rows.iloc[order].reset_index(drop=True)


def with_retrieval(rows: pd.DataFrame, retrieval: pd.DataFrame) -> pd.DataFrame:
    """All rows of the manifest; those for retrieval only come last."""
    return pd.concat([rows, retrieval], ignore_index=True) if len(retrieval) else rows


def retrieval_lines(rows: pd.DataFrame) -> list[str]:
    """A line for the query and one for the gallery: images, identities, cameras, distractors."""
    lines = []
    for part in RETRIEVAL:
        some = rows[rows["split"] == part]
        if not len(some):
            continue
        people = set(some[IDENTITY]) - {str(DISTRACTOR)}
        distractors = Counter(some[IDENTITY])[str(DISTRACTOR)]
        lines.append(
            f"{part:8} {len(some)} images of {len(people)} identities by "
            f"{some[CAMERA].nunique()} cameras"
            + (f", {distractors} of them distractors" if distractors else "")
        )
    return lines
