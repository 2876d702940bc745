"""The report in a few sentences: what to look at first."""

from dataclasses import dataclass

from finegrain.report.run_view import RunView

# A mean confidence this far from the accuracy is worth a sentence.
CLEARLY_OFF = 0.03


@dataclass(frozen=True)
class Headline:
    """A sentence and the section that holds the details."""

    text: str
    section: str


def headlines(view: RunView) -> list[Headline]:
    """What a reader with one minute should know of a run; empty without answers."""
    answers = view.record.answers
    if answers is None:
        return []
    count, wrong = len(answers), view.mistake_count
    said = [
        Headline(f"{wrong} of {count} answers are wrong ({100 * wrong / count:.1f} %).", "mistakes")
    ]
    if view.pairs:
        pair = view.pairs[0]
        names = " and ".join(side.name for side in pair.sides)
        text = f"Most often mistaken for each other: {names} ({pair.mistakes} of {pair.images})."
        said.append(Headline(text, "pairs"))
    excess = float(answers.probability.mean() - answers.right.mean())
    if abs(excess) >= CLEARLY_OFF:
        manner = "surer" if excess > 0 else "less sure"
        text = f"It is {manner} than it is right, by {100 * abs(excess):.0f} points on average."
        said.append(Headline(text, "measures"))
    if view.label_error_count:
        text = f"{view.label_error_count} labels should be looked at: they may be wrong."
        said.append(Headline(text, "labels"))
    if view.copies:
        text = f"{view.copy_count} photographs have a copy among the training photographs."
        said.append(Headline(text, "labels"))
    return said
