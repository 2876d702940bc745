"""Embeddings by a run's finished model, stored in its folder and made anew only if they must.

Of its own data set, of any images, and of an index of images among which to look for similar ones.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from finegrain.datasets.layouts.layout import list_source
from finegrain.datasets.manifest import MANIFEST, open_data_set
from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export, export_key, stored_key
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.known_images import SimilarIndex
from finegrain.embeddings.photographs import ExportedPhotos, ViewPlan, data_set_photos
from finegrain.embeddings.source import EmbeddingSource, run_source
from finegrain.errors import UserError
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder, open_run_data

EMBEDDINGS = "embeddings.h5"
# Folder for embeddings of images that are not of the run's own data set.
SIMILAR = "similar"
# What decides over the numbers of a file, whichever images it holds and whatever computed them.
DECISIVE = ("weights", "network", "image_size", "fit", "views", "data")


def run_embeddings(
    run_folder: Path, data: Path | None = None, openvino: bool = True, workers: int = 2
) -> FeatureFile:
    """The embeddings of a run's data set, in the order of the manifest, computed if need be.

    They are those of the layer that `representation` names. They stand in the run folder until its
    model changes; stopped at any moment, the same call goes on. Images that cannot be read have
    no row and are listed in the file. `data` is where the data set stands now, if it has moved;
    `workers` are threads that decode.

    Raises:
        UserError: the run is not finished, its data set is gone or another, the disk is full, or
            an embedding is no finite number.
    """
    path = run_folder / EMBEDDINGS
    recorded = RunFolder.open(run_folder).config.data
    digest, images = recorded.digest, sum(recorded.images.values())
    source = _source(path, run_folder, openvino, images)
    key = export_key(Export(run_folder, [], digest, {}, ViewPlan(), openvino), source)
    stored = stored_key(path)
    if stored is not None and all(stored.get(name) == key.get(name) for name in DECISIVE):
        # A data set that was copied elsewhere, or has lost an image, has the same embeddings.
        with contextlib.suppress(UserError):
            return FeatureFile(path)
    opened = open_run_data(run_folder, data)
    photos = data_set_photos(opened, all_readable=False)
    export = Export(run_folder, opened.classes, opened.digest, photos, ViewPlan(), openvino)
    return _made(export, source, workers)


def image_embeddings(
    path: Path,
    run_folder: Path,
    photos: Mapping[str, ExportedPhotos],
    views: ViewPlan | None = None,
    openvino: bool = True,
    workers: int = 2,
) -> FeatureFile:
    """The embeddings of any images (split -> images), in their order, computed if need be.

    Stopped at any moment, the same call goes on. A file that was made by another model, or of
    images that have changed since, is made anew. It ends in `.h5`.

    Raises:
        UserError: the run is not finished, an image with a checksum can no longer be read, the
            disk is full, another process fills the file, or an embedding is no finite number.
    """
    classes = open_finished_run(run_folder).classes
    export = Export(path.parent, classes, "", photos, views or ViewPlan(), openvino)
    images = sum(export.rows().values())
    return _made(export, _source(path, run_folder, openvino, images), workers)


def mean_embeddings(features: FeatureFile, split: str) -> np.ndarray:
    """The mean over the views of each image, (N,D) float32, in the order of the first views."""
    views = features.splits[split].views
    count = len(np.unique(views))
    total = np.zeros((len(views) // max(1, count), features.width), "float32")
    for number in np.unique(views):
        total += features.read(split, np.flatnonzero(views == number))
    return total / np.float32(max(1, count))


def _source(path: Path, run_folder: Path, openvino: bool, images: int) -> EmbeddingSource:
    backbone = RunFolder.open(run_folder).config.backbone
    source = run_source(run_folder, openvino, images)
    return replace(source, name=path.stem, title=backbone)


def _made(export: Export, source: EmbeddingSource, workers: int) -> FeatureFile:
    path = export.path(source)
    if path.exists() and stored_key(path) != export_key(export, source):
        print(
            f"{path} is damaged, or of another model or other images; it is made anew", flush=True
        )
        path.unlink()
    export_embeddings(export, [source], workers)
    return FeatureFile(path)


@contextlib.contextmanager
def open_index(
    run_folder: Path, folder: Path, openvino: bool = True, workers: int = 2
) -> Iterator[SimilarIndex]:
    """A folder of known images; embeddings that are not stored yet are computed.

    They are stored in the run folder: `embeddings.h5` for its own data set, below `similar/` for
    any other. Stopped at any moment, the same call goes on. The folder is that of a data set, or
    any with images in itself or in folders of classes.

    Raises:
        UserError: no such folder, no readable image in it, or see `image_embeddings`.
    """
    is_data_set = (folder / MANIFEST).is_file()
    with _embeddings(run_folder, folder, is_data_set, openvino, workers) as features:
        index = SimilarIndex(features, folder, is_data_set)
        if not len(index):
            lost = index.unreadable
            raise UserError(
                f"none of the {len(lost)} images in {folder} can be read, the first is "
                f"{lost[0].path} ({lost[0].reason}); give another --index"
            )
        yield index


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
    path = run_folder / SIMILAR / f"{folder.resolve().name or 'images'}-{where}.h5"
    return image_embeddings(path, run_folder, photos, None, openvino, workers)


def _photos_in(folder: Path) -> ExportedPhotos:
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"--index {folder} {state}; give a data set folder or a folder of images")
    paths = list_source(folder).all_images
    if not paths:
        raise UserError(
            f"--index {folder} holds no images, in itself or in its folders; give a data set "
            "folder or a folder of images"
        )
    names = [path.relative_to(folder).as_posix() for path in paths]
    return ExportedPhotos.unlabelled(paths, names, [path.stem for path in paths])
