"""One self-contained HTML page out of the parts of a report."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from finegrain.report.cases import RULE
from finegrain.report.comparison import Difference, Disagreement
from finegrain.report.run_record import (
    measure_notes,
    measure_rows,
    run_facts,
    setting_rows,
    stage_rows,
)
from finegrain.report.run_view import RunView
from finegrain.whole_files import written_whole

TEMPLATES = Path(__file__).parent / "page"
SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "test"}
# A mean confidence this far from the accuracy is worth a sentence.
CLEARLY_OFF = 0.03


def render_page(
    views: Sequence[RunView],
    differences: Sequence[Difference | None] = (),
    disagreements: tuple[int, Sequence[Disagreement]] = (0, ()),
) -> str:
    """The page of at least one run; differences are of each further run to the first one.

    All names are escaped by the template engine, and the page forbids itself whatever is not in
    it: nothing is fetched, and no script runs but its own, which is known by its checksum.
    Of disagreements it takes how many there are, and those shown.
    """
    environment = page_templates(TEMPLATES)
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    asked = (headlines, measure_rows, measure_notes, run_facts, setting_rows, stage_rows)
    environment.globals |= {function.__name__: function for function in asked}
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    checksum = hashlib.sha256(script.encode("utf-8")).digest()
    return environment.get_template("page.html.jinja").render(
        views=views,
        title=f"Report of {', '.join(view.record.name for view in views)}",
        differences=differences,
        disagreement_count=disagreements[0],
        disagreements=disagreements[1],
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_checksum=base64.b64encode(checksum).decode("ascii"),
        split_names=SPLIT_NAMES,
        label_error_rule=RULE,
    )


def page_templates(folder: Path) -> jinja2.Environment:
    """The templates of a folder: every name is escaped, and none may be left out."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def write_page(path: Path, page: str) -> None:
    """Write the page; letters that no encoding knows, of odd file names, become signs."""
    with written_whole(path) as file:
        file.write_text(page, encoding="utf-8", errors="backslashreplace")


def headlines(view: RunView) -> list[tuple[str, str]]:
    """What a reader with one minute should know of a run: sentences, and the section of each."""
    answers = view.record.answers
    if answers is None:
        return []
    count, wrong = len(answers), view.mistake_count
    said = [(f"{wrong} of {count} answers are wrong ({100 * wrong / count:.1f} %).", "mistakes")]
    if view.pairs:
        pair, sides = view.pairs[0]
        names = " and ".join(side.name for side in sides)
        text = f"Most often mistaken for each other: {names} ({pair.mistakes} of {pair.images})."
        said.append((text, "pairs"))
    excess = float(answers.probability.mean() - answers.right.mean())
    if abs(excess) >= CLEARLY_OFF:
        manner = "surer" if excess > 0 else "less sure"
        text = f"It is {manner} than it is right, by {100 * abs(excess):.0f} points on average."
        said.append((text, "measures"))
    if view.label_error_count:
        text = f"{view.label_error_count} labels should be looked at: they may be wrong."
        said.append((text, "labels"))
    if view.copies:
        text = f"{view.copy_count} photographs have a copy among the training photographs."
        said.append((text, "labels"))
    return said
