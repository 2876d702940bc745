"""The measures of an evaluation as lines for the terminal."""

from collections.abc import Iterator
from typing import Any

TITLES = {
    "top1_accuracy": "accuracy of the first answer",
    "top5_accuracy": "true class among the first five",
    "macro_f1": "macro-F1",
    "log_loss": "log loss",
    "expected_calibration_error": "calibration error",
    "pair_auc_cosine": "pairs by cosine similarity: ROC AUC",
    "pair_eer_cosine": "pairs by cosine similarity: equal error rate",
    "pair_auc_same_class": "pairs by the same-class head: ROC AUC",
    "pair_eer_same_class": "pairs by the same-class head: equal error rate",
    "recall_at_1": "own class is the most alike image",
    "recall_at_5": "own class is among the 5 most alike",
    "recall_at_10": "own class is among the 10 most alike",
    "mean_average_precision": "mean average precision of retrieval",
}


def measure_lines(evaluation: dict[str, Any]) -> Iterator[str]:
    """A line a measure with its interval, or the reason why it is missing.

    Args:
        evaluation: what evaluation.json holds.
    """
    for split, reason in evaluation["missing"].items():
        yield f"no {split}: {reason}"
    for split, found in evaluation["splits"].items():
        yield f"{split}: {found['images']} images"
        for name, title in TITLES.items():
            measure = found["measures"][name]
            if measure is None:
                yield f"  {title:<48} -  ({found['missing'][name]})"
                continue
            interval = ""
            if measure["low"] is not None:
                interval = f"  ({measure['low']:.4f} to {measure['high']:.4f})"
            yield f"  {title:<48} {measure['value']:.4f}{interval}"
        for note in found["notes"]:
            yield f"  note: {note}"
