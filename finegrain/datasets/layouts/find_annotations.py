"""Which JSON files of a source hold annotations, told without parsing them."""

import mmap
from pathlib import Path

from finegrain.regular_file import open_regular

# What FGVC, iNaturalist and COCO files of labelled images have in common.
KEYS = (b'"annotations"', b'"image_id"', b'"category_id"')
# Where more stand, they are notes beside each image and no table of all.
MOST_FILES = 20
# COCO keeps its JSON files in a folder of this name, beside the folders of images.
COCO_FOLDER = "annotations"


def annotation_files(folder: Path) -> list[Path]:
    """The JSON files in a folder, or in its folder `annotations`, that label images by id."""
    found = []
    for place in (folder, folder / COCO_FOLDER):
        files = [path for path in place.glob("*.json") if not path.name.startswith(".")]
        if len(files) <= MOST_FILES:
            found += [path for path in sorted(files) if _labels_images(path)]
    return found


def data_folder_of(annotation_file: Path) -> Path:
    """The folder that a JSON's paths must stay in."""
    folder = annotation_file.parent
    return folder.parent if folder.name == COCO_FOLDER else folder


def _labels_images(path: Path) -> bool:
    try:
        with (
            open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            return all(text.find(key) >= 0 for key in KEYS)
    except (OSError, ValueError):
        # Empty files cannot be mapped; what cannot be read is no annotation file of ours.
        return False
