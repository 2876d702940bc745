"""The images among which similar ones are looked for, with their embeddings by a run."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from finegrain.datasets.layouts import list_source
from finegrain.datasets.manifest import MANIFEST, open_data_set
from finegrain.embeddings.feature_file import FeatureFile, Unreadable
from finegrain.embeddings.photographs import ExportedPhotos, data_set_photos
from finegrain.embeddings.stored import image_embeddings, run_embeddings
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


@dataclass(frozen=True)
class SimilarIndex:
    """Known images, in the order of the rows of their embeddings, and images without a row."""

    features: FeatureFile
    images: list[KnownImage]
    unreadable: list[Unreadable]

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The embeddings, (B,D), in the order of the images."""
        for split, rows in self.features.splits.items():
            for start in range(0, len(rows.paths), size):
                some = np.arange(start, min(start + size, len(rows.paths)))
                yield self.features.read(split, some)


@contextlib.contextmanager
def open_index(
    run_folder: Path, folder: Path, openvino: bool = True, workers: int = 2
) -> Iterator[SimilarIndex]:
    """A folder of known images; embeddings that are not stored yet are computed.

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
    with _embeddings(run_folder, folder, is_data_set, openvino, workers) as features:
        images, unreadable = [], []
        for split, rows in features.splits.items():
            unreadable += rows.unreadable
            for name in rows.paths:
                label = PurePosixPath(name).parent.name
                images.append(KnownImage(folder / name, name, label, split if is_data_set else ""))
        if not images:
            raise UserError(
                f"none of the {len(unreadable)} images in {folder} can be read, the first is "
                f"{unreadable[0].path} ({unreadable[0].reason}); give another --index"
            )
        yield SimilarIndex(features, images, unreadable)


def _embeddings(
    run_folder: Path, folder: Path, is_data_set: bool, openvino: bool, workers: int
) -> FeatureFile:
    if is_data_set:
        data = open_data_set(folder, may_lack_images=True)
        if RunFolder.open(run_folder).config.data.digest == data.digest:
            return run_embeddings(run_folder, folder, openvino, workers)
        photos = data_set_photos(data, all_readable=False)
    else:
        photos = {"images": _photos_in(folder)}
    where = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    path = run_folder / STORED / f"{folder.resolve().name or 'images'}-{where}.h5"
    return image_embeddings(path, run_folder, photos, None, openvino, workers)


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
    names = [path.relative_to(folder).as_posix() for path in paths]
    return ExportedPhotos.unlabelled(paths, names, [path.stem for path in paths])
