"""`embeddings.h5`: the embeddings of a run's own data set by its finished model."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py

from finegrain.embeddings.embedding_source import EmbeddingSource
from finegrain.embeddings.export import export_embeddings
from finegrain.embeddings.export_file import Export
from finegrain.embeddings.exported_photos import ExportedPhotos, data_set_photos
from finegrain.embeddings.exported_views import ViewPlan
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.run_source import run_source
from finegrain.errors import UserError
from finegrain.features.feature_key import network_digest
from finegrain.models.backbone import weights_digest
from finegrain.regular_file import refuse_special
from finegrain.runs.run_folder import RunFolder, open_run_data, versions

EMBEDDINGS = "embeddings.h5"


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
    config = RunFolder.open(run_folder).config
    source = replace(run_source(run_folder), name=Path(EMBEDDINGS).stem, title=config.backbone)
    path, key = run_folder / EMBEDDINGS, _made_from(source, config.data.digest)
    stored = _stored_key(path)
    if stored is not None and all(stored.get(name) == value for name, value in key.items()):
        # A data set that was copied elsewhere, or has lost an image, has the same embeddings.
        with contextlib.suppress(UserError):
            return FeatureFile(path)
    opened = open_run_data(run_folder, data)
    photos = {split: _may_be_unreadable(some) for split, some in data_set_photos(opened).items()}
    export = Export(
        run_folder,
        opened.classes,
        opened.digest,
        photos,
        ViewPlan(),
        openvino,
        {"versions": versions()},
    )
    if path.exists() and not _goes_on(stored, key, export):
        print(f"{path} belongs to another model, or is damaged; it is made anew", flush=True)
        path.unlink()
    export_embeddings(export, [source], workers)
    return FeatureFile(path)


def _made_from(source: EmbeddingSource, digest: str) -> dict[str, Any]:
    """The part of the file's key that makes its numbers what they are."""
    return {
        "weights": weights_digest(source.network),
        "network": network_digest(source.network),
        "image_size": list(source.image_size),
        "views": ViewPlan().described(),
        "data": digest,
    }


def _stored_key(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError, TypeError):
        refuse_special(path)
        with h5py.File(path, "r", locking=False) as file:
            key = json.loads(file.attrs["key"])
            return key if isinstance(key, dict) else None
    return None


def _goes_on(stored: dict[str, Any] | None, key: dict[str, Any], export: Export) -> bool:
    if stored is None or any(stored.get(name) != value for name, value in key.items()):
        return False
    images = {split: photos.digest() for split, photos in export.photos.items()}
    engine = "openvino" if export.openvino else "keras"
    return stored.get("images") == images and stored.get("engine") == engine


def _may_be_unreadable(photos: ExportedPhotos) -> ExportedPhotos:
    # Without checksums they pass for images that the export may leave out.
    return replace(photos, checksums=[])
