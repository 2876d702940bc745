"""A soup: the weights of several runs of one network, averaged into one model.

Wortsman et al. 2022, arXiv 2203.05482, section 2. It answers as fast as one of them. Weights can
be averaged where all runs began with the same ones; heads that began with random numbers of their
own should have had nothing between embedding and softmax.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.evaluation.temperature import divide_logits, model_temperature
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.run_folder import RunFolder
from finegrain.submission.class_probabilities import check_same_classes

# Top-1 error of a model on the validation images.
ErrorOf = Callable[[keras.Model], float]


@dataclass(frozen=True)
class Soup:
    """Some runs, and a model with the mean of their weights."""

    model: keras.Model
    runs: list[FinishedRun]


def uniform_soup(runs: Sequence[FinishedRun]) -> Soup:
    """The mean of all runs; a `UserError` where one is of another network."""
    model = plain_model(runs[0])
    total = _none_of(model)
    for run in runs:
        total = _with(total, run)
    _set_mean(model, total, len(runs))
    return Soup(model, list(runs))


def greedy_soup(runs: Sequence[FinishedRun], error_of: ErrorOf) -> Soup:
    """The best run, then each further one, from the second best on, that lets no error rise.

    Raises:
        UserError: a run is of another network.
    """
    errors = [error_of(plain_model(run)) for run in runs]
    order = sorted(range(len(runs)), key=lambda place: errors[place])
    model, best = plain_model(runs[order[0]]), errors[order[0]]
    total = _none_of(model)
    kept: list[FinishedRun] = []
    for place in order:
        tried = _with(total, runs[place])
        _set_mean(model, tried, len(kept) + 1)
        error = error_of(model) if kept else best
        stays = error <= best
        print(
            f"  {runs[place].folder}: validation error {errors[place]:.4f}, of the soup with it "
            f"{error:.4f}{'' if stays else ', left out'}",
            flush=True,
        )
        if stays:
            total, best = tried, error
            kept.append(runs[place])
    _set_mean(model, total, len(kept))
    return Soup(model, kept)


def plain_model(run: FinishedRun) -> keras.Model:
    """A run's model, without the temperature of `tools/calibrate.py`."""
    model, temperature = run.model(), model_temperature(run.folder)
    if temperature != 1:
        divide_logits(model, 1 / temperature)
    return model


def _none_of(model: keras.Model) -> list[np.ndarray]:
    return [np.zeros(weight.shape) for weight in model.get_weights()]


def _with(total: list[np.ndarray], run: FinishedRun) -> list[np.ndarray]:
    weights = plain_model(run).get_weights()
    if [weight.shape for weight in weights] != [part.shape for part in total]:
        raise UserError(
            f"{run.folder} cannot be averaged with the other runs, its network has other layers; "
            "give runs of one network"
        )
    return [part + weight for part, weight in zip(total, weights, strict=True)]


def _set_mean(model: keras.Model, total: list[np.ndarray], count: int) -> None:
    model.set_weights([part / count for part in total])


def check_one_network(runs: Sequence[FinishedRun]) -> None:
    """Refuse runs, by a `UserError`, whose weights have no meaning together."""
    check_same_classes({str(run.folder): run.classes for run in runs})
    first, *others = runs
    wanted = _described(first)
    for run in others:
        for name, value in _described(run).items():
            if value != wanted[name]:
                raise UserError(
                    f"{run.folder} and {first.folder} cannot be averaged, the {name} of one is "
                    f"{value} and of the other {wanted[name]}; give runs of one network, data set "
                    "and beginning, which differ in seed or settings alone"
                )


def _described(run: FinishedRun) -> dict[str, Any]:
    config = RunFolder.open(run.folder).config
    frame = run.frame
    return {
        "recipe": config.recipe,
        "backbone": config.backbone,
        "image size": f"{frame.height} x {frame.width}",
        "fit": frame.fit,
        "data set": config.data.digest[:12],
        "digest of the pretrained weights": config.weights.digest[:12],
    }
