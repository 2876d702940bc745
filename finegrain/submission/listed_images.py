"""The test images that a JSON lists, under its own ids."""

from pathlib import Path

from finegrain.datasets.layouts.annotated_paths import image_folder
from finegrain.datasets.layouts.annotation_file import read_annotation_file, refuse_leaving
from finegrain.datasets.layouts.find_annotations import data_folder_of
from finegrain.errors import UserError


def listed_images(path: Path) -> dict[str, Path]:
    """List the images of a JSON such as FGVC's `test.json`; annotations in it do not matter.

    An image without a file name is `<id>.jpg`. One whose file is missing stays in the list: a
    leaderboard wants a row for it all the same.

    Args:
        path: the JSON, beside its images or beside the folder that they stand in.

    Returns:
        id -> path, in the order of the JSON.

    Raises:
        UserError: see `read_annotation_file`; no images are listed, or none is there.
    """
    images = read_annotation_file(path).images
    if not images:
        raise UserError(f"{path} lists no images; --images takes the JSON of the test images")
    names = {
        image: refuse_leaving(name or f"{image}.jpg", f"{path}: the image {image}")
        for image, name in images.items()
    }
    folder = image_folder(path, data_folder_of(path), list(names.values()))
    return {image: folder / name for image, name in names.items()}
