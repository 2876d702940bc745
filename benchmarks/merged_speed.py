"""The merged classifier at full size: dogs against cats in memory, FGVC flowers streamed from disk.

    python benchmarks/merged_speed.py --output runs/merged-speed

Writes exported files of made-up embeddings, as export_features.py would (their classes lie apart,
what else they hold does not matter here), runs recipes/merge_features.py on them and prints its
seconds and the most memory it held. By default 25,000 photographs with three embeddings of 2,048
and two classes, and 700,000 with one of 2,048 and 997 classes, which needs 6 GB of disk. The same
command again measures again without making the files again.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from side_by_side.child import run_script
from side_by_side.commands import command
from tqdm import tqdm

from finegrain.command import run_command
from finegrain.flags import Count
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore

# The layout of an exported file. Imported from the library it would bring Keras, whose memory
# would count for that of the processes started from here.
EMBEDDING, CLASS, ROW_COLUMNS = "embedding", "class", ("path", "id", "label", "group", "view")
WIDTH = 2048
BLOCK = 4096


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: of its folder.
        photographs: how many, every fifth for validation.
        files: one a backbone, each 2,048 wide.
        classes: how many.
        epochs: of the dense classifier.
    """

    name: str
    photographs: int
    files: int
    classes: int
    epochs: int


@dataclass
class Settings:
    """Measure merge_features.py on many embeddings."""

    # folder for the files
    output: Path
    # in memory: photographs with three embeddings and two classes
    photographs: Count = 25_000
    # streamed: photographs with one embedding and 997 classes
    many_photographs: Count = 700_000
    # measured so often, the median of the seconds is shown
    repeats: Count = 3
    # also measure the logistic classifier on the first case
    logistic: bool = False


def main(settings: Settings) -> None:
    pets = Case("pets", settings.photographs, 3, 2, 8)
    flowers = Case("flowers", settings.many_photographs, 1, 997, 1)
    measured = [(pets, "dense"), (flowers, "dense")]
    if settings.logistic:
        measured.insert(1, (pets, "logistic"))
    print("| photographs | embedding | classes | trained | training, s | process, s | peak, GB |")
    print("|---|---|---|---|---|---|---|")
    for case, classifier in measured:
        if case.photographs:
            files = write_files(settings.output / case.name, case)
            print(row(settings, case, files, classifier), flush=True)


def write_files(folder: Path, case: Case) -> list[Path]:
    """The exported files of a case; those there already are kept."""
    return [
        write_file(folder / f"backbone{number}.h5", case, number) for number in range(case.files)
    ]


def write_file(path: Path, case: Case, number: int) -> Path:
    """An exported file whose embeddings are noise around a point of each class."""
    key = {
        "backbone": path.stem,
        "data": case.name,
        "views": {"kind": "plain"},
        "photographs": case.photographs,
        "classes": case.classes,
    }
    rng = np.random.default_rng(number)
    centres = rng.normal(size=(case.classes, WIDTH)).astype("float32") / 4
    counts = {"valid": case.photographs // 5}
    counts = {"train": case.photographs - counts["valid"], **counts}
    labels = {split: np.arange(count) % case.classes for split, count in counts.items()}
    if not path.exists():
        columns = {name: {split: labels[split] * 0 for split in counts} for name in ROW_COLUMNS}
        columns["label"] = labels
        for name in ("path", "id"):
            columns[name] = {
                split: [f"{split}/{n % case.classes}/{n}.jpg" for n in range(count)]
                for split, count in counts.items()
            }
        columns[CLASS] = {"names": [f"class {n}" for n in range(case.classes)]}
        RowStore.create(
            path, key, {EMBEDDING: RowKind((WIDTH,), "float32")}, counts, columns
        ).close()
    store = RowStore(path, key)
    with tqdm(total=case.photographs, desc=str(path), unit="row", disable=None) as bar:
        for split, count in counts.items():
            for start in range(0, count, BLOCK):
                rows = np.arange(start, min(start + BLOCK, count))
                if not store.done(split)[rows].all():
                    noise = rng.standard_normal((len(rows), WIDTH), "float32")
                    store.write(split, rows, {EMBEDDING: noise + centres[labels[split][rows]]})
                bar.update(len(rows))
    store.close()
    return path


def row(settings: Settings, case: Case, files: list[Path], classifier: str) -> str:
    """Run the script so often, and give a row of the table."""
    scores, log = settings.output / "scores.json", settings.output / "log.txt"
    training, processes, peak = [], [], 0
    for _ in range(settings.repeats):
        words = command(
            "recipes/merge_features.py",
            features=files,
            leave_one_out=False,
            classifier=classifier,
            epochs=case.epochs,
            scores=scores,
        )
        cost = run_script(words, log)
        (score,) = json.loads(scores.read_text(encoding="utf-8")).values()
        training.append(score["seconds"])
        processes.append(cost.wall_seconds)
        peak = max(peak, cost.peak_bytes)
    where = f"{case.files} x {WIDTH:,}"
    how = f"{classifier}, {case.epochs} epochs" if classifier == "dense" else classifier
    return (
        f"| {case.photographs:,} | {where} | {case.classes} | {how} | {np.median(training):.1f} | "
        f"{np.median(processes):.1f} | {peak / 1e9:.2f} |"
    )


if __name__ == "__main__":
    run_command(main, Settings)
