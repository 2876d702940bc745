"""Exporting embeddings: `predict` over an `ImageDataGenerator` beside export_features.py.

    python benchmarks/export_speed.py --output runs/export-speed
    python benchmarks/export_speed.py --output runs/export-real --source PHOTOS \\
        --backbones mobilenet_v2 inception_v3 --image-sizes 224 299 --weights FILE FILE

Both export the training images of the same data sets with the same backbones; they take turns, and
each is a process of its own. The table shows the seconds of the whole process, the photographs a
second once a process on few photographs has been taken off, which is the start, and the most
memory held. By default the photographs are pictures of noise, 1,000 and 20,000, and the backbone a
small one, since memory is measured; with `--source` they are your own. Stopped, the same command
goes on after the last finished part.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side.child import run_script
from side_by_side.commands import command
from side_by_side.kept_parts import KeptParts, write_json
from side_by_side.noise_photos import draw_noise
from side_by_side.some_photos import place_some

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Count, ImageSize

LABELS = {"plain": "predict over ImageDataGenerator", "ours": "export_features.py"}
NOISE_CLASSES = 10
GIGABYTE = 1e9


@dataclass
class Settings:
    """Measure both exports side by side."""

    # folder for data sets, files and measurements
    output: Path
    # labelled photographs, any layout that img2keras.py knows; by default pictures of noise
    source: Path | None = None
    # numbers of training photographs; of a source those it has, at most
    photos: tuple[Count, ...] = (1_000, 20_000)
    # photographs of the process that tells what starting takes
    few: Count = 64
    backbones: tuple[str, ...] = ("mobilenet_v2_0.35",)
    # side of the input in pixels, for each backbone
    image_sizes: tuple[ImageSize, ...] = (96,)
    # imagenet, none or a file, for each backbone
    weights: tuple[str, ...] = ("none",)
    # the median of so many is shown
    repeats: Count = 1
    openvino: bool = True
    # file for the numbers of the table
    json: Path | None = None


def main(settings: Settings) -> None:
    check(settings)
    flags = vars(settings).items()
    shaping = {key: str(value) for key, value in flags if key not in ("photos", "json")}
    parts = KeptParts(settings.output, shaping)
    counts = (settings.few, *settings.photos)
    made = {count: make_data_set(parts, settings, count) for count in counts}
    print("| photographs | | whole process, s | images a second | ratio | peak memory, GB |")
    print("|---|---|---|---|---|---|")
    found = {}
    for count in settings.photos:
        found[count] = both_sides(parts, settings, count, made)
        print(rows(found[count]), flush=True)
    if settings.json is not None:
        write_json(settings.json, found)


def check(settings: Settings) -> None:
    """Refuse what cannot be measured, before anything is made."""
    if len({len(settings.backbones), len(settings.image_sizes), len(settings.weights)}) > 1:
        raise UserError("--image-sizes and --weights must name one for each of --backbones")
    if len(set(settings.image_sizes)) > 1 and len(set(settings.backbones)) < len(
        settings.backbones
    ):
        raise UserError("--backbones names one twice; name each once")
    if settings.source is not None and not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    if min(settings.photos) <= settings.few:
        raise UserError(f"--photos must be more than --few, {settings.few}")


def make_data_set(parts: KeptParts, settings: Settings, count: int) -> dict[str, Any]:
    """A data set whose training split holds all photographs but a few."""

    def make(folder: Path) -> dict[str, Any]:
        photos, data = folder / "photos", folder / "data"
        if settings.source is None:
            draw_noise(photos, count, NOISE_CLASSES)
        else:
            place_some(settings.source, photos, count)
        words = command("img2keras.py", source=photos, output=data, valid_fraction=0.1)
        run_script(words, folder / "log.txt")
        return {"data": str(data), "images": len(list(data.glob("train/*/*")))}

    return parts.part(f"data-{count}", make)


def both_sides(
    parts: KeptParts, settings: Settings, count: int, made: dict
) -> dict[str, dict[str, Any]]:
    """What the plain way takes, and what ours does."""
    costs: dict[str, list[dict]] = {"plain": [], "ours": []}
    for repeat in range(settings.repeats):
        for name in costs:
            whole = measure(parts, settings, f"{name}-{count}-{repeat}", made[count])
            few = measure(parts, settings, f"{name}-few-{repeat}", made[settings.few])
            costs[name].append(rate(whole, few))
    return {
        name: {
            "images": each[0]["images"],
            "rate": statistics.median(cost["rate"] for cost in each),
            "wall": statistics.median(cost["wall"] for cost in each),
            "peak": max(cost["peak"] for cost in each),
        }
        for name, each in costs.items()
    }


def rows(found: dict[str, dict[str, Any]]) -> str:
    """Two lines of the table: the plain way, and ours."""
    lines = []
    for name, label in LABELS.items():
        side = found[name]
        ratio = f"{side['rate'] / found['plain']['rate']:.1f}" if name == "ours" else ""
        lines.append(
            f"| {side['images']:,} | {label} | {side['wall']:.1f} | {side['rate']:.0f} | {ratio} "
            f"| {side['peak'] / GIGABYTE:.2f} |"
        )
    return "\n".join(lines)


def rate(whole: dict[str, Any], few: dict[str, Any]) -> dict[str, Any]:
    """What an export took, and its photographs a second beyond the start."""
    images, seconds = whole["images"] - few["images"], whole["wall"] - few["wall"]
    # Of few photographs the noise of the machine can be all there is.
    return {**whole, "rate": images / seconds if seconds > 0 else float("nan")}


def measure(parts: KeptParts, settings: Settings, name: str, made: dict) -> dict[str, Any]:
    """Export a data set one way, unless that was measured before."""

    def export(folder: Path) -> dict[str, Any]:
        words = ours(settings, folder) if name.startswith("ours") else plain(settings, folder)
        cost = run_script([*words, "--data", made["data"]], folder / "log.txt")
        return {
            "images": exported(settings, name, made),
            "wall": cost.wall_seconds,
            "peak": cost.peak_bytes,
        }

    return parts.part(name, export)


def exported(settings: Settings, name: str, made: dict) -> int:
    """Photographs that an export reads: ours does the validation split too."""
    if name.startswith("ours"):
        return made["images"] + len(list(Path(made["data"]).glob("valid/*/*")))
    return made["images"]


def plain(settings: Settings, folder: Path) -> list[str]:
    """The command of the plain way."""
    return [
        "benchmarks/first_coded_export.py",
        "--output",
        str(folder / "features"),
        "--backbones",
        *settings.backbones,
        "--image-sizes",
        *map(str, settings.image_sizes),
        "--weights",
        *settings.weights,
    ]


def ours(settings: Settings, folder: Path) -> list[str]:
    """The command of ours; one size for all, or each backbone's own."""
    weights = zip(settings.backbones, settings.weights, strict=True)
    words = [
        "recipes/export_features.py",
        "--output",
        str(folder / "features"),
        "--backbones",
        ",".join(settings.backbones),
        "--weights",
        *(f"{name}={file}" for name, file in weights),
        "--openvino" if settings.openvino else "--no-openvino",
    ]
    sizes = set(settings.image_sizes)
    return words + (["--image-size", str(*sizes)] if len(sizes) == 1 else [])


if __name__ == "__main__":
    run_command(main, Settings)
