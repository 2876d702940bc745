"""The two submission scripts side by side, as processes and without their start."""

import statistics
from itertools import islice
from pathlib import Path
from typing import Any

from side_by_side.child import Cost
from side_by_side.plan import Plan, script
from side_by_side.some_photos import place

# Photographs of a submission that is nearly all start.
FEW = 10


def place_test_images(data: Path, folder: Path, batch: int) -> dict[str, Path]:
    """Test images for both sides: links to a data set's photographs.

    Args:
        data: the data set folder.
        folder: where they go, made anew.
        batch: images of a batch.

    Returns:
        `all`, a folder of all photographs; `batch`, one of the first batch of them, which takes as
        long as starting and so tells what is left without it; and `few`, of ten. Each lies in a
        folder of its own, as `flow_from_directory` wants it.
    """
    photos = sorted(path for path in data.glob("*/*/*") if path.is_file())
    folders = {}
    for name, count in (("all", len(photos)), ("batch", batch), ("few", FEW)):
        folders[name] = folder / name / "images"
        folders[name].mkdir(parents=True)
        for number, photo in enumerate(islice(photos, count)):
            place(photo, folders[name] / f"{number:05d}{photo.suffix}")
    return folders


def predict_first_coded(plan: Plan, folder: Path, trained: Path) -> dict[str, Any]:
    """`model.predict` over an `ImageDataGenerator`, with the model of first_coded.py."""

    def predict(images: Path) -> Cost:
        return script(
            folder,
            "benchmarks/first_coded_predict.py",
            model=trained / "run" / "classifier.keras",
            classes=plan.data / "classes.json",
            images=images.parent,
            output=folder / "predict.txt",
            backbone=plan.backbone,
            batch_size=plan.batch_size,
        )

    return timed(plan, folder, predict)


def predict_ours(plan: Plan, folder: Path, trained: Path, openvino: bool) -> dict[str, Any]:
    """`baidu_dog_test.py`, with the run of our scripts."""

    def predict(images: Path) -> Cost:
        return script(
            folder,
            "baidu_dog_test.py",
            run=trained / "run",
            images=images,
            output=folder / "predict.txt",
            batch_size=plan.batch_size,
            openvino=openvino,
        )

    return timed(plan, folder, predict)


def timed(plan: Plan, folder: Path, predict) -> dict[str, Any]:
    """Predict all images, a single batch and a few, each by a process of its own."""
    folders = place_test_images(plan.data, folder / "images", plan.batch_size)
    # The median: a start is as fast as the disk, which others use too.
    few = [predict(folders["few"]).wall_seconds for _ in range(plan.repeats)]
    single, all_images = predict(folders["batch"]), predict(folders["all"])
    images, batch = (len(list(folders[name].iterdir())) for name in ("all", "batch"))
    return {
        "images": images,
        "wall_seconds": all_images.wall_seconds,
        "cpu_seconds": all_images.cpu_seconds,
        "peak_bytes": all_images.peak_bytes,
        # The process of one batch takes the start and that batch; the rest is pure prediction.
        "images_beyond_start": images - batch,
        "seconds_beyond_start": all_images.wall_seconds - single.wall_seconds,
        "few_images": len(list(folders["few"].iterdir())),
        "few_seconds": statistics.median(few),
    }
