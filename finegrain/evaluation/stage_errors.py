"""The top-1 error of a finished stage on the held-out images."""

from collections.abc import Sequence

from finegrain.evaluation.answer_images import Answered, LabelledImages, split_error
from finegrain.evaluation.evaluate_run import answer_all
from finegrain.evaluation.labelled_images import split_images
from finegrain.runs.plateau import judge
from finegrain.training.epoch_keeper import monitored, validation_accuracy
from finegrain.training.session import Session
from finegrain.training.stage import Stage

JUDGED_SPLITS = ("valid", "test")


def split_error_of(
    session: Session, stage: Stage, split: str, answered: Sequence[Answered] = ()
) -> float:
    """Top-1 error of a finished stage on a held-out split.

    On the validation images its best epoch has been measured already.

    Args:
        session: its model holds the stage's best weights.
        stage: the stage.
        split: one that the data set has.
        answered: what the model said of some of the splits, if it was asked already.

    Raises:
        UserError: an image can no longer be read.
    """
    history = session.folder(stage).history
    if split == "valid" and history:
        return best_error(history, len(session.data.paths(split)))
    known = {some.images.split: some for some in answered}
    if split not in known:
        known[split] = answers(session, [split_images(session.data, split)])[0]
    return split_error(known[split])


def best_error(history: list[dict[str, float]], images: int) -> float:
    """Top-1 error of a stage's best epoch on its validation images."""
    best = history[judge([monitored(row) for row in history], 0, 0).best_epoch or 0]
    # Keras gives a float32; the number of wrong answers is whole.
    return round((1 - validation_accuracy(best)) * images) / images


def answers(session: Session, images: Sequence[LabelledImages]) -> list[Answered]:
    """What a session's model says of images, in full precision."""
    feed = session.feed
    return answer_all(session.model, images, feed.image_size, feed.openvino, feed.batch_size)
