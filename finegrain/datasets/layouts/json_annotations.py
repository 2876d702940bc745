"""FGVC, iNaturalist and COCO: a JSON of images, annotations and categories."""

import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from finegrain.datasets.class_names import unfit_for_folder
from finegrain.datasets.layouts.annotation_file import (
    AnnotationFile,
    image_folder,
    read_annotation_file,
    refuse_leaving,
)
from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.errors import UserError

MOST_EXAMPLES = 3


def read(listing: Listing) -> Iterator[Record]:
    """Yield the annotated images under the JSON's image ids and category ids.

    Classes are called as `category_names` says. Images without a file name are looked for where
    FGVC has them; one with several categories becomes a problem. Where a class would hold two files
    of one name, all files are named by their image ids. Raises a `UserError` if there is not
    exactly one JSON, if no image is there, or if two images share a file.
    """
    annotated = read_annotation_file(_chosen(listing))
    if not annotated.labels:
        raise UserError(f"{annotated.path} has no annotations; give the JSON of labelled images")
    _tell_left_out(annotated, listing)
    names = {image: _file_name(annotated, image) for image in annotated.labels}
    image_of: dict[str, str] = {}
    for image, name in names.items():
        if (other := image_of.setdefault(name, image)) != image:
            raise UserError(
                f"{annotated.path}: the images {other} and {image} have one file name, {name}; "
                "each needs a file of its own"
            )
    folder = image_folder(annotated.path, listing.folder, list(names.values()))
    classes, notices = category_names(annotated)
    listing.notices += notices
    placed = {(classes[annotated.labels[i][0]], Path(name).name) for i, name in names.items()}
    by_id = len(placed) < len(names) and not any("/" in image for image in names)
    for image, categories in annotated.labels.items():
        problem = None
        if len(categories) > 1:
            problem = f"{annotated.path.name} gives it several categories: {', '.join(categories)}"
        path, category = folder / names[image], categories[0]
        rename = f"{image}{path.suffix}" if by_id else None
        yield Record(path, classes[category], image, problem, category, rename)


def _chosen(listing: Listing) -> Path:
    files = listing.annotation_files
    training = [path for path in files if "train" in path.stem.lower()]
    for choice in (files, training):
        if len(choice) == 1:
            return choice[0]
    if not files:
        raise UserError(
            f"no JSON with images, annotations and categories stands in {listing.folder}; name "
            "it with --source, or give another --layout"
        )
    raise UserError(
        f"several JSON files in {listing.folder} hold annotations "
        f"({', '.join(path.name for path in files[:5])}); name one: --source {files[0]}"
    )


def _file_name(annotated: AnnotationFile, image: str) -> str:
    """The file name that the JSON gives an image, or the one that FGVC would."""
    if (name := annotated.images[image]) is not None:
        return name
    category = annotated.labels[image][0]
    where = f"{annotated.path}: the image {image}"
    try:
        number = int(category) + 1
    except ValueError as error:
        raise UserError(
            f"{where} has no file_name, and its category_id {category} is no number that would "
            "tell its folder; add a file_name"
        ) from error
    return refuse_leaving(f"train/category_{number}/{image}.jpg", where)


def _tell_left_out(annotated: AnnotationFile, listing: Listing) -> None:
    name = annotated.path.name
    used = {category for labels in annotated.labels.values() for category in labels}
    known = annotated.categories if annotated.categories is not None else _counted_through(used)
    empty = [category for category in known if category not in used]
    unlabelled = [image for image in annotated.images if image not in annotated.labels]
    listing.left_out += [
        (f"ids of images in {name} without an annotation", unlabelled),
        (f"ids of categories in {name} without an image", empty),
    ]


def _counted_through(used: set[str]) -> list[str]:
    """Where nothing lists the categories, their ids are expected to follow one another."""
    if not all(category.isdecimal() for category in used):
        return []
    numbers = [int(category) for category in used]
    counted = range(min(numbers), max(numbers))
    # Ids far apart were never meant to be counted through.
    return [str(number) for number in counted] if len(counted) <= 2 * len(numbers) else []


def category_names(annotated: AnnotationFile) -> tuple[dict[str, str], list[str]]:
    """Category id -> class name; and a sentence about what is wrong with the names, if anything.

    All go by their ids where one name is missing, stands twice or cannot be a folder: names beside
    ids could mean one another, and a category mended later would change the order of others.
    """
    known = annotated.categories or {}
    names = {i: known.get(i) for labels in annotated.labels.values() for i in labels}
    own_ids = {category: category for category in names}
    if not any(name is not None for name in names.values()):
        return own_ids, []
    faults = _faults(names)
    if not faults:
        return {category: name for category, name in names.items() if name is not None}, []
    more = f", and {len(faults) - MOST_EXAMPLES} more" if len(faults) > MOST_EXAMPLES else ""
    notice = (
        f"all {len(names)} classes go by their category ids, since not every name in "
        f"{annotated.path.name} serves: {'; '.join(faults[:MOST_EXAMPLES])}{more}"
    )
    return own_ids, [notice]


def _faults(names: Mapping[str, str | None]) -> list[str]:
    """A clause for each category whose name cannot be that of a class."""
    faults: list[str] = []
    owners: dict[str, str] = {}
    for category, name in names.items():
        if name is None:
            faults.append(f"category {category} has no name that is a text")
            continue
        owner = owners.setdefault(name, category)
        reason = unfit_for_folder(name)
        if reason is None and owner != category:
            reason = f"category {owner} has it too"
        if reason is not None:
            faults.append(f"category {category} is called {reprlib.repr(name)}, but {reason}")
    return faults


LAYOUT = Layout(
    "json_annotations",
    "annotations in a JSON",
    lambda listing: bool(listing.annotation_files),
    read,
    own_index=True,
)
