"""Step 2: the baseline, a softmax on a pretrained backbone.

    python single_model.py --data data/dogs --run runs/dogs-single --backbone xception

Two stages. First the backbone is frozen and only the new softmax learns, by Adam: its first
steps are large and would wreck pretrained filters. Then the backbone's last blocks learn too, by
SGD with a small rate. The best epoch on the validation images is kept of each.

The recipe of FGVC flowers trains all layers by Adam, InceptionResNetV2 with a layer of 2048
between its embedding and the softmax: `--unfreeze-from 0 --unfrozen-optimizer adam --hidden 2048`.

What comes next: `single_model_test.py` writes a submission from this run, `froze_fine_tune.py`
trains the multi-loss model that should beat it, and `trick_tune.py --run` retrains either one
without augmentation.

On 100 dog breeds (18,300 images, top-1 error of the leaderboard) this recipe was reported with
0.2502 for InceptionV3 and 0.2235 for Xception. What we measured stands in the README.
"""

from dataclasses import dataclass

from finegrain.command import run_command
from finegrain.flags import Width
from finegrain.quiet import load_keras
from finegrain.training.stage_settings import StageSettings


@dataclass
class Settings(StageSettings):
    """Train the softmax baseline: frozen stage, then unfrozen stage.

    The same command, started again, goes on after the last finished epoch.
    """

    # what is learnt: softmax, or arcface
    objective: str = "softmax"
    # width of a ReLU layer between embedding and softmax, with a dropout of its own; 0 for none
    hidden: Width = 0


def main(settings: Settings) -> None:
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.close_stage import close_stage
    from finegrain.training.baseline import measure_baseline
    from finegrain.training.budget import print_budget
    from finegrain.training.session import start_session

    session = start_session(settings, settings.objective)
    print_budget(session, session.stages)
    measure_baseline(session)
    for stage in session.stages:
        session.train(stage)
        close_stage(session, stage, is_final=stage is session.stages[-1])


if __name__ == "__main__":
    run_command(main, Settings)
