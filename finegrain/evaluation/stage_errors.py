"""The closing line of a training script: the error of the model it leaves."""

from collections.abc import Sequence

from finegrain.evaluation.answer_images import Answered, split_error
from finegrain.evaluation.calibrated_model import file_digest
from finegrain.evaluation.evaluate_run import About, answer_all, write_answers
from finegrain.evaluation.history_plot import plot_history
from finegrain.evaluation.labelled_images import held_out_images, split_images
from finegrain.evaluation.same_class_scores import same_class_scores
from finegrain.training.epoch_keeper import monitored
from finegrain.training.plateau import judge
from finegrain.training.results import read_results, write_results
from finegrain.training.run_folder import MODEL
from finegrain.training.session import Session
from finegrain.training.stage import Stage

JUDGED_SPLITS = ("valid", "test")


def close_stage(session: Session, stage: Stage, is_final: bool) -> None:
    """Measure a finished stage, write down its numbers and plot; after the last, the model.

    With the model come predictions.csv and evaluation.json, from the same look at the images that
    the test error is from. What was measured before is not measured again, and the model of a
    later stage is not replaced by an earlier one's.

    Args:
        session: its model holds the stage's best weights.
        stage: the stage just trained, or found finished.
        is_final: whether the script ends with this stage.
    """
    results = read_results(session.run)
    becomes_model = is_final and (results["model_from"] or "") < stage.name
    answered = _answers(session, held_out_images(session.data)) if becomes_model else []
    if stage.name not in results["stages"]:
        folder = session.folder(stage)
        errors = split_errors(session, stage, answered)
        results["stages"][stage.name] = {
            **{f"{split}_error": error for split, error in errors.items()},
            "epochs": folder.epochs,
            "seconds": round(folder.seconds, 1),
        }
        write_results(session.run, results)
        plot_history(session.run.path)
    numbers = results["stages"][stage.name]
    if becomes_model:
        session.run.save_model(session.model)
        _evaluate(session, stage, answered)
        write_results(session.run, {**results, "model_from": stage.name})
    errors = ", ".join(
        f"{name} {numbers[key]:.4f}"
        for name, key in (("validation", "valid_error"), ("test", "test_error"))
        if key in numbers
    )
    print(f"{stage.name}: top-1 error {errors} ({numbers['seconds']:.0f} s of training)")


def split_errors(
    session: Session, stage: Stage, answered: Sequence[Answered] = ()
) -> dict[str, float]:
    """Top-1 error of a finished stage on each held-out split the data set has.

    On the validation images its best epoch has been measured already.

    Args:
        session: its model holds the stage's best weights.
        stage: the stage.
        answered: what the model said of some of the splits, if it was asked already.
    """
    history = session.folder(stage).history
    known = {some.images.split: some for some in answered}
    errors = {}
    for split in JUDGED_SPLITS:
        if split == "valid" and history:
            errors[split] = best_error(history, len(session.data.paths(split)))
        elif split in session.data.splits:
            if split not in known:
                known[split] = _answers(session, [split_images(session.data, split)])[0]
            errors[split] = split_error(known[split])
    return errors


def best_error(history: list[dict[str, float]], images: int) -> float:
    """Top-1 error of a stage's best epoch on its validation images."""
    best = history[judge([monitored(row) for row in history], 0, 0).best_epoch]
    accuracy = best.get("val_category_accuracy", best.get("val_accuracy"))
    # Keras gives a float32; the number of wrong answers is whole.
    return round((1 - accuracy) * images) / images


def _answers(session: Session, images: list) -> list[Answered]:
    feed = session.feed
    return answer_all(session.model, images, feed.image_size, feed.openvino, feed.batch_size)


def _evaluate(session: Session, stage: Stage, answered: Sequence[Answered]) -> None:
    run, data = session.run.path, session.data
    about = About(run, stage.name, 1.0, file_digest(run / MODEL), data.folder, data.digest)
    write_answers(run, answered, data.classes, same_class_scores(session.model), about)
