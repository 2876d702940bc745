"""The folder that holds everything one training made."""

import contextlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from finegrain.datasets.category_ids import category_ids
from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError
from finegrain.models.full_precision import in_full_precision
from finegrain.records import stamped
from finegrain.runs.recorded_settings import completed, refuse_differences
from finegrain.runs.run_config import CONFIG, RunConfig, read_config
from finegrain.runs.stage_folder import StageFolder
from finegrain.runs.stage_state import STATE
from finegrain.whole_files import written_whole

CLASSES = "classes.json"
MODEL = "model.keras"


class RunFolder:
    """`runs/<name>/`: config.json, classes.json, one folder a stage, model.keras.

    Args:
        path: the folder.
        config: every setting, with the digests of data and weights.
    """

    def __init__(self, path: Path, config: RunConfig):
        self.path = path
        self.config = config

    @classmethod
    def start(
        cls,
        path: Path,
        config: dict[str, Any],
        classes: list[str],
        held_before: Mapping[str, Any] | None = None,
    ) -> "RunFolder":
        """Start a run, or go on with the one that stands there.

        Args:
            path: the run's folder, made if missing.
            config: every setting; `versions` are added, and may differ when a run goes on.
            classes: class names in index order.
            held_before: what held before a setting was there, for a run that was started then.

        Raises:
            UserError: the folder holds a run with other settings, data or weights, which are
                named, or is no folder.
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
        config = stamped({**config, "versions": versions()})
        with written_whole(path / CONFIG) as file:
            file.write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")
        return cls(path, read_config(path))

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open a run that was started before.

        Raises:
            UserError: there is none, or its config is damaged.
        """
        file = path / CONFIG
        if not file.is_file():
            raise UserError(
                f"{path} is no run folder (it has no {CONFIG}); train one first with "
                "single_model.py or froze_fine_tune.py"
            )
        return cls(path, read_config(path))

    @classmethod
    def recorded(cls, path: Path) -> RunConfig | None:
        """The config of the run in a folder, None if there is none yet.

        Raises:
            UserError: it is damaged.
        """
        return cls.open(path).config if (path / CONFIG).is_file() else None

    def stage(
        self, name: str, settings: dict[str, Any], held_before: Mapping[str, Any] | None = None
    ) -> StageFolder:
        """The folder of a stage; refused when it was made with other settings."""
        return StageFolder(self.path / name, settings, held_before)

    def last_finished_stage(self) -> str | None:
        """Name of the last stage in the folder that was trained to its end."""
        for state in sorted(self.path.glob(f"*/{STATE}"), reverse=True):
            with contextlib.suppress(UserError):
                return StageFolder.finished_before(state.parent).path.name
        return None

    def save_model(self, model: keras.Model) -> None:
        """Write the finished model, in float32 and without its optimizer, to `model.keras`."""
        finished = in_full_precision(model)
        with written_whole(self.path / MODEL, 5 * model.count_params()) as file:
            finished.save(file)


def describe_data(data: DataSet) -> dict[str, Any]:
    """What a run's config says of its data set: folder, digest, images a split and a class.

    With `category_ids` where submissions call the classes by ids instead of names.
    """
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
    """Versions of what a result depends on."""
    packages = ("keras", keras.backend.backend(), "numpy", "pillow")
    found = {"python": platform.python_version(), "backend": keras.backend.backend()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """The config flattened, without what may differ between two sessions of one run."""
    flat = dict(config.get("settings", {}))
    flat["recipe"] = config["recipe"]
    flat["data set"] = config["data"]["digest"][:12]
    flat["weights content"] = config["weights"]["digest"][:12]
    return flat
