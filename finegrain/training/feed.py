"""How photographs reach the model: in which order, in which batches, from which stores."""

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError
from finegrain.features.probe import Judged, draw_probe
from finegrain.frame import Frame
from finegrain.images.batches import PhotoBatches
from finegrain.images.pixels import PhotoFiles, PixelStore
from finegrain.images.samplers import ClassBalanced, in_order, shuffled
from finegrain.inference.openvino_engine import AskedPrecision
from finegrain.stores.store_folder import GIGABYTE, StoreFolder
from finegrain.training.stage import Stage
from finegrain.training.teaching import Teaching

# Validation pairs are drawn apart from those of the training.
VALIDATION_SEED = 1_000_003


@dataclass(frozen=True)
class Feed:
    """What a training takes its batches from.

    Attributes:
        frame: how photographs become pictures of one size.
        batch_size: from `fitting_batch_size`.
        seed: of order, augmentation, pairs and dropout.
        images_per_class: K of class-balanced batches, 0 for plain ones.
        workers: threads that read photographs.
        cache, cache_gb: folder of the stores, and how many gigabytes all together may take.
        openvino: compute what stands still with OpenVINO, where it is installed.
        inference: how precisely frozen embeddings are computed, see `Judged`.
        augment_on: `cpu` or `device`, for augmented views that are new every epoch.
        learns_validation: whether the validation images are among the training images.
        soft: (N, C) float32 targets of the N training images; None for their labels.
    """

    data: DataSet
    frame: Frame
    batch_size: int
    seed: int = 0
    images_per_class: int = 0
    workers: int = 2
    cache: Path | None = None
    cache_gb: float = 0.0
    openvino: bool = True
    inference: AskedPrecision = "auto"
    augment_on: str = "cpu"
    learns_validation: bool = False
    soft: np.ndarray | None = field(default=None, compare=False, repr=False)

    def taught(self, teaching: Teaching | None, weight: float, temperature: float) -> "Feed":
        """The feed with what a teacher adds, see `Teaching`; as it is without one."""
        if teaching is None:
            return self
        data = teaching.data(self.data)
        soft = teaching.targets(data.labels("train"), weight, temperature)
        return replace(self, data=data, soft=soft)

    def learning_validation(self) -> "Feed":
        """The feed with the validation images as further training images, behind the others."""
        table = self.data.table
        learnt = table[table["split"] == "valid"].assign(split="train")
        data = replace(self.data, table=pd.concat([table, learnt], ignore_index=True))
        return replace(self, data=data, learns_validation=True)

    def class_counts(self) -> np.ndarray:
        """(C,) training images of each class."""
        return np.bincount(self.data.labels("train"), minlength=len(self.data.classes))

    def for_stage(self, stage: Stage) -> "Feed":
        """The same for pictures of the size that a stage trains on."""
        if stage.side is None:
            return self
        return replace(self, frame=replace(self.frame, height=stage.side, width=stage.side))

    def stage_seed(self, stage: Stage) -> int:
        """A seed of its own for each stage, lest one repeats the order of the one before."""
        parts = [self.seed, zlib.crc32(stage.name.encode())]
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    def judged(self) -> Judged:
        """How embeddings of this feed's photographs may be computed."""
        folder = self.stores()
        paths, labels = self.data.paths("train"), self.data.labels("train")
        photos = PhotoFiles(paths, self.frame)
        return Judged(
            self.inference,
            lambda: draw_probe(labels, photos.read),
            None if folder is None else folder.folder,
        )

    def training(self, stage: Stage, pixels: PixelStore | None = None) -> PhotoBatches:
        """The batches a stage trains on, from a store of pixels where one is given."""
        paths = self.data.paths("train")
        return PhotoBatches(
            paths,
            self.data.labels("train"),
            len(self.data.classes),
            self.frame,
            self.batch_size,
            seed=self.stage_seed(stage),
            augmentation=stage.augmentation,
            plain_views=stage.plain_views,
            changes=stage.changes,
            sampler=ClassBalanced(k) if (k := self.images_per_class) else shuffled,
            pixels=None if pixels is None else pixels.photos(paths),
            soft=self.soft,
        )

    def validation(self, pixels: PixelStore | None = None) -> PhotoBatches:
        """The batches that judge an epoch: always the same, classes mixed, no augmentation."""
        paths, labels = self.data.paths("valid"), self.data.labels("valid")
        mixed = np.random.default_rng(VALIDATION_SEED).permutation(len(paths))
        return self._as_they_are([paths[index] for index in mixed], labels[mixed], pixels)

    def plain(self, most_training: int) -> dict[str, PhotoBatches]:
        """Every split's images as they are, in the order of the manifest.

        Of more than `most_training` training images so many are drawn, always the same.
        """
        photos = {}
        for split in self.data.splits:
            paths, labels = self.data.paths(split), self.data.labels(split)
            if split == "train" and len(paths) > most_training:
                drawn = np.random.default_rng(0).choice(len(paths), most_training, replace=False)
                drawn.sort()
                paths, labels = [paths[index] for index in drawn], labels[drawn]
            photos[split] = self._as_they_are(paths, labels)
        return photos

    def _as_they_are(
        self, paths: list[Path], labels: np.ndarray, pixels: PixelStore | None = None
    ) -> PhotoBatches:
        return PhotoBatches(
            paths,
            labels,
            len(self.data.classes),
            self.frame,
            self.batch_size,
            sampler=in_order,
            pixels=None if pixels is None else pixels.photos(paths),
        )

    def checksums(self) -> dict[Path, str]:
        """Image file -> SHA-1 of its content when the data set was made."""
        rows = self.data.table
        paths = (self.data.folder / path for path in rows["path"])
        return dict(zip(paths, rows["sha1"], strict=True))

    def stores(self) -> StoreFolder | None:
        """The folder of stores, None where nothing shall be stored."""
        if self.cache is None or self.cache_gb <= 0:
            return None
        return StoreFolder(self.cache, self.cache_gb * GIGABYTE)


def fitting_batch_size(asked: int, data: DataSet) -> int:
    """The batch size to train with: as asked for, but no more than there are training images.

    Where it is lowered a notice says so. What was asked for is what a run records.

    Raises:
        UserError: there is no training image.
    """
    count = len(data.paths("train"))
    if count == 0:
        raise UserError(f"{data.folder} has no training images; make it again with img2keras.py")
    if asked > count:
        print(
            f"notice  --batch-size {asked} is more than the {count} training images; all of them "
            f"make one batch of {count}",
            flush=True,
        )
    return min(asked, count)


def check_feed(feed: Feed) -> None:
    """Refuse settings that cannot make a batch.

    Raises:
        UserError: there is no validation image, or K does not fit the batch.
    """
    if "valid" not in feed.data.splits:
        raise UserError(
            f"{feed.data.folder} has no validation images; make it again with "
            "img2keras.py --valid-fraction 0.1"
        )
    if feed.images_per_class and not 2 <= feed.images_per_class <= feed.batch_size:
        raise UserError(
            f"--images-per-class {feed.images_per_class} does not fit batches of "
            f"{feed.batch_size}; give 0 for plain batches, or a number from 2 to the batch size"
        )
    if feed.cache is not None and feed.cache.exists() and not feed.cache.is_dir():
        raise UserError(f"--cache {feed.cache} is a file; name a folder")
