"""Write a data set folder: images, class list, manifest, and the tables of what was found."""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from finegrain.datasets import manifest
from finegrain.datasets.class_names import class_order
from finegrain.datasets.crops import CROP
from finegrain.datasets.gather import Unreadable
from finegrain.datasets.place_images import Placement, place_images
from finegrain.datasets.retrieval import CAMERA, IDENTITY
from finegrain.datasets.split import SPLITS
from finegrain.errors import UserError

MORE_COLUMNS = ("bytes", "source", "image_id", "group")
# Of layouts that have them.
OWN_COLUMNS = (manifest.CATEGORY_ID, IDENTITY, CAMERA, CROP)


def check_output(source: Path, output: Path) -> None:
    """Refuse an output that would mix with the source, since one of the two holds the other."""
    real_source, real_output = source.resolve(), output.resolve()
    if real_output.is_relative_to(real_source) or real_source.is_relative_to(real_output):
        raise UserError(
            f"--output {output} and --source {source} lie inside one another; choose an --output "
            "elsewhere"
        )


def manifest_rows(table: pd.DataFrame, splits: list[str], groups: Iterable[int]) -> pd.DataFrame:
    """The table of `gather_images` with `path`, `split` and `group`, by split, class and source.

    `groups` may be any numbers; they become 1, 2, ..., and 0 for images without duplicates.
    """
    rows = table.assign(split=splits, group=list(groups))
    rows["path"] = rows["split"] + "/" + rows["label"] + "/" + rows["name"]
    order = {"split": SPLITS, "label": class_order(rows["label"])}
    ranks = {column: {name: rank for rank, name in enumerate(order[column])} for column in order}
    # A stable sort leaves the images of a class in the order of the source.
    rows = rows.sort_values(["split", "label"], kind="stable", key=lambda c: c.map(ranks[c.name]))
    shared = rows["group"].duplicated(keep=False)
    # What has no number, since nothing shares it, is -1.
    rows["group"] = pd.factorize(rows["group"].where(shared))[0] + 1
    return rows.reset_index(drop=True)


def duplicate_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The images that have duplicates, a group after the other.

    `kind` is `exact` if another file of the group is equal, `conflict` `yes` if labels differ.
    """
    shared = rows[rows["group"] > 0].sort_values("group", kind="stable")
    equal = shared.duplicated(["group", "sha1"], keep=False)
    labels = shared.groupby("group")["label"].transform("nunique")
    return shared.assign(
        kind=["exact" if is_equal else "near" for is_equal in equal],
        conflict=["yes" if count > 1 else "no" for count in labels],
    )[["group", "path", "label", "kind", "conflict", "source"]]


def write_data_folder(
    output: Path, rows: pd.DataFrame, unreadable: Unreadable, link: str = "hard"
) -> int:
    """Place `rows`, from `manifest_rows` and `apart`, and the tables, as `place_images` does."""
    crops = rows[CROP] if CROP in rows else [None] * len(rows)
    columns = (rows["file"], rows["path"], rows["sha1"], crops, rows["bytes"])
    placements = [Placement(*row) for row in zip(*columns, strict=True)]
    learned = rows["label"][rows["split"].isin(SPLITS)]
    classes = json.dumps(class_order(learned), ensure_ascii=False, indent=0)
    tables = {
        manifest.CLASSES: f"{classes}\n".encode(),
        manifest.DUPLICATES: _csv(duplicate_rows(rows)),
        manifest.UNREADABLE: _csv(pd.DataFrame(unreadable, columns=["path", "reason"])),
        manifest.MANIFEST: _csv(_manifest(rows)),
    }
    return place_images(output, placements, tables, link)


def _manifest(rows: pd.DataFrame) -> pd.DataFrame:
    columns = [*manifest.COLUMNS, *MORE_COLUMNS, *(c for c in OWN_COLUMNS if c in rows)]
    table = rows[columns].astype({"group": str}).replace({"group": {"0": ""}})
    if CROP in table:
        table[CROP] = [" ".join(map(str, edges)) for edges in table[CROP]]
    return table


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode("utf-8")
