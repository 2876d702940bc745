"""What a training script does when a stage has ended: the model, its numbers, what shows them."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from finegrain.errors import UserError, by_product
from finegrain.evaluation.answer_images import answer_model, same_class_scores
from finegrain.evaluation.evaluation_file import (
    EVALUATION,
    About,
    read_evaluation,
    write_answers,
)
from finegrain.evaluation.labelled_images import (
    HELD_OUT,
    TEST,
    VALID,
    Answered,
    LabelledImages,
    held_out_images,
    split_images,
)
from finegrain.evaluation.pictures import (
    MODEL_PICTURE,
    MODEL_TABLE,
    PICTURE,
    draw_model,
    plot_history,
    write_model_table,
)
from finegrain.evaluation.temperature import TEMPERATURE
from finegrain.regular_file import file_digest
from finegrain.runs.plateau import judge
from finegrain.runs.predictions import PREDICTIONS
from finegrain.runs.run_folder import MODEL, read_results, write_results
from finegrain.runs.stage_folder import StageFolder
from finegrain.runs.trained_model import load_model
from finegrain.training.baseline import modern_command
from finegrain.training.objectives.objective import Objective
from finegrain.training.session import Session
from finegrain.training.stage import Stage

# After so long a training the seconds of a conversion are none that anyone waits for.
LONG_SECONDS = 60


def close_stage(session: Session, stage: Stage, is_final: bool) -> None:
    """Write the model of a script's last stage; measure a stage and show what it reached.

    The model comes first. What only tells of it never ends a run: a measure, table or picture
    that cannot be made is left out with a notice, and made when the command is started again.
    So is a model.keras that is gone or damaged. The model of a later stage is not replaced by an
    earlier one's, and what was measured before is not measured again. The session's model holds
    the best weights of the stage, which was just trained or found finished.
    """
    run, results = session.run, read_results(session.run)
    owner = max(stage.name, results["model_from"] or run.last_finished_stage() or "")
    answered = None
    if is_final and owner == stage.name:
        answered = _close_model(session, stage, results)
    _measure(session, stage, results, answered or [])
    if answered is not None:
        with by_product(f"{run.path / EVALUATION}"):
            _evaluate(session, stage.name, answered)
    if is_final and owner == stage.name and results["model_from"] != owner:
        # After all that tells of the model, so that a kill before it has all of it made again.
        results["model_from"] = owner
        write_results(run, results)
    _draw(session, is_final)
    numbers, baseline = results["stages"][stage.name], results.get("baseline") or {}
    print(_closing_line(stage, numbers, baseline if is_final else {}))
    if is_final:
        _tell_if_worse(session, stage, numbers, baseline)
    if is_final and owner != stage.name:
        _restore_later_model(session, owner)


def _close_model(session: Session, stage: Stage, results: dict[str, Any]) -> list[Answered] | None:
    """Write the model where it does not stand yet; its answers, where they are still wanted."""
    run, known = session.run, results["model_from"] == stage.name
    if not (known and _has_sound_model(session)):
        run.save_model(session.finished_model())
        if known:
            _tell_restored(session)
    elif _is_evaluated(session):
        return None
    with by_product(f"{run.path / PREDICTIONS}, and {EVALUATION} with it,"):
        was_long = session.folder(stage).seconds > LONG_SECONDS
        return _answers(session, held_out_images(session.measured_data), keep=True, always=was_long)
    return None


def _has_sound_model(session: Session) -> bool:
    run, classes = session.run, len(session.data.classes)
    with contextlib.suppress(UserError):
        load_model(run.path / MODEL, session.feed.frame.size, classes, run.config.compares_pairs)
        return True
    return False


def _restore_later_model(session: Session, owner: str) -> None:
    """Write the model of a later stage anew if it is gone or damaged."""
    run = session.run
    if _has_sound_model(session):
        return
    # Without an optimizer: that of the checkpoint may be of another kind.
    bare = keras.Model(session.model.input, session.model.output, name=session.model.name)
    StageFolder.finished_before(run.path / owner).load_best(bare)
    run.save_model(session.objective.finished(bare))
    _tell_restored(session)
    with by_product(f"{run.path / EVALUATION}"):
        _evaluate(
            session, owner, _answers(session, held_out_images(session.measured_data), keep=True)
        )


def _tell_restored(session: Session) -> None:
    path = session.run.path
    print(f"  notice    {path / MODEL} was gone or damaged and is written anew")
    if (path / TEMPERATURE).is_file():
        print("  notice    a temperature that was in it is not; tools/calibrate.py puts one in")


def _measure(
    session: Session, stage: Stage, results: dict[str, Any], answered: Sequence[Answered]
) -> None:
    folder = session.folder(stage)
    before = results["stages"].get(stage.name, {})
    numbers = dict(before)
    for split in HELD_OUT:
        if f"{split}_error" not in numbers and split in session.measured_data.splits:
            with by_product(f"the {split} error of stage {stage.name}"):
                numbers[f"{split}_error"] = split_error(session, stage, split, answered)
    numbers = {**numbers, "epochs": folder.epochs, "seconds": round(folder.seconds, 1)}
    if numbers != before:
        # The picture first: numbers that stand there already are not drawn again.
        with by_product(f"{session.run.path / PICTURE}"):
            plot_history(session.run.path)
        results["stages"][stage.name] = numbers
        write_results(session.run, results)


def split_error(session: Session, stage: Stage, split: str, answered: Sequence[Answered]) -> float:
    """Top-1 error of a finished stage on a held-out split; an answer that is no number is wrong."""
    history = session.folder(stage).history
    # Its best epoch has been measured on these, where that is what is kept.
    if split == VALID and history and not stage.interpolate:
        return best_error(history, session.objective, stage, len(session.data.paths(split)))
    known = [each for each in answered if each.images.split == split]
    (asked,) = known or _answers(session, [split_images(session.data, split)])
    if asked.unreadable:
        name, reason = next(iter(asked.unreadable.items()))
        raise UserError(
            f"{name} can no longer be read ({reason}); put it back, or make the data set again "
            "with img2keras.py"
        )
    return float((asked.answers.true_rank != 1).mean())


def best_error(
    history: list[dict[str, float]], objective: Objective, stage: Stage, images: int
) -> float:
    """Top-1 error of a stage's best epoch on its validation images."""
    best = history[judge(objective.watched(history, stage), 0, 0).best_epoch or 0]
    # Keras gives a float32; the number of wrong answers is whole.
    return round((1 - best[objective.accuracy]) * images) / images


