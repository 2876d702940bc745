"""Write a data set folder: images, class list, manifest, and the tables of what was found."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from finegrain.datasets.category_ids import CATEGORY_ID
from finegrain.datasets.class_names import class_order
from finegrain.datasets.crops import CROP
from finegrain.datasets.gather import Unreadable
from finegrain.datasets.made_earlier import DUPLICATES, UNREADABLE
from finegrain.datasets.manifest import CLASSES, COLUMNS, MANIFEST
from finegrain.datasets.place_images import Placement, finish, place_images
from finegrain.datasets.retrieval import CAMERA, IDENTITY
from finegrain.datasets.split import SPLITS
from finegrain.errors import UserError
from finegrain.whole_files import written_whole

MORE_COLUMNS = ("bytes", "source", "image_id", "group")
# Of layouts that have them.
OWN_COLUMNS = (CATEGORY_ID, IDENTITY, CAMERA, CROP)


def check_output(source: Path, output: Path) -> None:
    """Refuse an output that would mix with the source.

    Raises:
        UserError: one of the two folders holds the other, or the output is a file.
    """
    real_source, real_output = source.resolve(), output.resolve()
    if real_output.is_relative_to(real_source) or real_source.is_relative_to(real_output):
        raise UserError(
            f"--output {output} and --source {source} lie inside one another; choose an --output "
            "elsewhere"
        )


def manifest_rows(table: pd.DataFrame, splits: list[str], groups: Iterable[int]) -> pd.DataFrame:
    """Make the manifest of gathered images.

    Args:
        table: from `gather_images`.
        splits: the split of each row.
        groups: the duplicate group of each row.

    Returns:
        The table with `path`, `split` and `group` (1, 2, ... for images that have duplicates,
        0 for the others), ordered by split, class and source.
    """
    rows = table.assign(split=splits, group=list(groups))
    rows["path"] = [
        f"{split}/{label}/{name}"
        for split, label, name in zip(rows["split"], rows["label"], rows["name"], strict=True)
    ]
    rank = {label: number for number, label in enumerate(class_order(rows["label"]))}
    order = pd.DataFrame(
        {"split": rows["split"].map(SPLITS.index), "label": rows["label"].map(rank)}
    )
    # A stable sort leaves the images of a class in the order of the source.
    rows = rows.loc[order.sort_values(["split", "label"], kind="stable").index]
    shared = rows["group"][rows["group"].duplicated(keep=False)]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(shared), start=1)}
    rows["group"] = [numbers.get(group, 0) for group in rows["group"]]
    return rows.reset_index(drop=True)


def duplicate_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The images that have duplicates, a group after the other.

    Returns:
        Columns `group`, `path`, `label`, `kind` (`exact` if another file of the group is equal
        to this one, else `near`), `conflict` (`yes` if the group's labels differ), `source`.
    """
    shared = rows[rows["group"] > 0].sort_values("group", kind="stable")
    equal = shared.duplicated(["group", "sha1"], keep=False)
    labels = shared.groupby("group")["label"].transform("nunique")
    return pd.DataFrame(
        {
            "group": shared["group"],
            "path": shared["path"],
            "label": shared["label"],
            "kind": ["exact" if is_equal else "near" for is_equal in equal],
            "conflict": ["yes" if count > 1 else "no" for count in labels],
            "source": shared["source"],
        }
    )


def write_data_folder(
    output: Path, rows: pd.DataFrame, unreadable: Unreadable, link: str = "hard"
) -> int:
    """Place the images and write the tables; the manifest comes last.

    Args:
        output: the data folder.
        rows: from `manifest_rows`, and from `apart` those that are for retrieval only.
        unreadable: from `gather_images`.
        link: see `place_images`.

    Returns:
        How many images were copied because a link was refused.

    Raises:
        UserError: see `place_images`.
    """
    crops = rows[CROP] if CROP in rows else [None] * len(rows)
    placements = [
        Placement(*row) for row in zip(rows["file"], rows["path"], rows["sha1"], crops, strict=True)
    ]
    copied = place_images(output, placements, link)
    learned = rows["label"][rows["split"].isin(SPLITS)]
    classes = json.dumps(class_order(learned), ensure_ascii=False, indent=0)
    with written_whole(output / CLASSES) as beside:
        beside.write_text(classes + "\n", encoding="utf-8")
    duplicates = duplicate_rows(rows)
    _write_csv(output / DUPLICATES, duplicates.columns, duplicates.itertuples(index=False))
    _write_csv(output / UNREADABLE, ("path", "reason"), unreadable)
    columns = [*COLUMNS, *MORE_COLUMNS, *(c for c in OWN_COLUMNS if c in rows)]
    manifest = rows[columns].astype({"group": str}).replace({"group": {"0": ""}})
    if CROP in manifest:
        manifest[CROP] = [" ".join(map(str, edges)) for edges in manifest[CROP]]
    _write_csv(output / MANIFEST, manifest.columns, manifest.itertuples(index=False))
    finish(output)
    return copied


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[tuple]) -> None:
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
