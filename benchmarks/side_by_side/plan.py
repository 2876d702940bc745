"""What is measured: the commands of each part, and how their numbers are read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side.child import Cost, run_script
from side_by_side.commands import command

FROZEN, UNFROZEN, RETRAINED = "1-frozen", "2-unfrozen", "3-retrained"
NO_AUGMENTATION = {"rotation": 0, "shear": 0, "zoom": 0, "horizontal_flip": False}


@dataclass(frozen=True)
class Plan:
    """What both sides train on and with.

    Attributes:
        data: the data set folder.
        weights: `imagenet` or a file, the same for both.
        epochs: of the three stages.
        timed_epochs: epochs of each stage that the recipe as first coded runs; 0 runs all.
        views: stored views an image of our stage 1.
        precision: of our training.
        repeats: submissions of a few photographs, of which the median counts.
    """

    data: Path
    backbone: str
    weights: str
    image_size: int
    batch_size: int
    epochs: tuple[int, int, int]
    timed_epochs: int
    views: int
    unfreeze_from: str | None
    precision: str = "auto"
    repeats: int = 3

    def both_sides(self, seed: int) -> dict[str, Any]:
        """The flags that both sides share."""
        return {
            "data": self.data,
            "backbone": self.backbone,
            "weights": self.weights,
            "image_size": self.image_size,
            "batch_size": self.batch_size,
            "seed": seed,
            "unfreeze_from": self.unfreeze_from,
        }

    def first_coded(self, folder: Path, seed: int, augmented: bool) -> dict[str, Any]:
        """Run the recipe as first coded: all stages, or stage 1 without augmentation."""
        cost = script(
            folder,
            "benchmarks/first_coded.py",
            output=folder / "run",
            **self.both_sides(seed),
            epochs=self.epochs if augmented else (self.epochs[0], 0, 0),
            timed_epochs=self.timed_epochs,
            augmentation=augmented,
        )
        measured = json.loads((folder / "run" / "measured.json").read_text(encoding="utf-8"))
        stages = measured["stages"]
        timed = sum(sum(numbers["epoch_seconds"]) for numbers in stages.values())
        left_out = sum(numbers["seconds"] for numbers in stages.values()) - timed
        return {
            "device": measured["device"],
            "images": measured["images"],
            "stages": stages,
            "wall_seconds": cost.wall_seconds + max(0.0, left_out),
            "cpu_seconds": cost.cpu_seconds,
            "peak_bytes": cost.peak_bytes,
            "disk_bytes": 0,
        }

    def ours(self, folder: Path, seed: int, augmented: bool, openvino: bool) -> dict[str, Any]:
        """Run froze_fine_tune.py and trick_tune.py: all stages, or stage 1 without augmentation.

        The stores begin empty, so filling them is inside what is measured.
        """
        both_stages = {
            "reduce_patience": 0,
            "stop_patience": 0,
            "cache": folder / "cache",
            "openvino": openvino,
        }
        views = {"views": self.views, "unfrozen_augmentation": False}
        frozen, unfrozen, retrained = self.epochs if augmented else (self.epochs[0], 0, 0)
        costs = [
            script(
                folder,
                "froze_fine_tune.py",
                run=folder / "run",
                **self.both_sides(seed),
                frozen_epochs=frozen,
                unfrozen_epochs=unfrozen,
                **both_stages,
                precision=self.precision,
                **(views if augmented else NO_AUGMENTATION),
            )
        ]
        if retrained:
            costs.append(
                script(folder, "trick_tune.py", run=folder / "run", epochs=retrained, **both_stages)
            )
        return {
            "stages": our_stages(folder / "run"),
            "wall_seconds": sum(cost.wall_seconds for cost in costs),
            "cpu_seconds": sum(cost.cpu_seconds for cost in costs),
            "peak_bytes": max(cost.peak_bytes for cost in costs),
            "disk_bytes": disk_bytes(folder / "cache"),
        }


def script(folder: Path, name: str, **flags: Any) -> Cost:
    """Run a script, its output kept in the part's folder."""
    return run_script(command(name, **flags), folder / "log.txt")


def our_stages(run: Path) -> dict[str, dict[str, Any]]:
    """What results.json and the stages' histories say of a run, stages of no epoch left out."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))["stages"]
    stages = {}
    for name, numbers in results.items():
        if numbers["epochs"]:
            state = json.loads((run / name / "state.json").read_text(encoding="utf-8"))
            stages[name] = {
                "epochs": numbers["epochs"],
                "epoch_seconds": [row["seconds"] for row in state["history"]],
                # Everything the stage took, filling its stores included.
                "seconds": numbers["seconds"],
                "valid_error": numbers["valid_error"],
            }
    return stages


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
