"""The closing line of a training script: the error of the model it leaves."""

from finegrain.errors import UserError
from finegrain.evaluation.history_plot import plot_history
from finegrain.evaluation.metrics import top1_error
from finegrain.evaluation.model_picture import MODEL_PICTURE, draw_model
from finegrain.evaluation.predict import predict_probabilities, sample_images
from finegrain.inference.inference import open_inference
from finegrain.inference.keras_engine import KerasEngine
from finegrain.models.classifier import classifier
from finegrain.models.full_precision import in_full_precision
from finegrain.training.epoch_keeper import monitored
from finegrain.training.plateau import judge
from finegrain.training.precision import FLOAT32
from finegrain.training.results import read_results, write_results
from finegrain.training.session import Session
from finegrain.training.stage import Stage

JUDGED_SPLITS = ("valid", "test")


def close_stage(session: Session, stage: Stage, is_final: bool) -> None:
    """Measure a finished stage, write down its numbers and plot; after the last, the model.

    `history.png` gets the stage's epochs, `model.png` shows the layers of what is trained.

    What was measured before is not measured again, and the model of a later stage is not
    replaced by an earlier one's.

    Args:
        session: its model holds the stage's best weights.
        stage: the stage just trained, or found finished.
        is_final: whether the script ends with this stage.
    """
    if not (session.run.path / MODEL_PICTURE).exists():
        draw_model(session.model, session.run.path / MODEL_PICTURE)
    results = read_results(session.run)
    if stage.name not in results["stages"]:
        folder = session.folder(stage)
        results["stages"][stage.name] = {
            **{f"{split}_error": error for split, error in split_errors(session, stage).items()},
            "epochs": folder.epochs,
            "seconds": round(folder.seconds, 1),
        }
        write_results(session.run, results)
        plot_history(session.run.path)
    numbers = results["stages"][stage.name]
    if is_final and (results["model_from"] or "") < stage.name:
        session.run.save_model(session.model)
        write_results(session.run, {**results, "model_from": stage.name})
    errors = ", ".join(
        f"{name} {numbers[key]:.4f}"
        for name, key in (("validation", "valid_error"), ("test", "test_error"))
        if key in numbers
    )
    print(f"{stage.name}: top-1 error {errors} ({numbers['seconds']:.0f} s of training)")


def split_errors(session: Session, stage: Stage) -> dict[str, float]:
    """Top-1 error of a finished stage on each held-out split the data set has.

    On the validation images its best epoch has been measured already.
    """
    history = session.folder(stage).history
    errors = {}
    for split in JUDGED_SPLITS:
        if split == "valid" and history:
            errors[split] = best_error(history, len(session.data.paths(split)))
        elif split in session.data.splits:
            errors[split] = _predicted_error(session, split)
    return errors


def best_error(history: list[dict[str, float]], images: int) -> float:
    """Top-1 error of a stage's best epoch on its validation images."""
    best = history[judge([monitored(row) for row in history], 0, 0).best_epoch]
    accuracy = best.get("val_category_accuracy", best.get("val_accuracy"))
    # Keras gives a float32; the number of wrong answers is whole.
    return round((1 - accuracy) * images) / images


def _predicted_error(session: Session, split: str) -> float:
    data, feed = session.data, session.feed
    paths = data.paths(split)
    model = classifier(session.model)
    if session.computing.precision.policy != FLOAT32:
        # As the finished model will predict.
        model = in_full_precision(model)
    sample = sample_images(paths, feed.image_size)
    opened = open_inference(model, sample, feed.openvino, len(paths))
    if not isinstance(opened.compute, KerasEngine):
        print(f"  computing {opened.describe()}", flush=True)
    predictions = predict_probabilities(opened, paths, feed.image_size, feed.batch_size)
    if predictions.unreadable:
        row, reason = next(iter(predictions.unreadable.items()))
        raise UserError(
            f"{predictions.paths[row]} can no longer be read ({reason}); put it back, or "
            "make the data set again with img2keras.py"
        )
    return top1_error(predictions.probabilities, data.labels(split))
