"""The split that a source brings along, in the parts that training scripts read."""

from collections import Counter
from collections.abc import Collection

import pandas as pd

from finegrain.datasets.layouts.layout import Layout, Listing, OfficialSplit, Record
from finegrain.datasets.split import split_images
from finegrain.errors import UserError

SEEDED, OFFICIAL, OFFICIAL_VALID = "seeded", "official", "official_valid"


def read_official_split(
    listing: Listing, layout: Layout, records: Collection[Record], wanted: str, test_fraction: float
) -> OfficialSplit | None:
    """The official split of a source if it shall be kept, else None.

    `wanted` is `auto` (official where there is one), `official`, `official_valid` or `seeded`.
    Raises a `UserError` if one is wanted and absent or damaged, or a test part shall be drawn too.
    """
    if wanted == SEEDED or (wanted == "auto" and layout.official_split is None):
        return None
    if layout.official_split is None:
        raise UserError(
            f"the layout {layout.name} brings no split along; give --split seeded instead of "
            f"{wanted}"
        )
    if test_fraction:
        raise UserError(
            f"--test-fraction {test_fraction} does not go with the official split of the layout "
            f"{layout.name}, whose test images are given; give --split seeded to draw them"
        )
    return layout.official_split(listing, records)


def keep_official_split(
    table: pd.DataFrame,
    groups: Collection[int],
    official: OfficialSplit,
    wanted: str,
    valid_fraction: float = 0.1,
    seed: int = 0,
) -> list[str]:
    """Assign each image of a table from `gather_images` to the part that the source gives it.

    With `official_valid` its test images are the validation, as most papers on CUB-200-2011
    measure; else the validation is drawn from the training images, as `split_images` does. Nothing
    moves across the split, so duplicates may stand on both sides. Each class needs training images.
    """
    parts = [official.part_of[image] for image in table["image_id"]]
    in_training = [part == "train" for part in parts]
    images, trained = Counter(table["label"]), set(table["label"][in_training])
    untrained = [label for label in images if label not in trained]
    if untrained:
        more = f", and {len(untrained) - 1} more classes likewise" if len(untrained) > 1 else ""
        raise UserError(
            f"the class {untrained[0]} has no training image, because {official.path} gives all "
            f"its {images[untrained[0]]} readable images to the test part{more}; correct the "
            "list, take the class away, or give --split seeded"
        )
    if wanted == OFFICIAL_VALID:
        return ["train" if part == "train" else "valid" for part in parts]
    training = table.assign(group=list(groups))[in_training]
    labels, group_of, sums = (training[name].tolist() for name in ("label", "group", "sha1"))
    drawn = iter(split_images(labels, group_of, sums, valid_fraction, seed=seed))
    return [next(drawn) if part == "train" else part for part in parts]
