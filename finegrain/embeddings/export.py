"""Export the embeddings of photographs: one decoding serves all backbones of an input size."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from finegrain.embeddings.export_file import Export, close_up, is_finished, open_export_file
from finegrain.embeddings.photographs import ExportedViews
from finegrain.embeddings.source import EmbeddingSource
from finegrain.errors import UserError
from finegrain.features.compute import BATCH, FeatureComputer, FeatureOverflow, decoded_stretches
from finegrain.frame import Frame
from finegrain.inference.opened import Inference
from finegrain.models.heads import EMBEDDING
from finegrain.stores.row_store import RowStore
from finegrain.whole_files import DISK_FULL


@dataclass
class _Target:
    source: EmbeddingSource
    store: RowStore
    computer: FeatureComputer
    missing: dict[str, np.ndarray]


def export_embeddings(export: Export, sources: Sequence[EmbeddingSource], workers: int) -> None:
    """Write one file a backbone, or go on with those that were not finished.

    Stopped at any moment, even killed, a file keeps what was written until some seconds before.
    Memory holds the networks and three batches of pixels, however many photographs there are.
    Images without a checksum that cannot be read have no rows; the file lists them.

    Raises:
        UserError: see `open_export_file`; a labelled image can no longer be read, an embedding
            is no finite number, the disk is full.
    """
    targets: dict[Frame, list[_Target]] = defaultdict(list)
    with contextlib.ExitStack() as stores:
        # All of them before the first is filled: what is wrong with the last shows at once.
        for source in sources:
            target = _target(export, source)
            stores.callback(target.store.close)
            targets[source.frame].append(target)
        for frame, group in targets.items():
            _fill(export, group, frame, workers)


def _target(export: Export, source: EmbeddingSource) -> _Target:
    source.check(max(1, min(BATCH, sum(export.rows().values()))), export.openvino)
    store = open_export_file(export, source)
    missing = {split: ~store.done(split) for split in store.splits}
    total, left = sum(map(len, missing.values())), sum(int(rows.sum()) for rows in missing.values())
    height, width = source.frame.size
    print(
        f"{source.name}: {source.width} numbers a photograph at {height} x {width}, "
        f"{total - left} of {total} rows there already, in {store.path}",
        flush=True,
    )
    expected = left if export.shard is None else export.rows_of_all_shards()
    opened = source.engine(export.openvino, expected, export.judged(source.frame))
    if export.shard is not None:
        opened = _as_all_shards_do(export, source.frame, opened)
    return _Target(source, store, FeatureComputer(opened, store.kinds), missing)


def _as_all_shards_do(
    export: Export, frame: Frame, opened: Callable[[np.ndarray], Inference]
) -> Callable[[np.ndarray], Inference]:
    """Open an engine by the first batch of the whole export, on which its precision depends."""

    def open_alike(own: np.ndarray) -> Inference:
        split = next(split for split, photos in export.photos.items() if photos.paths)
        photos = export.photos[split].part(0, export.batch(split))
        views = ExportedViews(photos, frame, export.views)
        rows = np.arange(len(photos.paths) * export.views.count(split))
        ((_, pixels, _),) = decoded_stretches(views, rows, 1, len(photos.paths))
        # None of them may be readable.
        return opened(pixels if len(pixels) else own)

    return open_alike


def _fill(export: Export, targets: list[_Target], frame: Frame, workers: int) -> None:
    """Fill the files of one frame and close them up."""
    targets = [target for target in targets if not is_finished(target.store)]
    unreadable: dict[str, dict[int, str]] = {split: {} for split in export.parts}
    wanted = {
        split: np.flatnonzero(np.any([target.missing[split] for target in targets], axis=0))
        for split in (export.parts if targets else ())
    }
    total = sum(map(len, wanted.values()))
    with tqdm(
        total=total, unit="image", desc=f"  {frame.height} x {frame.width}", disable=None
    ) as bar:
        for split, rows in wanted.items():
            views = ExportedViews(export.parts[split], frame, export.views)
            for numbers, pixels, failed in decoded_stretches(
                views, rows, workers, export.batch(split)
            ):
                for target in targets:
                    _compute(target, split, numbers, pixels)
                unreadable[split].update(failed)
                bar.update(len(numbers))
    for target in targets:
        close_up(target.store, export, target.source, unreadable)


def _compute(target: _Target, split: str, rows: np.ndarray, pixels: np.ndarray) -> None:
    lacking = target.missing[split][rows]
    if not lacking.any():
        return
    try:
        values = target.computer(pixels if lacking.all() else pixels[lacking])
        target.store.write(split, rows[lacking], values)
    except FeatureOverflow as error:
        raise UserError(
            f"{target.source.name} gives embeddings that are no finite numbers, or are too "
            f"large for {target.store.kinds[EMBEDDING].dtype}; its weights are damaged, or its "
            "training diverged: give others"
        ) from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise UserError(
            f"the disk is full: {target.store.path} keeps what it holds; free some space and "
            "start the same command again"
        ) from error
