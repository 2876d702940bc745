"""Market-1501: people seen by several cameras (Zheng et al. 2015, "Scalable Person
Re-identification: A Benchmark").

`0002_c1s1_000451_03.jpg` is identity 0002 seen by camera 1 in its sequence 1, frame 451, box 3.
`bounding_box_train` holds the people to learn from; those of `query` are looked for in
`bounding_box_test`, the gallery. There, identity -1 is junk, a bad detection that the protocol
ignores, and identity 0 a distractor, which nobody looks for.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.datasets.retrieval import CAMERA, DISTRACTOR, IDENTITY
from finegrain.errors import UserError

TRAIN, GALLERY, QUERY = "bounding_box_train", "bounding_box_test", "query"
# Folder -> what it becomes; None: classes to learn.
PART_OF = {TRAIN: None, GALLERY: "gallery", QUERY: "query"}
EXAMPLE = "0002_c1s1_000451_03.jpg"
# A few copies of the set end names in .jpg.jpg.
NAME = re.compile(r"(-1|[0-9]+)_c([0-9]+)s[0-9]+_[0-9]+_[0-9]+(\.jpg)?")
JUNK = -1


def parse(stem: str) -> tuple[str, int] | None:
    """`0002_c1s1_000451_03` is identity `0002`, camera 1."""
    fitting = NAME.fullmatch(stem)
    return (fitting[1], int(fitting[2])) if fitting else None


def matches(listing: Listing) -> bool:
    """The training folder stands there, or its images themselves do."""
    return TRAIN in listing.folders or _fitting(listing.images)


def read(listing: Listing) -> Iterator[Record]:
    """Yield the images of the three folders, all of which must be there; leave out nobody's."""
    _check_folders(listing)
    junk, nobody, other = [], [], []
    for folder, images in listing.folders.items():
        if folder not in PART_OF:
            other += [f"{folder}/{path.name}" for path in images]
            continue
        for path in images:
            if (parsed := parse(path.stem)) is None:
                raise UserError(
                    f"the file name {path.name} in {path.parent} does not tell identity and camera "
                    f"as {EXAMPLE} does; rename it or move it away"
                )
            label, camera = parsed
            identity = int(label)
            if identity == JUNK:
                junk.append(path.name)
            elif identity == DISTRACTOR and folder != GALLERY:
                nobody.append(f"{folder}/{path.name}")
            else:
                columns = {IDENTITY: str(identity), CAMERA: str(camera)}
                yield Record(path, label, path.stem, part=PART_OF[folder], columns=columns)
    listing.left_out += [
        ("junk images (identity -1), which the protocol ignores", junk),
        ("images of nobody (identity 0) to learn or to look for", nobody),
        ("images in folders without a part in the protocol", other),
    ]


def _check_folders(listing: Listing) -> None:
    folder = listing.folder
    if TRAIN not in listing.folders and _fitting(listing.images):
        raise UserError(
            f"{folder} is one part of Market-1501; give the folder that holds {TRAIN}, {GALLERY} "
            f"and {QUERY}: --source {folder.absolute().parent}"
        )
    for name in PART_OF:
        if not listing.folders.get(name):
            fault = "is empty" if name in listing.folders else "is missing"
            raise UserError(
                f"{folder / name} {fault}; Market-1501 has its images in {TRAIN}, {GALLERY} and "
                f"{QUERY}: unpack it again"
            )


def _fitting(images: list[Path]) -> bool:
    return 2 * sum(parse(path.stem) is not None for path in images) > len(images)


LAYOUT = Layout("market1501", f"{TRAIN}/{EXAMPLE}", matches, read, own_index=True)
