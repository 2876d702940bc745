"""How closely the answers of two engines agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Images that two engines are compared on.
AGREEMENT_IMAGES = 8


@dataclass(frozen=True)
class Agreement:
    """What a comparison of two engines on some images found.

    Attributes:
        error: L2 norm of the difference over that of the reference, over all images; of the
            output where it is largest. Infinite where an answer is not finite.
        cosine: the smallest between an image's two answers.
        same_top: for how many images the largest number stands in the same place; None where
            the first output is not a probability for each class.
    """

    images: int
    error: float
    cosine: float
    same_top: int | None = None

    def __str__(self) -> str:
        top = f", top class the same in {self.same_top}" if self.same_top is not None else ""
        return (
            f"{self.images} image{'s' if self.images > 1 else ''} to {percent(self.error)} "
            f"(cosine {self.cosine:.5f}{top})"
        )


def percent(error: float) -> str:
    """A share in percent with two digits that count; what cannot be told is `nan`."""
    return "nan" if not np.isfinite(error) else f"{100 * error:.2g} %"


def agreement(answers: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Agreement:
    """Compare the outputs, (N, ...) each, with those of the engine that is right, all finite."""
    errors, cosines = [], []
    for answer, right in zip(answers, expected, strict=True):
        if answer.shape != right.shape or not np.isfinite(answer).all():
            return Agreement(len(right), float("inf"), float("nan"))
        # Sums over a million numbers an image.
        given = answer.reshape(len(right), -1).astype("float64")
        wanted = right.reshape(len(right), -1).astype("float64")
        difference, size = float(np.linalg.norm(given - wanted)), float(np.linalg.norm(wanted))
        errors.append(difference / size if size else float("inf" if difference else 0))
        lengths = np.linalg.norm(given, axis=1) * np.linalg.norm(wanted, axis=1)
        products = (given * wanted).sum(axis=1)
        cosines.append(np.divide(products, lengths, out=np.ones_like(lengths), where=lengths > 0))
    return Agreement(
        images=len(expected[0]),
        error=max(errors),
        cosine=float(min(cosine.min() for cosine in cosines)),
        same_top=_same_top(answers[0], expected[0]),
    )


def _same_top(answer: np.ndarray, right: np.ndarray) -> int | None:
    is_probability = right.ndim == 2 and (right >= 0).all()
    if not is_probability or not np.allclose(right.sum(axis=1), 1, atol=1e-3):
        return None
    return int((answer.argmax(axis=1) == right.argmax(axis=1)).sum())
