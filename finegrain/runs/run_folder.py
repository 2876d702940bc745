"""The folder that holds everything one training made."""

import contextlib
import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt
from pydantic import NonNegativeInt

from finegrain.datasets.manifest import DataSet, category_ids, open_data_set
from finegrain.errors import UserError
from finegrain.flags import Probability
from finegrain.records import Record, Typed, read_record, write_record
from finegrain.runs.run_config import (
    CONFIG,
    RunConfig,
    by_todays_names,
    completed,
    read_config,
    refuse_differences,
)
from finegrain.runs.stage_folder import STATE, StageFolder
from finegrain.whole_files import written_whole

if TYPE_CHECKING:
    import keras

CLASSES = "classes.json"
MODEL = "model.keras"
RESULTS = "results.json"
GRAPH, ROUNDED_GRAPH = "graph.zip", "graph-rounded.zip"


class StageNumbers(Typed):
    """What one stage reached; without the error of a split that the data set lacks."""

    epochs: NonNegativeInt
    seconds: Annotated[float, Ge(0)]
    valid_error: Probability = math.nan
    test_error: Probability = math.nan


class BaselineNumbers(Typed):
    """What logistic regression on the frozen backbone's embeddings reached, at C `strength`."""

    valid_error: Probability
    test_error: Probability = math.nan
    strength: Annotated[float, Gt(0)]
    seconds: Annotated[float, Ge(0)]


class Results(Record):
    """The content of `results.json`."""

    model_from: str | None
    stages: dict[str, StageNumbers]
    baseline: BaselineNumbers | None = None


@dataclass(frozen=True)
class RunFolder:
    """`runs/<name>/`: config.json, classes.json, one folder a stage, model.keras."""

    path: Path
    config: RunConfig

    @classmethod
    def start(
        cls,
        path: Path,
        config: dict[str, Any],
        classes: list[str],
        held_before: Mapping[str, Any] | None = None,
    ) -> "RunFolder":
        """Start a run in a folder, made if missing, or go on with the one that stands there.

        `versions` are added to `config`, and may differ later; other settings, data or weights are
        refused. `held_before` is what held before a setting was there.
        """
        if (path / CONFIG).is_file():
            run = cls.open(path)
            made_with = completed(_comparable(run.config.content), held_before or {})
            refuse_differences(made_with, _comparable(config), path)
            return run
        names = json.dumps(classes, ensure_ascii=False, indent=1)
        # A start that was killed may have left the same ones.
        there = path / CLASSES
        if there.exists() and there.read_text(encoding="utf-8", errors="replace") != names:
            raise UserError(
                f"{there} stands in the way and is not of this run; move it away or choose "
                "another --run"
            )
        with written_whole(there) as file:
            file.write_text(names, encoding="utf-8")
        write_record(path / CONFIG, {**config, "versions": versions()}, ensure_ascii=False)
        return cls(path, read_config(path))

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open a run that was started before; a `UserError` where there is none."""
        file = path / CONFIG
        if not file.is_file():
            raise UserError(
                f"{path} is no run folder (it has no {CONFIG}); train one first with "
                "single_model.py or froze_fine_tune.py"
            )
        return cls(path, read_config(path))

    @classmethod
    def recorded(cls, path: Path) -> RunConfig | None:
        """The config of the run in a folder, None if there is none yet."""
        return cls.open(path).config if (path / CONFIG).is_file() else None

    def last_finished_stage(self) -> str | None:
        """Name of the last stage in the folder that was trained to its end."""
        for state in sorted(self.path.glob(f"*/{STATE}"), reverse=True):
            with contextlib.suppress(UserError):
                return StageFolder.finished_before(state.parent).path.name
        return None

    def save_model(self, model: "keras.Model") -> None:
        """Write the finished model, in float32 and without its optimizer, to `model.keras`."""
        from finegrain.models.model_precision import in_full_precision

        with written_whole(self.path / MODEL, 5 * model.count_params()) as file:
            in_full_precision(model).save(file)


def read_results(run: RunFolder) -> dict[str, Any]:
    """`model_from`, the stage of model.keras (None before the first), and `stages`, by name.

    `baseline` where it was measured.
    """
    file = run.path / RESULTS
    if not file.is_file():
        return {"model_from": None, "stages": {}}
    mend = "delete it and start the training command again, which measures the finished stages anew"
    return read_record(file, Results, mend).content


def write_results(run: RunFolder, results: dict[str, Any]) -> None:
    """Replace the run's results."""
    write_record(run.path / RESULTS, results)


def open_run_data(run_folder: Path, moved_to: Path | None = None) -> DataSet:
    """The same data set that a run was trained on, or a `UserError`; images may be gone since.

    Validation images that the run has learnt are training images in it.
    """
    config = RunFolder.open(run_folder).config
    recorded, folder = config.data, Path(config.data.folder)
    if moved_to is None and not folder.is_dir():
        raise UserError(
            f"the data set {folder} that {run_folder} was trained on is gone; tell with --data "
            "where it stands now"
        )
    data = open_data_set(moved_to or folder, may_lack_images=True)
    if data.digest != recorded.digest:
        raise UserError(
            f"the data set {data.folder} is no longer the one {run_folder} was trained on; give "
            "that one with --data, or make it again as it was"
        )
    return data.validation_learnt() if config.settings.train_on_validation else data


def describe_data(data: DataSet) -> dict[str, Any]:
    """What a run's config says of its data set, see `RunData`."""
    train = data.labels("train").tolist()
    ids = category_ids(data)
    return {
        "folder": str(data.folder),
        "digest": data.digest,
        "images": {split: len(data.paths(split)) for split in data.splits},
        "class_counts": [train.count(index) for index in range(len(data.classes))],
        **({} if ids is None else {"category_ids": ids}),
    }


def versions() -> dict[str, str]:
    """Versions of what a result depends on: OpenVINO's too where it computes without Keras."""
    found = {"python": platform.python_version()}
    computing = ["openvino"]
    if "keras" in sys.modules:
        import keras

        found["backend"] = keras.backend.backend()
        computing = ["keras", found["backend"]]
    for package in (*computing, "numpy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """The config flattened, without what may differ between two sessions of one run."""
    return {
        **by_todays_names(config.get("settings", {})),
        "recipe": config["recipe"],
        "data set": config["data"]["digest"][:12],
        "weights content": config["weights"]["digest"][:12],
        "teacher content": (config.get("teaching") or {}).get("digest", "")[:12],
    }
