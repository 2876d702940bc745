"""The test images of a leaderboard by id: those in a folder, or those that a JSON lists."""

from collections.abc import Collection
from pathlib import Path

from finegrain.datasets.class_names import natural_key
from finegrain.datasets.layouts.annotation_file import (
    data_folder_of,
    image_folder,
    read_annotation_file,
    refuse_leaving,
)
from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError


def unlabelled_images(
    folder: Path, classes: Collection[str] = (), flag: str = "--images"
) -> dict[str, Path]:
    """List a folder of test images, or the images of a JSON such as FGVC's `test.json`.

    Gives id -> path, sorted as a person sorts: `2` before `10`; of a JSON, in its own order. The
    id of an image in a folder is its file name without the suffix. Files that are hidden or have
    no image suffix are left out, and so are subfolders. UserError for no such folder, no images
    in it, two images with one id, or images in folders of the training classes; it names the flag.
    """
    if not folder.exists():
        raise UserError(f"there is no folder {folder}; {flag} takes the folder of test images")
    if folder.is_file() and folder.suffix.lower() == ".json":
        return _listed_images(folder, flag)
    if not folder.is_dir():
        raise UserError(
            f"{folder} is a file; {flag} takes the folder that holds the test images, or a JSON "
            "that lists them"
        )
    images = _images_in(folder)
    with_images = [name for name in _visible_subfolders(folder) if _images_in(folder / name)]
    if with_images and not images:
        raise UserError(
            f"{folder} holds images in subfolders only ({_first(with_images)}), as training "
            f"classes stand; {flag} takes the folder that holds the test images themselves"
        )
    training = [name for name in with_images if name in set(classes)]
    if training:
        raise UserError(
            f"{folder} holds training classes ({_first(training)}); {flag} takes the folder "
            "that holds the test images and no other"
        )
    if not images:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return _by_id(images)


def _listed_images(path: Path, flag: str) -> dict[str, Path]:
    """The images of a JSON beside its images or their folder; annotations do not matter.

    An image without a file name is `<id>.jpg`. One whose file is missing stays in the list: a
    leaderboard wants a row for it all the same.
    """
    images = read_annotation_file(path).images
    if not images:
        raise UserError(f"{path} lists no images; {flag} takes the JSON of the test images")
    names = {
        image: refuse_leaving(name or f"{image}.jpg", f"{path}: the image {image}")
        for image, name in images.items()
    }
    folder = image_folder(path, data_folder_of(path), list(names.values()))
    return {image: folder / name for image, name in names.items()}


def _by_id(images: list[Path]) -> dict[str, Path]:
    by_id: dict[str, Path] = {}
    for path in sorted(images, key=lambda path: natural_key(path.name)):
        other = by_id.setdefault(path.stem, path)
        if other is not path:
            raise UserError(
                f"{other} and {path.name} have one id, {path.stem}, and a submission "
                "has one row an id; remove or rename one of them"
            )
    return dict(sorted(by_id.items(), key=lambda item: natural_key(item[0])))


def _images_in(folder: Path) -> list[Path]:
    # A broken link counts: its id belongs in the submission like that of any unreadable image.
    return [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    ]


def _visible_subfolders(folder: Path) -> list[str]:
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return sorted((name for name in names if not name.startswith(".")), key=natural_key)


def _first(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
