"""Train a classifier on merged embeddings: Dropout and Dense, or logistic regression."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import keras
import numpy as np

from finegrain.embeddings.logistic import STRENGTHS, fits
from finegrain.errors import UserError
from finegrain.memory import size_in_words
from finegrain.merging.answers import Answers, answer
from finegrain.merging.rows import BATCH_IN_ORDER, FeatureRows
from finegrain.merging.split import MergeSplit
from finegrain.models.heads import CATEGORY
from finegrain.models.merged import (
    KEPT,
    Branch,
    Normalise,
    dropout_mask,
    fed_with_masks,
    merged_model,
)

# The original saw 20,000 photographs eight times: so many steps. A small data set is seen more
# often for them, but not without end.
EPOCHS, STEPS, MOST_EPOCHS = 8, 1250, 250
# Keras's own 0.001 for Adadelta is a thousandth of what Zeiler 2012, arXiv 1212.5701, means.
LEARNING_RATES = {"adadelta": 1.0, "adam": 1e-3}
# Keeps the chance behind the dropout apart from that behind the order.
MASKS = 1
# Values of C in a row that were worse than the best, after which larger ones, which take longest,
# are not tried.
WORSE_IN_A_ROW = 1

# The answers for the validation photographs after a step, and what the step was, in words.
Step: TypeAlias = tuple[Answers, str]


@dataclass(frozen=True)
class MergedTraining:
    """How a merged classifier is trained; all but strengths and seed are for the dense one.

    Attributes:
        learning_rate: None for the optimizer's own.
        epochs: None for 8, or as many, up to 250, as make the 1,250 steps of the original.
        dropout: share of the merged embedding.
        strengths: values of C, for logistic regression to choose by the validation's log loss.
        seed: of order, dropout and first weights.
        keep: the epoch whose weights are kept, the `best` on the validation or the `last`.
    """

    classifier: Literal["dense", "logistic"] = "dense"
    optimizer: Literal["adadelta", "adam"] = "adadelta"
    learning_rate: float | None = None
    epochs: int | None = None
    batch_size: int = 128
    dropout: float = 0.5
    strengths: tuple[float, ...] = STRENGTHS
    seed: int = 0
    keep: Literal["best", "last"] = "best"

    def epochs_for(self, rows: int) -> int:
        """Epochs of the dense classifier on so many training rows."""
        steps = -(-rows // self.batch_size)
        return self.epochs or max(EPOCHS, min(MOST_EPOCHS, -(-STEPS // steps)))


@dataclass(frozen=True)
class Merged:
    """A trained `merged_model` of some backbones, and its answers for the validation photographs.

    `chosen` tells in words for the user what was chosen by these.
    """

    names: list[str]
    model: keras.Model
    valid: Answers
    chosen: str


def branches(train: FeatureRows, normalise: Mapping[str, Normalise]) -> dict[str, Branch]:
    """The branches of backbones, each with what is done to its embeddings before the merge.

    Mean and variance of those to be standardised are taken over the training rows.
    """
    names = [name for name, how in normalise.items() if how == "standardise"]
    moments, widths = _moments(train, names) if names else {}, train.joined.widths
    return {
        name: Branch(widths[name], how, *moments.get(name, (None, None)))
        for name, how in normalise.items()
    }


def _moments(rows: FeatureRows, names: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    # scikit-learn takes a second to import.
    from sklearn.preprocessing import StandardScaler

    scalers = {name: StandardScaler() for name in names}
    for embeddings, _ in rows.in_order(names):
        for name, values in embeddings.items():
            scalers[name].partial_fit(values)
    return {name: (scaler.mean_, scaler.var_) for name, scaler in scalers.items()}


def train_merged(
    split: MergeSplit, taken: Mapping[str, Branch], training: MergedTraining
) -> Merged:
    """Train a classifier on the backbones of the branches taken.

    Raises:
        UserError: the training diverged, a number in a file is not finite, or logistic
            regression is to be trained on more than memory shall hold.
    """
    keras.utils.set_random_seed(training.seed)
    classes = len(split.train.joined.classes)
    model = merged_model(taken, classes, training.dropout)
    logistic = training.classifier == "logistic"
    takes_last = training.keep == "last" and not logistic
    worse, best = 0, None
    for valid, chosen in (_logistic if logistic else _dense)(model, split, list(taken), training):
        if best is None or takes_last or valid.log_loss < best.valid.log_loss:
            best, weights, worse = Merged(list(taken), model, valid, chosen), model.get_weights(), 0
        elif logistic and (worse := worse + 1) == WORSE_IN_A_ROW:
            break
    if best is None:
        raise ValueError("a training needs at least one epoch, or one strength")
    model.set_weights(weights)
    return best


def _dense(
    model: keras.Model, split: MergeSplit, names: list[str], training: MergedTraining
) -> Iterator[Step]:
    classes = len(split.train.joined.classes)
    rate = training.learning_rate or LEARNING_RATES[training.optimizer]
    optimizer = {"adadelta": keras.optimizers.Adadelta, "adam": keras.optimizers.Adam}
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    learner = fed_with_masks(model) if training.dropout else model
    learner.compile(optimizer[training.optimizer](rate), loss, jit_compile=False)
    width = sum(split.train.joined.widths[name] for name in names)
    epochs = training.epochs_for(len(split.train))
    for epoch in range(epochs):
        rng = np.random.default_rng([training.seed, epoch])
        masks = np.random.default_rng([training.seed, epoch, MASKS])
        for embeddings, labels in split.train.shuffled(names, training.batch_size, rng):
            targets = labels[:, None].astype("float32") if classes == 2 else labels
            if training.dropout:
                mask = dropout_mask(masks, len(labels), width, training.dropout)
                embeddings = {**embeddings, KEPT: mask}
            learner.train_on_batch(embeddings, targets)
        valid = answer(model, split.valid, names, classes)
        if not np.isfinite(valid.probabilities).all():
            raise UserError(
                f"the training diverged in epoch {epoch + 1} at a learning rate of {rate:g}; give "
                "a smaller --learning-rate, or --normalise standardise"
            )
        yield valid, f"epoch {epoch + 1} of {epochs}"


def _logistic(
    model: keras.Model, split: MergeSplit, names: list[str], training: MergedTraining
) -> Iterator[Step]:
    """Logistic regression ends up in the model's own Dense: one way to answer for both."""
    matrix = _merged_matrix(model, split.train, names)
    classes = len(split.train.joined.classes)
    for fit in fits(matrix, split.train.labels, training.strengths):
        model.get_layer(CATEGORY).set_weights([fit.coefficients, fit.intercepts])
        ended = "" if fit.converged else ", not converged"
        yield answer(model, split.valid, names, classes), f"C = {fit.strength:g}{ended}"


def _merged_matrix(model: keras.Model, rows: FeatureRows, names: Sequence[str]) -> np.ndarray:
    """(N, D) what the classifier's last layer gets."""
    if not rows.in_memory:
        needed = 4 * len(rows) * sum(rows.joined.widths[name] for name in names)
        raise UserError(
            f"logistic regression needs all {size_in_words(needed)} of embeddings in memory, more "
            "than --memory-gb allows; raise that, or give --classifier dense"
        )
    merged = keras.Model(model.input, model.get_layer("dropout").input)
    matrix = np.empty((len(rows), merged.output.shape[-1]), "float32")
    for number, (embeddings, _) in enumerate(rows.in_order(names)):
        start = number * BATCH_IN_ORDER
        values = np.asarray(merged.predict_on_batch(embeddings))
        matrix[start : start + len(values)] = values
    return matrix