def _answers(
    session: Session, images: Sequence[LabelledImages], keep: bool = False, always: bool = False
) -> list[Answered]:
    feed = session.feed
    return answer_model(
        session.finished_model(),
        images,
        feed.frame,
        feed.openvino,
        feed.batch_size,
        keep_in=session.run.path if keep else None,
        always=always,
    )


def _is_evaluated(session: Session) -> bool:
    """Whether predictions and measures stand there, of the model that stands there."""
    run = session.run.path
    try:
        digests = read_evaluation(run / EVALUATION).get("digests", {})
        return digests.get("model") == file_digest(run / MODEL) and (run / PREDICTIONS).is_file()
    except (UserError, AttributeError):
        return False


def _evaluate(session: Session, stage: str, answered: Sequence[Answered]) -> None:
    run, data = session.run.path, session.data
    about = About(run, stage, 1.0, file_digest(run / MODEL), data.folder, data.digest)
    write_answers(run, answered, data.classes, same_class_scores(session.finished_model()), about)


def _draw(session: Session, is_final: bool) -> None:
    run = session.run.path
    with by_product(f"{run / MODEL_TABLE}"):
        write_model_table(session.model, run / MODEL_TABLE)
    if not (run / PICTURE).exists():
        with by_product(f"{run / PICTURE}"):
            plot_history(run)
    # Only once a command, lest a machine without Graphviz is told twice.
    if is_final and not (run / MODEL_PICTURE).exists():
        with by_product(f"{run / MODEL_PICTURE}"):
            draw_model(session.model, run / MODEL_PICTURE)


def _closing_line(stage: Stage, numbers: dict[str, float], baseline: dict[str, float]) -> str:
    errors = ", ".join(
        f"{name} {numbers[key]:.4f}"
        for name, key in (("validation", "valid_error"), ("test", "test_error"))
        if key in numbers
    )
    reached = f"top-1 error {errors}" if errors else "not measured"
    if split := _compared_split(numbers, baseline):
        reached += f"; baseline {baseline[f'{split}_error']:.4f}"
    return f"{stage.name}: {reached} ({numbers['seconds']:.0f} s of training)"


def _compared_split(numbers: dict[str, float], baseline: dict[str, float]) -> str | None:
    """The split whose error tells a stage from its baseline, if both have one."""
    both = numbers.keys() & baseline.keys()
    return next((split for split in (TEST, VALID) if f"{split}_error" in both), None)


def _tell_if_worse(
    session: Session, stage: Stage, numbers: dict[str, float], baseline: dict[str, float]
) -> None:
    """Say so where a stage errs more than its baseline, and which command would do better."""
    split = _compared_split(numbers, baseline)
    if split is None or numbers[f"{split}_error"] <= baseline[f"{split}_error"]:
        return
    instead = modern_command(session)
    print(
        f"  notice    {stage.name} ends above its baseline: logistic regression on the frozen "
        f"backbone's embeddings errs less{f'; try: {instead}' if instead else ''}"
    )
