"""What a folder of ours holds, and which of its files no other command replaces."""

from pathlib import Path

DATA_SET, RUN, STORES, FEATURES = "a data set", "a run", "a folder of stores", "exported features"
# A file that only such a folder holds, in the order in which they are looked for.
TOLD_BY = {
    DATA_SET: ("manifest.csv", ".unfinished.csv"),
    RUN: ("config.json",),
    STORES: ("*-" + "[0-9a-f]" * 16 + ".h5",),
    FEATURES: ("[!.]*.h5",),
}
# What no other command than their own replaces there.
KEPT_FILES = {
    DATA_SET: (
        "manifest.csv",
        "classes.json",
        "duplicates.csv",
        "unreadable.csv",
        "statistics.json",
        ".unfinished.csv",
    ),
    RUN: (
        "config.json",
        "classes.json",
        "results.json",
        "model.keras",
        "model.png",
        "model.txt",
        "history.png",
        "predictions.csv",
        "evaluation.json",
        "temperature.json",
        "report.html",
        "embeddings.h5",
        "re_identification.json",
    ),
}
STAGE_FILES = ("state.json", "history.csv")


def kind_of(folder: Path) -> str | None:
    """What a folder holds of ours, None if nothing is known of it."""
    for kind, patterns in TOLD_BY.items():
        if any(next(folder.glob(pattern), None) is not None for pattern in patterns):
            return kind
    return None


def owner_of(path: Path) -> str | None:
    """The run or data set that needs a file of this name, in words; None for any other file."""
    for kind, names in KEPT_FILES.items():
        if path.name in names and kind_of(path.parent) == kind:
            return f"{kind}, {path.parent}"
    if path.name in STAGE_FILES and kind_of(path.parent.parent) == RUN:
        return f"{RUN}, {path.parent.parent}"
    return None
