"""The photographs of the world: labelled ones, unlabelled ones, and people seen by two cameras."""

import json
import shutil
from pathlib import Path

from PIL import Image

CLASSES, PER_CLASS = 3, 8
# One in so many looks like another class, so that a model's answers are not all right.
EVERY_MISTAKEN = 4
COLOURS = ((220, 30, 30), (30, 200, 40), (40, 60, 220))
TEST_PHOTOS = 4


def lay_out_photographs(here: Path) -> None:
    """Draw `photos`, `test` and `market-photos`, and write a sample submission of `test`."""
    from finegrain.drawn.breed import demo_breeds, type_id
    from finegrain.drawn.collection import write_photos

    breeds = demo_breeds()[:CLASSES]
    write_photos(here / "photos", breeds, PER_CLASS, seed=1)
    _tint(here / "photos")
    write_photos(here / "drawn", breeds[:2], TEST_PHOTOS // 2, seed=2, unlabelled=True)
    photos = sorted((here / "drawn").iterdir())
    (here / "drawn").rename(here / "test")
    for number, photo in enumerate(photos):
        (here / "test" / photo.name).rename(here / "test" / f"{number}.jpg")
    classes = sorted(str(type_id(breed)) for breed in breeds)
    rows = [["id", *classes], *([str(n), *["0"] * CLASSES] for n in range(len(photos)))]
    (here / "sample.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    listed = {"images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(len(photos))]}
    (here / "test" / "test.json").write_text(json.dumps(listed))
    _market(here / "market-photos", sorted((here / "photos").iterdir()))


def _tint(folder: Path) -> None:
    """Give each class a colour of its own, which two epochs can learn; some get another's."""
    paths = sorted(folder.iterdir())
    labels = sorted({path.name.partition("_")[0] for path in paths})
    for number, path in enumerate(paths):
        place = labels.index(path.name.partition("_")[0]) + (number % EVERY_MISTAKEN == 0)
        colour = COLOURS[place % len(COLOURS)]
        with Image.open(path) as photo:
            tinted = Image.blend(photo.convert("RGB"), Image.new("RGB", photo.size, colour), 0.6)
        tinted.save(path, quality=90)


def _market(folder: Path, photos: list[Path]) -> None:
    """Market-1501 by its names: two people to learn, two to look for, each by two cameras."""
    names = [
        f"bounding_box_train/{who:04d}_c{camera}s1_{frame:06d}_01.jpg"
        for who in (2, 7)
        for camera in (1, 2)
        for frame in (1, 2)
    ]
    for who in (1, 3):
        for camera in (1, 2):
            names.append(f"query/{who:04d}_c{camera}s1_000051_00.jpg")
            names += [
                f"bounding_box_test/{who:04d}_c{camera}s1_00005{box}_0{box}.jpg" for box in (2, 3)
            ]
    for name, photo in zip(names, photos, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(photo, folder / name)
