"""Time and memory of the re-identification protocol at the size of Market-1501.

    python benchmarks/re_identification_scale.py

Embeddings are random, in clusters as those of people are: a point for each person, noise around
it for each image. The score means nothing, so only its time and the memory of the process are
worth reading; they depend on the counts, and for re-ranking a little on how well people stand
apart. One row is one way of ranking. CPU seconds are those of all cores together, which other
work on the machine does not change much; the memory is the process's peak up to then.
"""

import resource
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from finegrain.command import run_command
from finegrain.flags import Count, Seed

CAMERAS = 6


@dataclass
class Settings:
    """Measure the evaluation with and without re-ranking."""

    # images that are looked for
    queries: Count = 3368
    # images that are looked through
    gallery: Count = 19732
    # people in both
    identities: Count = 750
    # numbers an embedding
    width: Count = 2048
    # how far the images of a person scatter, where people are 1 apart; 4 makes it hard
    noise: Annotated[float, Interval(ge=0, le=1_000_000)] = 4.0
    seed: Seed = 0


def main(settings: Settings) -> None:
    from finegrain.embeddings.nearest import cosine_distances
    from finegrain.embeddings.re_identification import Sightings, places_in_gallery
    from finegrain.embeddings.re_ranking import re_ranked_distances

    rng = np.random.default_rng(settings.seed)
    centres = rng.standard_normal((settings.identities + 1, settings.width), "float32")

    def draw(count: int, least: int) -> tuple[np.ndarray, Sightings]:
        identities = rng.integers(least, settings.identities + 1, count)
        embeddings = rng.standard_normal((count, settings.width), "float32")
        embeddings *= settings.noise
        embeddings += centres[identities]
        # Detections of nobody are unlike each other.
        nobody = identities == 0
        embeddings[nobody] = rng.standard_normal((int(nobody.sum()), settings.width), "float32")
        return embeddings, Sightings(identities, rng.integers(1, CAMERAS + 1, count))

    query, asked = draw(settings.queries, 1)
    gallery, seen = draw(settings.gallery, 0)
    print(f"{settings.queries} queries, {settings.gallery} in the gallery, {settings.width} wide")
    print(f"{'':18}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}{'rank-1':>9}{'mAP':>9}")
    print(f"{'embeddings drawn':18}{'':>18}{peak_megabytes():9.0f}", flush=True)
    for name, ranked in (("plain", cosine_distances), ("re-ranked", re_ranked_distances)):
        started, computed = time.monotonic(), time.process_time()
        measures = places_in_gallery(ranked(query, gallery), asked, seen).measures()
        seconds, work = time.monotonic() - started, time.process_time() - computed
        print(
            f"{name:18}{seconds:9.1f}{work:9.1f}{peak_megabytes():9.0f}"
            f"{measures['rank-1']:9.4f}{measures['mAP']:9.4f}",
            flush=True,
        )


def peak_megabytes() -> float:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes.
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    run_command(main, Settings)
