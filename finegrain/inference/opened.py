"""A model opened for many answers, whatever computes them."""

from typing import NamedTuple, Protocol

import numpy as np


class Engine(Protocol):
    """What computes the answers of a model; its name tells what it is and how precise."""

    @property
    def name(self) -> str:
        """For the user, e.g. `OpenVINO 2026.4, bfloat16, 2 streams`."""
        ...

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs, (B, ...) float32 each, of RGB images (B, H, W, 3)."""
        ...


class Inference(NamedTuple):
    """A model opened for many answers: what computes, and a note why and how well it agrees."""

    compute: Engine
    note: str

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs, (B, ...) float32 each, of RGB images (B, H, W, 3) of the sample's dtype."""
        return self.compute.run(batch)

    def describe(self) -> str:
        """One sentence for the user: the engine, and why or how well."""
        return f"{self.compute.name}; {self.note}"
