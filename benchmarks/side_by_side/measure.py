"""Each part of the measurement, kept once it is finished."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from finegrain.read_ahead import usable_cores
from side_by_side.ceiling import profile_text, shares_of
from side_by_side.kept_parts import KeptParts
from side_by_side.plan import Plan, script
from side_by_side.prediction import predict_first_coded, predict_ours
from side_by_side.some_photos import place_some
from side_by_side.table import (
    Row,
    export_rows,
    loader_rows,
    plain_row,
    prediction_rows,
    training_rows,
)


def make_data_set(parts: KeptParts, source: Path, photos: int, valid_fraction: float) -> Path:
    """Draw photographs of a source and make a data set of them by img2keras.py."""

    def make(folder: Path) -> dict:
        placed = place_some(source, folder / "photos", photos)
        script(
            folder,
            "img2keras.py",
            source=folder / "photos",
            output=folder / "data",
            valid_fraction=valid_fraction,
        )
        return {"photos": placed}

    parts.part("data-set", make)
    return parts.folder / "data-set" / "data"


def make_fresh_weights(parts: KeptParts, plan: Plan) -> Path:
    """Fresh weights in a file, so that both sides have the same."""
    name = "fresh.weights.h5"

    def make(folder: Path) -> dict:
        script(
            folder,
            "benchmarks/fresh_weights.py",
            data=plan.data,
            output=folder / name,
            backbone=plan.backbone,
            image_size=plan.image_size,
        )
        return {}

    parts.part("weights", make)
    return parts.folder / "weights" / name


def measure_training(
    parts: KeptParts, plan: Plan, seeds: Sequence[int], openvino: bool
) -> list[Row]:
    """Both sides' training, alternating; the rows of the table."""

    def train(augmented: bool) -> tuple[list, list]:
        kind = "recipe" if augmented else "plain"
        theirs, ours = [], []
        for seed in seeds:
            first, second = (
                functools.partial(plan.first_coded, seed=seed, augmented=augmented),
                functools.partial(plan.ours, seed=seed, augmented=augmented, openvino=openvino),
            )
            theirs.append(parts.part(f"first-coded-{kind}-{seed}", first))
            ours.append(parts.part(our_part(kind, seed, openvino), second))
        return theirs, ours

    rows = training_rows(*train(augmented=True), plan.views)
    return [rows[0], plain_row(*train(augmented=False)), *rows[1:]]


def measure_loader(parts: KeptParts, plan: Plan) -> list[Row]:
    """The loaders on two cores, where there are so many; the rows of the table."""
    cores = min(2, usable_cores())
    return loader_rows(loader_part(parts, plan, "loader", "loader_speed", cores=cores), cores)


def loader_growth(parts: KeptParts, plan: Plan) -> str:
    """How our loader grows with the cores there are, in a sentence."""
    rates = loader_part(parts, plan, "loader-growth", "loader_growth")
    told = ", ".join(f"{rate:,.0f} on {cores}" for cores, rate in rates.items())
    first, last = (list(rates.items())[place] for place in (0, -1))
    share = last[1] / first[1] / (int(last[0]) / int(first[0]))
    return f"Loader into a sink, images a second by cores: {told}; {share:.0%} of linear."


def loader_part(parts: KeptParts, plan: Plan, name: str, benchmark: str, **flags: int) -> dict:
    """What a benchmark of loaders measures."""

    def measure(folder: Path) -> dict:
        script(
            folder,
            f"benchmarks/{benchmark}.py",
            data=plan.data,
            image_size=plan.image_size,
            batch_size=plan.batch_size,
            json=folder / "measured.json",
            **flags,
        )
        return json.loads((folder / "measured.json").read_text(encoding="utf-8"))

    return parts.part(name, measure)


def measure_export(parts: KeptParts, photos: int) -> list[Row]:
    """Both exports of embeddings, of pictures of noise; the rows of the table."""

    def measure(folder: Path) -> dict:
        script(
            folder,
            "benchmarks/export_speed.py",
            output=folder / "measured",
            photos=photos,
            json=folder / "measured.json",
        )
        return json.loads((folder / "measured.json").read_text(encoding="utf-8"))[str(photos)]

    return export_rows(parts.part("export", measure))


def measure_prediction(parts: KeptParts, plan: Plan, seed: int, openvino: bool) -> list[Row]:
    """Both sides' submission of all photographs; the rows of the table."""
    theirs = parts.part(
        f"first-coded-predict-{seed}",
        lambda folder: predict_first_coded(
            plan, folder, parts.folder / f"first-coded-recipe-{seed}"
        ),
    )
    ours = parts.part(
        our_part("predict", seed, openvino),
        lambda folder: predict_ours(
            plan, folder, parts.folder / our_part("recipe", seed, openvino), openvino
        ),
    )
    return prediction_rows(theirs, ours)


def our_part(kind: str, seed: int, openvino: bool) -> str:
    """Name of a part of our side."""
    return f"ours-{kind}-{seed}{'' if openvino else '-no-openvino'}"


def measure_profile(parts: KeptParts, plan: Plan, seed: int, openvino: bool) -> str:
    """Where the seconds of a measured training go, as Markdown."""

    def measure(folder: Path) -> dict:
        script(
            folder,
            "benchmarks/forward_rates.py",
            backbone=plan.backbone,
            image_size=plan.image_size,
            batch_size=plan.batch_size,
            unfreeze_from=plan.unfreeze_from,
            json=folder / "rates.json",
        )
        return json.loads((folder / "rates.json").read_text(encoding="utf-8"))

    rates = parts.part("forward-rates", measure)
    if not openvino:
        rates = {name: numbers for name, numbers in rates.items() if "openvino" not in name}
    shares, runs = {}, {}
    for kind, title, views in (
        ("recipe", f"The three stages, stage 1 with {plan.views} augmented views", plan.views),
        ("plain", "Stage 1 without augmentation", 1),
    ):
        theirs = parts.read(f"first-coded-{kind}-{seed}")
        runs[kind] = parts.read(our_part(kind, seed, openvino))
        shares[title] = shares_of(theirs, runs[kind], rates, views)
    wall = runs["recipe"]["wall_seconds"]
    inside = sum(numbers["seconds"] for numbers in runs["recipe"]["stages"].values())
    return profile_text(shares, rates, wall - inside, wall)
