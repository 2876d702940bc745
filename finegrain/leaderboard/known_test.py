"""Test images that stand among the labelled ones too, so that a score on them flatters."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from finegrain.datasets.duplicates import group_duplicates
from finegrain.datasets.gather import Scan, scan_images
from finegrain.whole_files import written_whole


def known_test_images(
    test: Mapping[str, Path], labelled: Sequence[Path], kept: Path, workers: int
) -> list[str]:
    """Ids of the test images that show a picture of the labelled ones, the same file or nearly so.

    What is a copy is told as among the labelled ones, see `finegrain.datasets.duplicates`. Every
    image is decoded for it, so the answer is kept in a file, for the next time.
    """
    # One that is damaged is made anew.
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(kept.read_text(encoding="utf-8"))
        if isinstance(found, list) and all(isinstance(n, str) and n in test for n in found):
            return found
    found = _found(test, labelled, workers)
    with written_whole(kept) as beside:
        beside.write_text(json.dumps(found), encoding="utf-8")
    return found


def _found(test: Mapping[str, Path], labelled: Sequence[Path], workers: int) -> list[str]:
    scans = list(scan_images([*labelled, *test.values()], workers))
    readable = [place for place, scan in enumerate(scans) if isinstance(scan, Scan)]
    sound = [scan for scan in scans if isinstance(scan, Scan)]
    if not sound:
        return []
    groups = group_duplicates(
        [scan.sha1 for scan in sound],
        np.array([scan.hash for scan in sound], np.uint64),
        np.array([np.frombuffer(scan.thumbnail, np.uint8) for scan in sound]),
    )
    is_labelled = np.array(readable) < len(labelled)
    known = np.isin(groups, groups[is_labelled])
    names = list(test)
    return [
        names[place - len(labelled)]
        for place, copied in zip(readable, known, strict=True)
        if place >= len(labelled) and copied
    ]
