"""Where a teacher's answers come from: a finished run, or a file that was written with several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from finegrain.datasets.gather import checksum
from finegrain.datasets.manifest import DataSet, category_ids
from finegrain.errors import UserError
from finegrain.inference.opening import open_inference
from finegrain.inference.predict import predict_probabilities, sample_images
from finegrain.runs.finished_run import FinishedRun, open_finished_run
from finegrain.runs.run_folder import MODEL, RunFolder


class TeacherSource(Protocol):
    """One of the teachers that are averaged."""

    digest: str  # of what it knows

    def answers(self, images: Sequence[tuple[str, Path]]) -> np.ndarray:
        """(N, C) probabilities of images by id and file, the classes in the data set's order.

        NaN for what cannot be read.
        """


def open_teacher(path: Path, data: DataSet, openvino: bool, batch_size: int) -> TeacherSource:
    """Open a run folder, or a CSV file as `--format probabilities` of a submission writes it.

    Raises:
        UserError: it is neither, or tells other classes apart than the data set has.
    """
    if path.suffix.lower() == ".csv":
        return _read_answers(path, data)
    run = open_finished_run(path)
    _check_classes(path, run.classes, data)
    if RunFolder.open(path).config.data.digest != data.digest:
        print(
            f"notice  {path} was trained on another data set; where that holds held-out images "
            f"of {data.folder}, errors on these flatter"
        )
    return _Run(checksum(path / MODEL)[0], run, data.classes, openvino, batch_size)


@dataclass
class _Run:
    """Sees the plain image, at its own size."""

    digest: str
    run: FinishedRun
    classes: Sequence[str]
    openvino: bool
    batch_size: int

    def answers(self, images: Sequence[tuple[str, Path]]) -> np.ndarray:
        print(f"teacher {self.run.folder} answers for {len(images)} images", flush=True)
        paths = [path for _, path in images]
        sample = sample_images(paths, self.run.frame)
        opened = open_inference(self.run.classifier(), sample, self.openvino, len(paths))
        found = predict_probabilities(opened, paths, self.run.frame, self.batch_size)
        return found.probabilities[:, [self.run.classes.index(name) for name in self.classes]]


@dataclass
class _File:
    """Rows named by id, columns in the order of the data set's classes."""

    digest: str
    path: Path
    table: pd.DataFrame

    def answers(self, images: Sequence[tuple[str, Path]]) -> np.ndarray:
        ids = pd.Index([image_id for image_id, _ in images])
        if ids.has_duplicates:
            raise UserError(
                f"--teacher {self.path} cannot tell apart images that are both called "
                f"{ids[ids.duplicated()][0]}; name the runs themselves"
            )
        missing = ids.difference(self.table.index, sort=False)
        if len(missing):
            raise UserError(
                f"--teacher {self.path} has no row for {len(missing)} of {len(ids)} images, the "
                f"first is {missing[0]}; write it for all of them, training images and photographs"
            )
        return self.table.loc[ids].to_numpy()


def _read_answers(path: Path, data: DataSet) -> _File:
    try:
        head = pd.read_csv(path, nrows=0, encoding_errors="surrogateescape").columns
        # An id may well be called "NA" or "007".
        table = pd.read_csv(
            path, dtype={head[0]: str}, keep_default_na=False, encoding_errors="surrogateescape"
        ).set_index(head[0])
        numbers = table.astype("float64")
    except (OSError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--teacher {path} is no run folder, and no table `id,<class>,...` of probabilities "
            f"({reason})"
        ) from error
    ids = category_ids(data)
    names = ids if ids is not None and set(numbers.columns) == set(ids) else data.classes
    _check_classes(path, list(numbers.columns), data, names)
    numbers = numbers[list(names)]
    sums = numbers.sum(axis=1)
    if not ((numbers >= 0).all(axis=None) and (sums > 0).all() and np.isfinite(sums).all()):
        raise UserError(f"--teacher {path} holds numbers that are no probabilities")
    if numbers.index.has_duplicates:
        raise UserError(
            f"--teacher {path} has two rows of {numbers.index[numbers.index.duplicated()][0]}"
        )
    # Clipped probabilities are shares no more.
    return _File(checksum(path)[0], path, numbers.div(sums, axis=0))


def _check_classes(
    path: Path, classes: Sequence[str], data: DataSet, names: Sequence[str] | None = None
) -> None:
    wanted = set(names or data.classes)
    lacks, adds = wanted - set(classes), set(classes) - wanted
    if lacks or adds:
        which = f"lacks {min(lacks)}" if lacks else f"adds {min(adds)}"
        raise UserError(
            f"--teacher {path} tells other classes apart than {data.folder} has: it {which}; name "
            "one of the same classes"
        )
