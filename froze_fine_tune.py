"""Step 4: the multi-loss model, stages 1 and 2.

    python froze_fine_tune.py --data data/dogs --run runs/dogs --backbone xception

Fine-grained classes differ in little, and a softmax alone may learn each by whatever tells it
apart in the training set. A second head looks at pairs: are these two images of the same class?
It sees the squared difference of their embeddings, so the embeddings of a class are pulled
together and those of look-alikes apart (Zheng et al. 2016, arXiv 1611.05666). Both losses train
the same backbone, with weights 1 and 0.5.

Pairs are made inside the batch: one batch in four pairs each image with another of its class, by
swapping; the others pair it with a random image of another class. So each image passes the
backbone once, and `--images-per-class` helps where classes are many and a plain batch holds few
of a kind.

Later forms of the idea take all pairs of a batch instead of one partner each, still at one pass:
`--pair-loss contrastive`, `supervised-contrastive`, `circle` or `triplet`. They want batches that
hold several images of each class:

    python froze_fine_tune.py --data data/dogs --run runs/dogs-triplet --pair-loss triplet \
        --images-per-class 4

Stage 1 freezes the backbone and trains both heads by Adam. Stage 2 unfreezes from layer 105 of
Xception (blocks 12 to 14) on and goes on by SGD. `trick_tune.py` then retrains the result without
augmentation, and `baidu_dog_test.py` writes the submission.

On 100 dog breeds the source, keras-dogs (https://github.com/ahangchen/keras-dogs), reports that it
takes the top-1 error from 0.2235 to 0.211, and stage 3 to 0.2045. What we measured stands in the
README.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from finegrain.command import run_command
from finegrain.flags import LossWeight, Probability
from finegrain.quiet import load_keras
from finegrain.training.stage import Negatives, Stage
from finegrain.training.stage_settings import PairLossName, StageSettings, objective_of


@dataclass
class Settings(StageSettings):
    """Train the multi-loss model: stage 1 with the backbone frozen, stage 2 from its last blocks.

    The same command, started again, goes on after the last finished epoch.
    """

    # weight of the identification loss: which class?
    category_weight: LossWeight = 1.0
    # the second loss: verification gives each image one partner; contrastive,
    # supervised-contrastive, circle and triplet compare all images of a batch
    pair_loss: PairLossName = "verification"
    # weight of the second loss: the same class or not?
    same_class_weight: LossWeight = 0.5
    # its weight in stage 1, where that is another
    frozen_same_class_weight: LossWeight | None = None
    # verification: share of batches made of positive pairs
    positive_rate: Probability = 0.25
    # verification: partners in the other batches, images of other classes or drawn from all
    negatives: Negatives = "other-class"
    # what the pairwise head of verification begins with: zeros, or random numbers
    pair_start: Literal["zero", "random"] = "zero"

    def stages(self, unfreeze_from: str) -> list[Stage]:
        """Stage 1 with a weight of its own for the second loss, where one is given."""
        first, *others = super().stages(unfreeze_from)
        if self.frozen_same_class_weight is not None and first.unfreeze_from is None:
            first = replace(first, same_class_weight=self.frozen_same_class_weight)
        return [first, *others]

    @classmethod
    def recipes(cls) -> dict[str, dict[str, Any]]:
        """What `--recipe` sets of the flags that are not given: here of the second loss too."""
        recipes = super().recipes()
        pairs = {
            # 64 pairs, and both images of each judged by their class.
            "batch_size": 128,
            "category_weight": 2.0,
            "frozen_same_class_weight": 0.0,
            "negatives": "drawn",
            "pair_start": "random",
        }
        return recipes | {"as-first-coded": recipes["as-first-coded"] | pairs}


def main(settings: Settings) -> None:
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.close_stage import close_stage
    from finegrain.training.baseline import measure_baseline
    from finegrain.training.budget import print_budget
    from finegrain.training.session import start_session

    session = start_session(settings, objective_of(settings.pair_loss))
    print_budget(session, session.stages)
    measure_baseline(session)
    for stage in session.stages:
        session.train(stage)
        close_stage(session, stage, is_final=stage is session.stages[-1])


if __name__ == "__main__":
    run_command(main, Settings)
