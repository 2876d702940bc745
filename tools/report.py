"""A page that shows what a finished run knows, and what it gets wrong.

    python tools/report.py --run runs/dogs
    python tools/report.py --run runs/dogs-single runs/dogs --output comparison.html

Writes `report.html` into the (first) run folder: what was trained on what, the curves, the
measures with intervals, the confusions with photographs of the look-alikes, the worst mistakes
with Grad-CAM and the training photographs most like them, likely label errors, copies across the
split, and a table of classes. Several runs are compared. The page is one file that opens without
a network. Everything comes from the run folder, its `predictions.csv` first of all; nothing is
trained again, and what is missing is said on the page.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import CountOrZero
from finegrain.memory import size_in_words
from finegrain.outputs import RUN, Output, OutputFile, OutputFolder

REPORT = "report.html"
PAGES = ("", ".html", ".htm")


@dataclass
class Settings:
    """Write the report of one or several runs."""

    # run folders
    run: tuple[Path, ...]
    # file to write; by default report.html in the (first) run folder
    output: Path | None = None
    # where the data set stands now, if it has moved
    data: Path | None = None
    # whose photographs to show: valid or test; by default the validation's, where there are any
    split: str | None = None
    # compute embeddings of at most so many photographs (training ones included); those that are
    # stored in the run folder are always used
    most_embedded: CountOrZero = 3000
    # photographs on which runs disagree, shown at most
    disagreements: Annotated[int, Interval(ge=0, le=10_000)] = 24

    def outputs(self) -> list[Output]:
        """What is written."""
        if self.output is not None:
            return [OutputFile("--output", self.output, own_names=(REPORT,), replaces=PAGES)]
        return [OutputFolder("--run", folder, RUN) for folder in self.run[:1]]


def main(settings: Settings) -> None:
    if not settings.run:
        raise UserError("--run names no run; give one or several run folders")
    from finegrain.report.comparison import difference, disagreements, named_answers
    from finegrain.report.page import render_page, write_page
    from finegrain.report.run_record import read_run
    from finegrain.report.run_view import view_run

    records = [read_run(folder, settings.split, settings.data) for folder in settings.run]
    views, everyone = [], [named_answers(record) for record in records]
    for record in records:
        count = 0 if record.answers is None else len(record.answers)
        print(f"{record.folder}: {count} answers of the split {record.split}", flush=True)
        views.append(view_run(record, settings.most_embedded))
    differences, disagreed = [], (0, [])
    if len(records) > 1:
        differences = [difference(other, everyone[0]) for other in everyone[1:]]
        disagreed = disagreements(everyone, records[0].photographs, settings.disagreements)
    output = settings.output or settings.run[0] / REPORT
    write_page(output, render_page(views, differences, disagreed))
    for view in views:
        for note in view.record.notes:
            print(f"  note: {note}")
    print(f"report written to {output}, {size_in_words(output.stat().st_size)}")


if __name__ == "__main__":
    run_command(main, Settings)
