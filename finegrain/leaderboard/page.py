"""The page of a search: what was tried, what won, what to expect, and what to look at."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.leaderboard.answers import Answers
from finegrain.leaderboard.contest import Metric, Score
from finegrain.leaderboard.doubtful import Doubt, doubtful_labels, weak_classes
from finegrain.leaderboard.ensemble import Ensemble, choose_ensemble
from finegrain.leaderboard.partition import Partition
from finegrain.report.page import page_templates
from finegrain.whole_files import written_whole

TEMPLATES = Path(__file__).parent / "page"
MOST_DOUBTS = 24
PICTURE_SIDE = 160
RESOLUTION = 110


@dataclass(frozen=True, eq=False)
class Told:
    """What a page tells of a search.

    Attributes:
        finished: candidates in the order they were finished in.
        expected: of the ensemble, on the images held out.
        single: likewise of the single model, and what that is; None where there is none.
        left: how many candidates were left after few folds.
        notes: sentences on what was odd about the images.
    """

    partition: Partition
    metric: Metric
    finished: Sequence[Answers]
    ensemble: Ensemble
    expected: Score
    single: tuple[Score, str] | None
    left: int
    minutes: float
    notes: Sequence[str]


@dataclass(frozen=True)
class DoubtCard:
    """A photograph whose label is doubtful; `picture` is a data URI."""

    picture: str
    path: str
    given: str
    likely: str


def write_page(file: Path, told: Told) -> None:
    """Write the page of a search, one file that fetches nothing."""
    labels = told.partition.labels
    out_of_fold = told.ensemble.mean("out_of_fold")
    doubts = doubtful_labels(out_of_fold, labels)
    weights = {id(m): w for m, w in zip(told.ensemble.members, told.ensemble.weights, strict=True)}
    rows = [
        {
            "name": each.candidate.name,
            "score": told.metric.score(told.metric.loss(each.out_of_fold, labels)),
            "seconds": each.seconds,
            "weight": weights.get(id(each), 0.0),
        }
        for each in told.finished
    ]
    page = (
        page_templates(TEMPLATES)
        .get_template("leaderboard.html.jinja")
        .render(
            told=told,
            rows=rows,
            course=Markup(course(told)),
            doubt_count=len(doubts),
            doubts=cards(told.partition, doubts[:MOST_DOUBTS]),
            weak=weak_classes(out_of_fold, labels),
            classes=told.partition.classes,
            style=Markup((TEMPLATES / "leaderboard.css").read_text(encoding="utf-8")),
        )
    )
    with written_whole(file) as beside:
        beside.write_text(page, encoding="utf-8", errors="backslashreplace")


def course(told: Told) -> str:
    """The best score out of fold against the minutes, as SVG that takes the page's colours."""
    from matplotlib.figure import Figure

    labels, metric = told.partition.labels, told.metric
    minutes, best, singles = [], [], []
    for count in range(1, len(told.finished) + 1):
        ensemble = choose_ensemble(told.finished[:count], labels, metric)
        minutes.append(told.finished[count - 1].finished / 60)
        best.append(metric.score(ensemble.loss))
        singles.append(metric.score(metric.loss(told.finished[count - 1].out_of_fold, labels)))
    figure = Figure(figsize=(7, 3.2), dpi=RESOLUTION)
    axes = figure.add_subplot()
    axes.plot(minutes, singles, "o", color="#7a869a", label="a candidate")
    # As good until now.
    axes.step(
        [*minutes, told.minutes],
        [*best, best[-1]],
        where="post",
        color="#0b6e4f",
        label="the best ensemble so far",
    )
    axes.set_xlabel("minutes since the start")
    axes.set_ylabel(f"{metric.title}, out of fold")
    axes.set_ylim(0, 1.1 * max(singles + best) or 1)
    axes.set_xlim(left=0)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def cards(partition: Partition, doubts: Sequence[Doubt]) -> list[DoubtCard]:
    """Small pictures of doubtful images; one that can no longer be read is left out."""
    found = []
    for doubt in doubts:
        path = partition.known[doubt.image]
        try:
            image = open_rgb(path, at_least=(PICTURE_SIDE, PICTURE_SIDE))
        except (UnreadableImage, OSError):
            continue
        image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=80)
        encoded = base64.b64encode(file.getvalue()).decode("ascii")
        given, likely = partition.classes[doubt.given], partition.classes[doubt.likely]
        found.append(DoubtCard(f"data:image/jpeg;base64,{encoded}", path.name, given, likely))
    return found
