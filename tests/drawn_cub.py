"""A small CUB-200-2011: the lists and folders of the real archive, with drawn photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

BIRDS = ["Black_footed_Albatross", "Laysan_Albatross", "Groove_billed_Ani"]
SIZE = (60, 44)


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC)


def box_of(image: int) -> tuple[float, float, float, float]:
    """Left, top, width, height; different for every image, inside SIZE."""
    return 4.0 + image % 7, 3.0 + image % 5, 30.0 + image % 3, 25.0


def plain(number: int) -> str:
    return BIRDS[number]


def numbered(number: int) -> str:
    return f"{number + 1:03d}.{BIRDS[number]}"


def make_cub(
    root: Path,
    per_class: int = 6,
    listed: Callable[[int], str] = numbered,
    named: Callable[[int], str] = numbered,
    on_disk: Callable[[int], str] = numbered,
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write the archive's files.

    Image ids count from 1, class by class; every third image of a class is a test image.

    Args:
        root: the folder to make, CUB_200_2011.
        per_class: images a class.
        listed: a class's folder as `images.txt` has it.
        named: a class's name as `classes.txt` has it.
        on_disk: a class's folder as the disk has it.
        size: width and height of the photographs.
    """
    lists = {name: [] for name in ("images", "image_class_labels", "train_test_split", "boxes")}
    image = 0
    for number, bird in enumerate(BIRDS):
        folder = root / "images" / on_disk(number)
        folder.mkdir(parents=True)
        for count in range(per_class):
            image += 1
            name = f"{bird}_{count:04d}_{image}.jpg"
            picture(image, size).save(folder / name, quality=95)
            lists["images"].append(f"{image} {listed(number)}/{name}")
            lists["image_class_labels"].append(f"{image} {number + 1}")
            lists["train_test_split"].append(f"{image} {int(count % 3 != 2)}")
            lists["boxes"].append(" ".join(map(str, (image, *box_of(image)))))
    lists["bounding_boxes"] = lists.pop("boxes")
    lists["classes"] = [f"{number + 1} {named(number)}" for number in range(len(BIRDS))]
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for name in ("attributes", "parts"):
        (root / name).mkdir()
        (root / name / f"{name}.txt").write_text("1 has_bill_shape::dagger\n")
    (root / "README").write_text("The Caltech-UCSD Birds-200-2011 Dataset\n")
    (root.parent / "attributes.txt").write_text("1 has_bill_shape::dagger\n")
    return root


def edit(path: Path, line: int, new: str | None) -> None:
    """Replace a line, counted from 1; None takes it away."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if new is None else [new]
    path.write_text("\n".join(lines) + "\n")
