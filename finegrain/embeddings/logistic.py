"""Logistic regression on embeddings: what every training is to beat."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from finegrain.errors import UserError

# Values of C, that of scikit-learn: small ones hold the weights down most.
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
MOST_STEPS, LEAST_STEPS = 200, 20
# Multiplications that the steps of one value of C may take: a minute or two of two cores.
MOST_WORK = 4e12
# Largest slope at which a fit ends: at scikit-learn's own 1e-4 errors are the same, and it takes
# three times as long.
TOLERANCE = 1e-3
# The logit of a class that no training image has; those of the others are 0 on average.
NEVER = -20.0


class Fit(NamedTuple):
    """A logistic regression of (N, D) rows: (D, C) coefficients, of two classes (D, 1)."""

    strength: float
    coefficients: np.ndarray
    intercepts: np.ndarray
    converged: bool


def fits(
    matrix: np.ndarray,
    labels: np.ndarray,
    strengths: Sequence[float] = STRENGTHS,
    steps: int = MOST_STEPS,
    tolerance: float = 1e-4,
) -> Iterator[Fit]:
    """Regressions of ever larger C, each begun where the last ended, in at most so many steps."""
    # scikit-learn takes a second to import.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(max_iter=steps, tol=tolerance, warm_start=True)
    for strength in sorted(strengths):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.set_params(C=strength).fit(matrix, labels)
        converged = bool(regression.n_iter_.max() < steps)
        yield Fit(strength, regression.coef_.T.copy(), regression.intercept_.copy(), converged)


@dataclass(frozen=True)
class Softmax:
    """Kernel (D, C) and bias (C,), float64, of logits of embeddings as they are."""

    kernel: np.ndarray
    bias: np.ndarray
    strength: float

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """(N, C) of embeddings (N, D)."""
        return embeddings @ self.kernel + self.bias

    def log_loss(self, embeddings: np.ndarray, labels: np.ndarray) -> float:
        """Mean cross-entropy with class indices (N,)."""
        true = log_softmax(self.logits(embeddings), axis=1)[np.arange(len(labels)), labels]
        return -float(true.mean())

    def top1_error(self, embeddings: np.ndarray, labels: np.ndarray) -> float:
        """Share of embeddings whose largest logit is not that of their class index."""
        return float((self.logits(embeddings).argmax(axis=1) != labels).mean())


class RegressionPath:
    """Logistic regressions on standardised embeddings, of ever larger C, as they are asked for.

    The standardisation is folded into them. The same rows give the same numbers.

    Args:
        embeddings, labels: (N, D) and class indices (N,) to learn from.
        classes: C, of which some may have no image.

    Raises:
        UserError: all images are of one class.
    """

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray, classes: int):
        self._found: list[Softmax] = []
        self._coming = _softmaxes(embeddings, labels, classes)
        self.at(0)

    def at(self, place: int) -> Softmax:
        """The regression with the C of that place in `STRENGTHS`."""
        while len(self._found) <= place:
            self._found.append(next(self._coming))
        return self._found[place]

    def computed(self) -> list[Softmax]:
        """Those of the first places, as far as they were asked for."""
        return list(self._found)

    def best(self, embeddings: np.ndarray, labels: np.ndarray) -> int:
        """The place, from small values of C up, before the log loss of others becomes worse."""
        least = self.at(0).log_loss(embeddings, labels)
        for place in range(1, len(STRENGTHS)):
            loss = self.at(place).log_loss(embeddings, labels)
            if loss >= least:
                return place - 1
            least = loss
        return len(STRENGTHS) - 1


def fit_softmax(
    train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], classes: int
) -> Softmax:
    """Logistic regression whose C is chosen by the log loss of the validation embeddings.

    Args:
        train, valid: embeddings (N, D) and class indices (N,).
        classes: C, of which some may have no training image.

    Raises:
        UserError: all training images are of one class.
    """
    path = RegressionPath(*train, classes)
    return path.at(path.best(*valid))


def _softmaxes(embeddings: np.ndarray, labels: np.ndarray, classes: int) -> Iterator[Softmax]:
    from sklearn.preprocessing import StandardScaler

    present = np.unique(labels)
    if len(present) < 2:
        raise UserError(
            "logistic regression needs training images of two classes, and all are of one"
        )
    scaler = StandardScaler().fit(embeddings)
    work = 4 * embeddings.size * len(present)
    steps = int(np.clip(MOST_WORK / work, LEAST_STEPS, MOST_STEPS))
    standardised = scaler.transform(embeddings)
    for fit in fits(standardised, labels, steps=steps, tolerance=TOLERANCE):
        yield _folded(fit, scaler.mean_, scaler.scale_, present, classes)


def _folded(
    fit: Fit, mean: np.ndarray, scale: np.ndarray, present: np.ndarray, classes: int
) -> Softmax:
    """The regression of (embedding - mean) / scale as a softmax of all classes."""
    coefficients, intercepts = fit.coefficients.astype("float64"), fit.intercepts
    if len(present) == 2:
        # scikit-learn's one column says how far the second class is above the first.
        coefficients = coefficients * (-0.5, 0.5)
        intercepts = intercepts * (-0.5, 0.5)
    kernel, bias = np.zeros((len(mean), classes)), np.full(classes, NEVER)
    kernel[:, present] = coefficients / scale[:, None]
    bias[present] = intercepts - mean @ kernel[:, present]
    return Softmax(kernel, bias, fit.strength)
