"""How long what a search may do next is likely to take: measured where it was, else supposed."""

from dataclasses import dataclass, field

from finegrain.leaderboard.cost import gains_by_rounding, known
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.variant import Backbone, Variant

# Building a network, and graphs of it for the first batches.
START = 8.0
# What is measured once may take so many times that when it comes again.
CAUTION = 1.15
# Rows of a store are augmented, and larger than embeddings.
STORED = 1.3
# Where training begins earlier, an epoch takes so many times what it takes as usual.
MORE_LAYERS = 2.5
# Embeddings that come faster were read from a file and tell nothing, in seconds a row.
FROM_FILE = 2e-4


@dataclass
class Pace:
    """The speed of this machine, as far as a search has seen it.

    Attributes:
        rounded: whether what gains by it trains in bfloat16.
        slower: how many times the seconds of the table of costs it takes.
        epochs: seconds of an epoch of a fold, by name of the variant.
    """

    partition: Partition
    rounded: bool = False
    slower: float = 1.0
    epochs: dict[str, float] = field(default_factory=dict)
    _row_seconds: dict[str, float] = field(default_factory=dict)

    def saw_embeddings(self, backbone: Backbone, seconds: float) -> None:
        """Learn from what the embeddings of all images took, of each as it is and mirrored."""
        row_seconds = seconds / (2 * self.partition.images)
        if row_seconds < FROM_FILE:
            return
        if not self._row_seconds:
            self.slower = row_seconds * known(backbone).passes
        self._row_seconds[backbone.spec.name] = row_seconds

    def saw_epoch(self, variant: Variant, seconds: float) -> None:
        """Learn from an epoch; the first one holds the building of graphs."""
        self.epochs[variant.name] = min(self.epochs.get(variant.name, seconds), seconds)

    def embeddings(self, backbone: Backbone) -> float:
        """Seconds of the embeddings of all images."""
        return 2 * self.partition.images * self._row(backbone)

    def store(self, variant: Variant) -> float:
        """Seconds of a variant's store, whatever of it is there."""
        partition = self.partition
        rows = variant.views * len(partition.known)
        rows += 2 * (len(partition.held_out) + len(partition.test))
        return STORED * rows * self._row(variant.backbone) * variant.larger

    def epoch(self, variant: Variant) -> float:
        """Seconds of an epoch of one fold.

        Of what was never trained rather less than more: that it takes longer shows after an epoch
        or two, but what is not begun for fear of it is lost.
        """
        if variant.name in self.epochs:
            return CAUTION * self.epochs[variant.name]
        spec = variant.backbone.spec
        usual = self.epochs.get(spec.name)
        if usual is None:
            images = len(self.partition.known) * (1 - 1 / self.partition.fold_count)
            of_it = known(variant.backbone)
            faster = self.rounded and gains_by_rounding(variant.backbone)
            usual = self.slower * images / of_it.trained / (of_it.rounded if faster else 1)
        layers = MORE_LAYERS if variant.unfreeze_from != spec.unfreeze_from else 1.0
        return usual * variant.larger * layers

    def candidate(self, variant: Variant, epochs: int) -> float:
        """Seconds of a candidate of all folds, where the store is filled."""
        return START + epochs * self.partition.fold_count * self.epoch(variant)

    def single(self, variant: Variant, epochs: int) -> float:
        """Seconds of one more training, on all known images."""
        folds = self.partition.fold_count
        return START + epochs * self.epoch(variant) * folds / (folds - 1)

    def _row(self, backbone: Backbone) -> float:
        measured = self._row_seconds.get(backbone.spec.name)
        return self.slower / known(backbone).passes if measured is None else measured
