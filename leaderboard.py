"""One command from photographs to a place on a leaderboard, within so many minutes.

    python leaderboard.py --photos PHOTOS --test TEST --minutes 30 --output answer

It makes a data set of PHOTOS, in any layout that img2keras.py knows, and holds a part of it back
that nothing is learnt from or chosen by. The first complete submission is there after the shortest
road, logistic regression on the embeddings of the cheapest backbone. Then it searches: photographs
pass a backbone once, and from what is stored of that its last blocks are trained again and again,
in another way each time, each judged out of fold on images that it has not learnt; ways that do
worse than others are left early. The answer is an ensemble of what was tried, chosen greedily, as
sure as it may be.

The best so far is always on disk, so that Ctrl-C at any time leaves a valid submission and says
what to expect of it; the same command goes on. In the end OUTPUT holds the submission,
leaderboard.json with the expected score, report.html, and model/, a run folder with one model that
answers in a single pass. Without --test there is no submission, but all the rest.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from finegrain.command import run_command
from finegrain.errors import UserError, by_product
from finegrain.flags import (
    BatchSize,
    CountOrZero,
    Gigabytes,
    Minutes,
    ProperShare,
    Seed,
    Threads,
)
from finegrain.leaderboard.contest import MetricName
from finegrain.outputs import Output, OutputFolder
from finegrain.quiet import load_keras
from finegrain.read_ahead import default_workers
from finegrain.submission.submission import SubmissionFormat

# Tried in this order where their weights are at hand or can be downloaded.
BACKBONES = ("mobilenet_v2", "efficientnet_b0", "inception_v3", "xception")
SHIPPED = "xception_small"


@dataclass
class Settings:
    """Search for the best answers to a contest within so many minutes."""

    # folder of labelled photographs, any layout that img2keras.py knows
    photos: Path
    # folder for everything that is made
    output: Path
    # folder of unlabelled test images, or a JSON that lists them; without it there is no submission
    test: Path | None = None
    # how long it may take
    minutes: Minutes = 30.0
    # train so many candidates instead, however long they take: the same number, the same result
    trials: CountOrZero | None = None
    # what the contest is scored by: top1 (error), log_loss, macro_f1, map (mean average precision)
    metric: MetricName = "top1"
    # weights of backbones, BACKBONE=FILE each; by default those of ImageNet that Keras downloads
    weights: tuple[str, ...] = ()
    # baidu: `label<TAB>id`; kaggle-label: `id,label`; probabilities: `id,<class>,...`
    format: SubmissionFormat = "probabilities"
    # the leaderboard's own sample, whose header, ids and order are kept
    sample_submission: Path | None = None
    # share of each class that is held back to tell what to expect
    held_out: ProperShare = 0.15
    # of the split, the folds and everything drawn
    seed: Seed = 0
    # images a batch
    batch_size: BatchSize = 32
    # all stores together take at most so many gigabytes
    cache_gb: Gigabytes = 10.0
    # what is likely to take more gigabytes of memory is left out of the search
    memory_gb: Gigabytes = 6.0
    # precision of the networks' computing; auto takes what suits the device, and on a CPU that
    # multiplies bfloat16 trains in it what gains much by it
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    # on a CPU, compute with OpenVINO where it is installed and pays: faster by far
    openvino: bool = True
    # threads that read images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--output", self.output)]


def main(settings: Settings) -> None:
    from finegrain.datasets.manifest import category_ids
    from finegrain.datasets.unlabelled_images import unlabelled_images
    from finegrain.leaderboard.clock import Clock
    from finegrain.submission.submission import check_sample_fits, read_sample_submission

    clock = Clock(None if settings.trials is not None else 60 * settings.minutes)
    check(settings)
    data = make_data_set(settings)
    test = unlabelled_images(settings.test, data.classes, "--test") if settings.test else {}
    ids, sample = category_ids(data), None
    if settings.sample_submission is not None:
        sample = read_sample_submission(settings.sample_submission)
        check_sample_fits(settings.format, sample, ids or data.classes)

    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    import numpy as np

    from finegrain.leaderboard.answers import AnswerFolder
    from finegrain.leaderboard.contest import find_metric
    from finegrain.leaderboard.means import Means
    from finegrain.leaderboard.outcome import Outcome
    from finegrain.leaderboard.partition import part
    from finegrain.leaderboard.search import Search
    from finegrain.stores.store_folder import GIGABYTE, StoreFolder
    from finegrain.training.computing import set_up_computing

    computing = set_up_computing(settings.precision, "auto", settings.seed)
    device = computing.device
    rounded = (
        settings.precision == "auto" and device.fast_bfloat16 and device.backend == "tensorflow"
    )
    partition = part(data, test, settings.seed)
    metric = find_metric(settings.metric)
    print(
        f"images   {len(partition.known)} to learn from, in {partition.fold_count} parts; "
        f"{len(partition.held_out)} held back; {len(test)} to answer",
        flush=True,
    )
    backbones = open_backbones(settings)
    work = settings.output / "search" / contest_digest(settings, partition, backbones)
    known = tell_known(test, partition, work, settings.workers)
    counts = np.bincount(partition.labels, minlength=len(data.classes))
    outcome = Outcome(settings.output, metric, settings.format, sample, ids, counts / counts.sum())
    means = Means(
        StoreFolder(settings.output / "cache", settings.cache_gb * GIGABYTE),
        settings.batch_size,
        settings.seed,
        settings.openvino,
        settings.workers,
        settings.memory_gb,
        rounded,
        clock.check,
    )
    answers = AnswerFolder(work / "answers")
    search = Search(
        partition,
        metric,
        clock,
        backbones,
        answers,
        work / "features",
        means,
        settings.trials,
        outcome.write,
    )
    try:
        ensemble = search.run()
        finish(settings, data, search, ensemble, outcome, known)
    except KeyboardInterrupt:
        if (settings.output / "leaderboard.json").is_file():
            tell(settings, outcome)
        raise


def check(settings: Settings) -> None:
    """Refuse what is wrong whatever the photographs are, before any is read."""
    from finegrain.datasets.unlabelled_images import unlabelled_images

    for text in settings.weights:
        if not text.partition("=")[2]:
            raise UserError(f"--weights {text} must be BACKBONE=FILE")
    if settings.test is None:
        return
    photos, test = settings.photos.resolve(), settings.test.resolve()
    if test == photos or (test.is_relative_to(photos) and test.is_dir()):
        raise UserError(
            f"--test {settings.test} lies inside --photos {settings.photos}, so the test images "
            "would be learnt as a class; move it out, or name the folder of labelled photographs"
        )
    unlabelled_images(settings.test, (), "--test")


def make_data_set(settings: Settings):
    """The data set of the photographs, made by img2keras.py, which says what is odd about them."""
    import img2keras
    from finegrain.datasets.manifest import open_data_set

    folder = settings.output / "data"
    img2keras.make(
        img2keras.Settings(
            settings.photos,
            folder,
            valid_fraction=settings.held_out,
            seed=settings.seed,
            workers=settings.workers,
        )
    )
    return open_data_set(folder)


def tell_known(test: dict[str, Path], partition, work: Path, workers: int) -> str:
    """Say which test images stand among the labelled ones; what the page says of it, or nothing."""
    from finegrain.leaderboard.known_test import known_test_images

    labelled = [*partition.known, *partition.held_out]
    known = known_test_images(test, labelled, work / "known-test.json", workers) if test else []
    if not known:
        return ""
    stand = "test image stands" if len(known) == 1 else "test images stand"
    said = f"{len(known)} {stand} among the photographs too, such as {test[known[0]].name}"
    print(f"notice  {said}: a score on them flatters", flush=True)
    return f"{said}."


def open_backbones(settings: Settings) -> list:
    """The backbones whose weights can be had, in the order they are tried; else the shipped one."""
    from finegrain.leaderboard.cost import in_order
    from finegrain.leaderboard.variant import Backbone
    from finegrain.models.backbone import build_backbone, check_weights_name
    from finegrain.models.backbone_table import find_backbone

    if settings.weights:
        named = []
        for text in settings.weights:
            name, _, file = text.partition("=")
            check_weights_name(file)
            named.append(Backbone(find_backbone(name), file))
        return in_order(named)
    found = []
    for name in BACKBONES:
        spec = find_backbone(name)
        try:
            build_backbone(spec, "imagenet", (spec.image_size, spec.image_size))
        except UserError as error:
            print(f"notice  {name} is left out ({error})", flush=True)
            break
        found.append(Backbone(spec, "imagenet"))
    if found:
        return in_order(found)
    spec = find_backbone(SHIPPED)
    print(f"notice  the small backbone that comes along, {SHIPPED}, is taken instead", flush=True)
    assert spec.shipped_weights is not None
    return [Backbone(spec, spec.shipped_weights)]


def contest_digest(settings: Settings, partition, backbones: list) -> str:
    """A name for the answers to these very images by these very backbones."""
    from finegrain.images.pixels import photos_digest

    content = [
        photos_digest(partition.known, partition.checksums),
        partition.labels.tolist(),
        partition.folds.tolist(),
        [str(path) for path in partition.held_out],
        photos_digest(list(partition.test.values())),
        [[each.spec.name, each.weights] for each in backbones],
        settings.batch_size,
        settings.seed,
        settings.precision,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def finish(settings: Settings, data, search, ensemble, outcome, known: str) -> None:
    """The single model, the page, and where everything lies."""
    from finegrain.leaderboard.contest import measured
    from finegrain.leaderboard.distil import save_run, single_model
    from finegrain.leaderboard.page import Told, write_page

    expected = outcome.write(search, ensemble)
    single = None
    with by_product("the single model"):
        made = single_model(search, ensemble)
        save_run(made, data, settings.output / "model")
        labels = search.partition.held_out_labels
        others = len(search.partition.test)
        single = measured(search.metric, made.held_out, labels, others), made.told
        print(f"model    {settings.output / 'model'}, {made.told}: {single[0]}", flush=True)
    with by_product("report.html"):
        minutes = search.clock.passed() / 60
        lost = len(search.lost)
        images = "test image" if lost == 1 else "test images"
        notes = [f"{lost} {images} cannot be decoded."] if lost else []
        notes += [known] if known else []
        told = Told(
            search.partition,
            search.metric,
            search.finished,
            ensemble,
            expected,
            single,
            len(search.answers.left()),
            minutes,
            notes,
        )
        write_page(settings.output / "report.html", told)
    tell(settings, outcome)


def tell(settings: Settings, outcome) -> None:
    """What was reached, and where it lies."""
    summary = json.loads((settings.output / "leaderboard.json").read_text(encoding="utf-8"))
    low, high = summary["interval"]
    print(
        f"\n{summary['metric']} {summary['expected']:.4f} is to be expected ({low:.4f} to "
        f"{high:.4f}), by {len(summary['ensemble'])} of {summary['candidates']} candidates after "
        f"{summary['minutes']:.1f} minutes"
    )
    if outcome.submission().is_file():
        print(f"submission  {outcome.submission()}")
    if (settings.output / "report.html").is_file():
        print(f"report      {settings.output / 'report.html'}")


if __name__ == "__main__":
    run_command(main, Settings)
