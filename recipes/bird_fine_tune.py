"""Look-alike birds: fine-tuning one of seven models with a head of its own, in two stages.

    python recipes/bird_fine_tune.py --data data/birds --run runs/birds \\
        --model efficientnet_b3_attention

What tells two sparrows apart is a stripe over the eye, and the mean over an image washes it out.
So most of these models do something with the backbone's feature map first: weigh its places
(spatial attention), its channels (squeeze-and-excitation), both (CBAM), or ask which features
stand together (bilinear pooling). Reported for CUB-200-2011, 200 birds of 11,788 photographs:

    --model                    input  head                                              accuracy
    vgg16                        300  mean; Dense 1024                                     0.651
    efficientnet_b4              224  mean; Dense 1024                                     0.775
    efficientnet_b3_attention    224  mask over places; mean; Dense 1000                   0.795
    efficientnet_b3_se           224  squeeze-and-excitation, ratio 8; mean; Dense 1000    0.780
    efficientnet_b3_cbam         224  CBAM; mean; Dense 1000                                   -
    bilinear_efficientnet        256  mask; features times themselves; mean; Dense 1000    0.802
    bilinear_vgg16               300  outer product, signed root, L2; Dense 1024           0.763

Those are validation accuracies of one run each, by others; CBAM was written beside SE there and
never run. What we measured stands in the documentation. `--recipe original` trains as their code
did: both stages by Adam at 1e-4 without augmentation, BatchNormalization learning, epochs judged by
the validation accuracy.

Stage 1 trains the head alone for 3 epochs by Adam, from the frozen backbone's feature maps, which
are computed once and stored. Stage 2 trains all layers, or those from `--unfreeze-from` on, by Adam
with a rate of 1e-4 for up to 30 epochs: the rate falls to a fifth after 4 epochs without a better
validation loss, training stops after 5, and the best epoch is kept. BatchNormalization of the
backbone stays as it was pretrained (`--train-batch-norm`).

Heads fit every backbone, so a model is only a starting point:

    python recipes/bird_fine_tune.py --data data/birds --run runs/birds-small --model \\
        efficientnet_b3_se --backbone mobilenet_v2 --image-size 224
    python recipes/bird_fine_tune.py --data data/birds --run runs/birds-xception --model \\
        bilinear_vgg16 --backbone xception --compact 8192

The second would have 2048 x 2048 products an image; `--compact` squeezes them into 8192 numbers
(Tensor Sketch, Gao et al. 2016). `--pair-loss` adds a second loss, as in `froze_fine_tune.py`. Then
`trick_tune.py --run` retrains without augmentation, and `single_model_test.py` (of a run with
`--pair-loss verification` `baidu_dog_test.py`) writes a submission.
"""

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.flags import (
    ImageSize,
    LossWeight,
    Patience,
    Probability,
    ProperShare,
    Share,
    StageEpochs,
    Width,
)
from finegrain.quiet import load_keras
from finegrain.training.stage_settings import (
    PairLossName,
    StageOptimizer,
    StageSettings,
    objective_of,
)

UNFROZEN_EPOCHS = 30
# Of all models' sources; what single ones have beside it stands in their table.
CODED = {
    "frozen_learning_rate": 1e-4,
    "frozen_augmentation": False,
    "unfrozen_augmentation": False,
    "train_batch_norm": True,
    "monitor": "accuracy",
}


@dataclass(kw_only=True)
class Settings(StageSettings):
    """Fine-tune one of the bird models: first its head, then all layers.

    The same command, started again, goes on after the last finished epoch.
    """

    # vgg16, efficientnet_b4, efficientnet_b3_attention, efficientnet_b3_se, efficientnet_b3_cbam,
    # bilinear_efficientnet or bilinear_vgg16
    model: str
    # another pretrained network than the model's, at its own image size unless that is given:
    # xception, resnet50, mobilenet_v2, ... or any other of keras.applications
    backbone: str | None = None
    # side of the square the images are resized to, in pixels; by default the model's
    image_size: ImageSize | None = None
    # another head than the model's: plain, attention, se, cbam, bilinear, bilinear_attention or
    # compact_bilinear; as first coded attention_coded, se_coded, cbam_coded or
    # bilinear_attention_coded
    head: str | None = None
    # of a bilinear head: squeeze the products of features to so many numbers; 0 keeps them all
    compact: Annotated[int, Interval(ge=0, le=10_000_000)] = 0
    # width of the ReLU layer before the softmax, 0 for none; by default the model's
    hidden: Width | None = None
    # share of the embedding dropped before that layer; by default the model's
    hidden_dropout: Share | None = None
    # share of that layer dropped before the softmax; by default the model's
    dropout: Share | None = None
    # a second loss, by which images of a class are drawn together, others apart
    pair_loss: Literal["none"] | PairLossName = "none"
    # its weight
    same_class_weight: LossWeight = 0.5
    # verification: share of batches made of positive pairs
    positive_rate: Probability = 0.25
    # first backbone layer that stage 2 trains, a name or an index; by default all
    unfreeze_from: str | None = "0"
    # at most so many epochs of stage 1, the head alone by Adam; 0 leaves it out
    frozen_epochs: StageEpochs = 3
    # at most so many epochs of stage 2, by default 30, of the original bilinear_vgg16 100
    unfrozen_epochs: StageEpochs | None = None
    # optimizer of stage 2
    unfrozen_optimizer: StageOptimizer = "adam"
    # on a plateau the learning rate falls to this share of itself
    reduce_factor: ProperShare = 0.2
    # after so many epochs without a better validation loss; 0 never does
    reduce_patience: Patience = 4
    # on a plateau: end a stage after so many epochs without a better validation loss; 0 never does
    stop_patience: Patience = 5

    # ours: see above. original: as the models were first coded. modern: no frozen stage, 12 epochs
    # by AdamW along a cosine. It sets the flags below that are not given
    recipe: Literal["ours", "original", "modern"] = "ours"

    @classmethod
    def recipes(cls) -> dict[str, dict[str, Any]]:
        """What `--recipe` sets of the flags that are not given: here the last blocks too."""
        recipes = super().recipes()
        modern = recipes["modern"] | {"unfreeze_from": None}
        return {"ours": {}, "original": CODED, "modern": modern}


def main(settings: Settings) -> None:
    from finegrain.models.bird_models import find_bird_model

    settings = complete(settings, find_bird_model(settings.model))

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


def complete(settings: Settings, model) -> Settings:
    """The settings with what was not asked for taken from the model.

    An image size is the backbone's: with another backbone the model's says nothing.
    """
    names = ["head", "hidden", "hidden_dropout", "dropout", "backbone", "unfrozen_epochs"]
    if settings.backbone is None:
        names.append("image_size")
    own = {"unfrozen_epochs": UNFROZEN_EPOCHS, **asdict(model)}
    if settings.recipe == "original":
        own |= model.coded
    missing = [name for name in names if getattr(settings, name) is None]
    return replace(settings, model=model.name, **{name: own[name] for name in missing})


if __name__ == "__main__":
    run_command(main, Settings)
