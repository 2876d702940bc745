"""Embeddings by a run's finished model, stored in its folder and made anew only when they must."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export, export_key, stored_key
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.photographs import ExportedPhotos, ViewPlan, data_set_photos
from finegrain.embeddings.source import EmbeddingSource, run_source
from finegrain.errors import UserError
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder, open_run_data

EMBEDDINGS = "embeddings.h5"
# What decides over the numbers of a file, whichever images it holds and whatever computed them.
DECISIVE = ("weights", "network", "image_size", "views", "data")


def run_embeddings(
    run_folder: Path, data: Path | None = None, openvino: bool = True, workers: int = 2
) -> FeatureFile:
    """The embeddings of all images of a run's data set, computed if they are not there yet.

    They are those of the layer that `representation` names. They stand in the run folder until its
    model changes; stopped at any moment, the same call goes on. Images that cannot be read have
    no row and are listed in the file.

    Args:
        run_folder: a finished run.
        data: where the run's data set stands now, if it has moved.
        openvino: use OpenVINO where it is installed and pays.
        workers: threads that decode.

    Returns:
        The file, open; rows of each split in the order of the manifest.

    Raises:
        UserError: the run is not finished, its data set is gone or another, the disk is full, or
            an embedding is no finite number.
    """
    path = run_folder / EMBEDDINGS
    source, digest = _source(path, run_folder), RunFolder.open(run_folder).config.data.digest
    key = export_key(Export(run_folder, [], digest, {}, ViewPlan(), openvino), source)
    stored = stored_key(path)
    if stored is not None and all(stored.get(name) == key[name] for name in DECISIVE):
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
    """The embeddings of any images, computed if the file does not hold them yet.

    Stopped at any moment, the same call goes on. A file that was made by another model, or of
    images that have changed since, is made anew.

    Args:
        path: the file, ending in `.h5`.
        run_folder: a finished run.
        photos: split -> its images.
        views: which views of each; by default the image as it is.
        openvino: use OpenVINO where it is installed and pays.
        workers: threads that decode.

    Returns:
        The file, open; rows of each split in the order of its photographs.

    Raises:
        UserError: the run is not finished, an image with a checksum can no longer be read, the
            disk is full, another process fills the file, or an embedding is no finite number.
    """
    classes = open_finished_run(run_folder).classes
    export = Export(path.parent, classes, "", photos, views or ViewPlan(), openvino)
    return _made(export, _source(path, run_folder), workers)


def mean_embeddings(features: FeatureFile, split: str) -> np.ndarray:
    """The mean over the views of each image, (N,D) float32, in the order of the first views."""
    views = features.splits[split].views
    count = len(np.unique(views))
    total = np.zeros((len(views) // max(1, count), features.width), "float32")
    for number in np.unique(views):
        total += features.read(split, np.flatnonzero(views == number))
    return total / np.float32(max(1, count))


def _source(path: Path, run_folder: Path) -> EmbeddingSource:
    backbone = RunFolder.open(run_folder).config.backbone
    return replace(run_source(run_folder), name=path.stem, title=backbone)


def _made(export: Export, source: EmbeddingSource, workers: int) -> FeatureFile:
    path = export.path(source)
    if path.exists() and stored_key(path) != export_key(export, source):
        print(
            f"{path} is damaged, or of another model or other images; it is made anew", flush=True
        )
        path.unlink()
    export_embeddings(export, [source], workers)
    return FeatureFile(path)
