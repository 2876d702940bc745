"""An export as an index of known images, and the network that made it, for further ones."""

import contextlib
import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finegrain.embeddings.export_file import MADE_FROM, stored_key, stored_note
from finegrain.embeddings.feature_shards import open_all_features
from finegrain.embeddings.known_images import SimilarIndex
from finegrain.embeddings.shard import FILE_NAME
from finegrain.embeddings.shared_file import SharedFile
from finegrain.embeddings.source import EmbeddingSource, pretrained_source, run_source
from finegrain.errors import UserError

# As `--pixels` of recipes/export_features.py; a file tells of it in the digest of its network only.
PIXELS = ("own", "unit", "raw")
# What an embedding depends on, whichever photograph it is of and whatever computes it.
DECISIVE = ("weights", "network", "image_size", "fit")


@contextlib.contextmanager
def open_exported_index(path: Path, photos: Path | None = None) -> Iterator[SimilarIndex]:
    """The rows of an exported file, or of all shards that stand beside a shard.

    Args:
        path: of the file, or of any of the shards.
        photos: the data set folder that was exported, where it is still there.

    Raises:
        UserError: the file is damaged or of another layout, has no rows, or a shard is missing.
    """
    (features,) = open_all_features(_shards_beside(path))
    with features:
        if isinstance(features, SharedFile):
            raise _untold(path, "rows of the older layouts have no names")
        index = SimilarIndex(features, photos or Path(), is_data_set=True, is_export=True)
        if not len(index):
            raise UserError(f"--index {path} holds no rows; export photographs that can be read")
        yield index


def exported_source(
    path: Path, run: Path | None = None, openvino: bool = True, images: int = 0
) -> EmbeddingSource:
    """The network that made the rows of a file.

    Args:
        path: of the file, or of one of its shards.
        run: the run whose model it is, where it is not where it was; for an export of a run.
        openvino, images: see `run_source`.

    Raises:
        UserError: the network is not told, or is no longer the same.
    """
    key, made_from = stored_key(path), stored_note(path, MADE_FROM)
    if key is None or made_from is None:
        raise _untold(path, "the file does not say")
    if run is None and isinstance(made_from.get("run"), str):
        run = Path(made_from["run"])
        if not run.is_dir():
            raise UserError(
                f"{path} was made by the run {run}, which is not there; say with --run where it is"
            )
    if run is not None:
        source = run_source(run, openvino, images)
        if _is_same(source, key):
            return source
        raise UserError(
            f"{path} was made by another model than that of {run}; give the --run that made it, or "
            "export again"
        )
    from finegrain.models.backbone import check_weights_name
    from finegrain.models.backbone_table import fed_with, find_backbone

    name, weights, size = made_from.get("backbone"), made_from.get("weights"), key.get("image_size")
    sides = size if isinstance(size, list) else [size]
    if not (isinstance(name, str) and isinstance(weights, str) and isinstance(sides[0], int)):
        raise _untold(path, "the file does not say")
    spec = find_backbone(name)
    check_weights_name(weights)
    for pixels in PIXELS:
        source = pretrained_source(fed_with(spec, pixels), weights, sides[0])
        if _is_same(source, key):
            return source
    raise _untold(path, f"{name} with --weights {weights} is another one here")


def _is_same(source: EmbeddingSource, key: Mapping[str, Any]) -> bool:
    own = {"weights": source.weights, "network": source.network, **source.frame.key()}
    return all(own.get(name) == key.get(name) for name in DECISIVE)


def _shards_beside(path: Path) -> list[Path]:
    found = FILE_NAME.fullmatch(path.stem)
    if found is None or path.suffix != ".h5":
        return [path]
    pattern = f"{glob.escape(found['name'])}.shard-*-of-{found['of']}.h5"
    return sorted(path.parent.glob(pattern)) or [path]


def _untold(path: Path, why: str) -> UserError:
    return UserError(
        f"the network that made {path} cannot be told ({why}); export the photographs again, or "
        "give their folder as --index, with --run"
    )
