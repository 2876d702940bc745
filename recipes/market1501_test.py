"""Re-identification, the test: find the people of the query in the gallery of Market-1501.

    python img2keras.py --source Market-1501-v15.09.15 --output data/market
    python froze_fine_tune.py --data data/market --run runs/market --backbone xception
    python recipes/market1501_test.py --run runs/market --data data/market --re-rank

The multi-loss model comes from re-identification (Zheng et al. 2016, arXiv 1611.05666): people
are classes, and "the same person or not?" is the verification. Those of the test are none of
those learned, so the softmax has no answer for them. Their embeddings have: the gallery is ranked
by the cosine distance to each query image.

The protocol is that of Zheng et al. 2015 with a single query: images of the same person by the
same camera are left out of a ranking, and so is junk; distractors count as wrong. Printed are CMC
rank-1, 5 and 10 and mAP with 95 % intervals, drawn over people. mAP is the mean precision at the
right images, as most papers have it; `re_identification.json` in the run folder also holds that
of the original code, by trapezoids, which is a little lower.

`--re-rank` adds k-reciprocal re-ranking (Zhong et al. 2017, arXiv 1701.08398), `--flip` averages
the embeddings of each image and its mirror image. The embeddings are stored in the run folder, so
a second test takes no second computing; stopped at any moment, the same command goes on.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Probability, Threads
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.quiet import load_keras
from finegrain.read_ahead import default_workers
from finegrain.whole_files import written_whole

if TYPE_CHECKING:
    from finegrain.embeddings.re_identification import Places, Sightings

RESULT = "re_identification.json"


@dataclass
class Settings:
    """Test a run on the query and the gallery of a re-identification data set."""

    # finished run of froze_fine_tune.py, trick_tune.py or single_model.py
    run: Path
    # data set folder, made by img2keras.py from Market-1501
    data: Path
    # also rank by k-reciprocal neighbours
    re_rank: bool = False
    # average the embeddings of each image and its mirror image
    flip: bool = False
    # re-ranking: nearest neighbours that may be reciprocal
    k1: Annotated[int, Interval(ge=1, le=1000)] = 20
    # re-ranking: nearest neighbours whose encodings are averaged
    k2: Annotated[int, Interval(ge=1, le=1000)] = 6
    # re-ranking: weight of the embeddings' own distance, 0 to 1
    own_weight: Probability = 0.3
    # on a CPU, compute with OpenVINO where it is installed and pays: faster by far
    openvino: bool = True
    # threads that decode images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--run", self.run, RUN)]


def main(settings: Settings) -> None:
    from finegrain.datasets.retrieval import open_retrieval
    from finegrain.embeddings.nearest import cosine_distances
    from finegrain.embeddings.re_identification import Sightings, places_in_gallery
    from finegrain.embeddings.re_ranking import re_ranked_distances

    images = open_retrieval(settings.data)
    query, gallery = (Sightings(some.identities, some.cameras) for some in images.values())
    people = len(set(query.identities.tolist()))
    distractors = int((gallery.identities == 0).sum())
    print(f"query    {len(query.identities)} images of {people} people")
    print(f"gallery  {len(gallery.identities)} images, {distractors} of them distractors")
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    embeddings = embed(settings, images)

    rankings = {"plain": cosine_distances(*embeddings)}
    if settings.re_rank:
        rankings["re-ranked"] = re_ranked_distances(
            *embeddings, settings.k1, settings.k2, settings.own_weight
        )
    results: dict[str, dict] = {}
    for name, distances in rankings.items():
        print(f"ranking  {name}", flush=True)
        try:
            places = places_in_gallery(distances, query, gallery)
        except ValueError as error:
            raise UserError(
                f"{settings.data} cannot be tested on ({error}); make it again from the whole set"
            ) from error
        results[name] = measured(places, query)
    if places.without_match:
        print(f"notice   {places.without_match} queries are seen by no other camera: left out")
    print("\n" + table(results))
    counts = {
        "query": len(query.identities),
        "people": people,
        "without_match": places.without_match,
        "gallery": len(gallery.identities),
        "distractors": distractors,
        "embedding": embeddings[0].shape[1],
    }
    write_result(settings, counts, results)


def embed(settings: Settings, images: dict) -> list:
    """The embeddings of query and gallery, (Q,D) and (G,D)."""
    from finegrain.embeddings.photographs import ExportedPhotos, ViewPlan
    from finegrain.embeddings.stored import image_embeddings, mean_embeddings

    photos = {
        part: ExportedPhotos.unlabelled(
            some.paths, some.names, [path.stem for path in some.paths], some.checksums
        )
        for part, some in images.items()
    }
    name = "re_identification_flip.h5" if settings.flip else "re_identification.h5"
    views = ViewPlan("flip" if settings.flip else "plain")
    file = settings.run / name
    with image_embeddings(
        file, settings.run, photos, views, settings.openvino, settings.workers
    ) as features:
        return [mean_embeddings(features, part) for part in images]


def measured(places: "Places", query: "Sightings") -> dict[str, dict]:
    """Measure -> its value and interval, 0 to 1."""
    from finegrain.evaluation.bootstrap import clustered_interval

    people = query.identities[places.queries]
    return {
        name: {"value": float(of.mean()), "interval": clustered_interval(of, people)}
        for name, of in places.of_queries().items()
    }


def table(results: dict[str, dict]) -> str:
    """A line a ranking, percent with 95 % intervals."""
    shown = [name for name in next(iter(results.values())) if name != "mAP-trapezoid"]
    lines = [" " * 10 + "".join(f"{name:>27}" for name in shown)]
    for ranking, measures in results.items():
        cells = []
        for name in shown:
            low, high = measures[name]["interval"]
            value = f"{100 * measures[name]['value']:.2f} %"
            cells.append(f"{value} ({100 * low:.1f} to {100 * high:.1f})".rjust(27))
        lines.append(f"{ranking:10}" + "".join(cells))
    return "\n".join(lines)


def write_result(settings: Settings, counts: dict[str, int], results: dict[str, dict]) -> None:
    from finegrain.runs.run_folder import versions

    content = {
        "protocol": "Market-1501, single query, cosine distance",
        "data": str(settings.data.absolute()),
        "counts": counts,
        "flip": settings.flip,
        "results": results,
        "versions": versions(),
    }
    if settings.re_rank:
        content["re_ranking"] = {
            "k1": settings.k1,
            "k2": settings.k2,
            "own_weight": settings.own_weight,
        }
    path = settings.run / RESULT
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"\nwrote    {path}")


if __name__ == "__main__":
    run_command(main, Settings)
