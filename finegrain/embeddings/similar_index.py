"""The images among which similar ones are looked for, with their embeddings by a run."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from finegrain.datasets.layouts import list_source
from finegrain.datasets.manifest import MANIFEST, open_data_set
from finegrain.embeddings.exported_photos import NO_LABEL, ExportedPhotos, data_set_photos
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.image_embeddings import image_embeddings
from finegrain.embeddings.run_embeddings import run_embeddings
from finegrain.embeddings.split_rows import Unreadable
from finegrain.errors import UserError
from finegrain.runs.run_folder import RunFolder

# Of a run folder: embeddings of images that are not of its own data set.
STORED = "similar"
# Rows in memory at a time: 16,384 x 2,048 numbers take 134 MB, a search three times that.
BLOCK = 16_384


@dataclass(frozen=True)
class KnownImage:
    """An image of the index.

    Attributes:
        path: the file.
        name: its path below the index.
        label: its class, empty where the folder tells none.
        split: `train`, `valid` or `test`, empty where it is of no data set.
    """

    path: Path
    name: str
    label: str
    split: str


class SimilarIndex:
    """Known images and their embeddings; close it, or use it in a `with`.

    Attributes:
        images: all of them, in the order of the rows.
        unreadable: images without a row.
    """

    def __init__(self, folder: Path, features: FeatureFile, is_data_set: bool):
        self._features = features
        self.images: list[KnownImage] = []
        self.unreadable: list[Unreadable] = []
        for split, rows in features.splits.items():
            self.unreadable += rows.unreadable
            for name in rows.paths:
                parts = PurePosixPath(name).parts
                label = parts[-2] if len(parts) > 1 else ""
                kind = split if is_data_set else ""
                self.images.append(KnownImage(folder / name, name, label, kind))

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The embeddings, (B,D), in the order of the images."""
        for split, rows in self._features.splits.items():
            for start in range(0, len(rows.paths), size):
                some = np.arange(start, min(start + size, len(rows.paths)))
                yield self._features.read(split, some)

    def close(self) -> None:
        """Close the file of embeddings."""
        self._features.close()

    def __enter__(self) -> "SimilarIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_index(
    run_folder: Path, folder: Path, openvino: bool = True, workers: int = 2
) -> SimilarIndex:
    """Open a folder of known images; embeddings that are not stored yet are computed.

    They are stored in the run folder: `embeddings.h5` for its own data set, below `similar/` for
    any other. Stopped at any moment, the same call goes on.

    Args:
        run_folder: a finished run.
        folder: a data set folder, or any folder of images, in itself or in folders of classes.
        openvino: use OpenVINO where it is installed and pays.
        workers: threads that decode.

    Raises:
        UserError: no such folder, no readable image in it, or see `image_embeddings`.
    """
    is_data_set = (folder / MANIFEST).is_file()
    if is_data_set:
        data = open_data_set(folder, may_lack_images=True)
        if RunFolder.open(run_folder).config.data.digest == data.digest:
            features = run_embeddings(run_folder, folder, openvino, workers)
            return _not_empty(folder, SimilarIndex(folder, features, True))
        # Without checksums an image that cannot be read is left out instead of refused.
        photos = {
            split: replace(some, checksums=[]) for split, some in data_set_photos(data).items()
        }
    else:
        photos = {"images": _photos_in(folder)}
    where = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    path = run_folder / STORED / f"{folder.resolve().name or 'images'}-{where}.h5"
    features = image_embeddings(path, run_folder, photos, None, openvino, workers)
    return _not_empty(folder, SimilarIndex(folder, features, is_data_set))


def _not_empty(folder: Path, index: SimilarIndex) -> SimilarIndex:
    if index.images:
        return index
    index.close()
    raise UserError(
        f"none of the {len(index.unreadable)} images in {folder} can be read, the first is "
        f"{index.unreadable[0].path} ({index.unreadable[0].reason}); give another --index"
    )


def _photos_in(folder: Path) -> ExportedPhotos:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"--index {folder} {what}; give a data set folder or a folder of images")
    paths = list_source(folder).all_images
    if not paths:
        raise UserError(
            f"--index {folder} holds no images, in itself or in its folders; give a data set "
            "folder or a folder of images"
        )
    none = np.zeros(len(paths), np.int64)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return ExportedPhotos(paths, names, [path.stem for path in paths], none + NO_LABEL, none, [])
