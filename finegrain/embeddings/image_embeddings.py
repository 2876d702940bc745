"""Embeddings of any images by a run's finished model, stored and made anew only when they must."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export, export_key
from finegrain.embeddings.exported_photos import ExportedPhotos
from finegrain.embeddings.exported_views import ViewPlan
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.run_source import run_source
from finegrain.regular_file import refuse_special
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder, versions


def image_embeddings(
    path: Path,
    run_folder: Path,
    photos: Mapping[str, ExportedPhotos],
    views: ViewPlan | None = None,
    openvino: bool = True,
    workers: int = 2,
) -> FeatureFile:
    """The embeddings of images, computed if the file does not hold them yet.

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
    title = RunFolder.open(run_folder).config.backbone
    classes = open_finished_run(run_folder).classes
    source = replace(run_source(run_folder), name=path.stem, title=title)
    export = Export(
        path.parent, classes, "", photos, views or ViewPlan(), openvino, {"versions": versions()}
    )
    if path.exists() and _stored_key(path) != export_key(export, source):
        print(f"{path} is damaged, or of another model or other images; it is made anew")
        path.unlink()
    export_embeddings(export, [source], workers)
    return FeatureFile(path)


def mean_embeddings(features: FeatureFile, split: str) -> np.ndarray:
    """The mean over the views of each image, (N,D) float32, in the order of the first views."""
    views = features.splits[split].views
    total: np.ndarray | None = None
    numbers = np.unique(views)
    for number in numbers:
        rows = features.read(split, np.flatnonzero(views == number))
        total = rows if total is None else total + rows
    if total is None:
        return np.empty((0, features.width), "float32")
    return total / np.float32(len(numbers))


def _stored_key(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError, TypeError):
        refuse_special(path)
        with h5py.File(path, "r", locking=False) as file:
            return json.loads(file.attrs["key"])
    return None
