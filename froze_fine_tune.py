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

On 100 dog breeds this was reported to take the top-1 error from 0.2235 to 0.211, and stage 3 to
0.2045. What we measured stands in the README.
"""

from dataclasses import dataclass

from finegrain.command import load_keras, run_command
from finegrain.flags import LossWeight, Probability
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
    # verification: share of batches made of positive pairs
    positive_rate: Probability = 0.25


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
