"""Every command of the project with arguments that make sense in the world of the campaign."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile.process import Command

NETWORK = ("--backbone", "CampaignNet", "--weights", "none", "--image-size", "32")
TRAINING = (
    *NETWORK,
    *(
        "--batch-size 8 --unfreeze-from last --frozen-epochs 2 "
        "--unfrozen-epochs 2 --views 2 --frozen-learning-rate 0.2 "
        "--no-openvino --dropout 0 --cache runs/cache"
    ).split(),
)
FRACTIONS = ("--valid-fraction", "0.25", "--test-fraction", "0.2")
PHOTO, OTHER_PHOTO = "test/0.jpg", "test/1.jpg"


@dataclass(frozen=True)
class Scenario:
    """A command and what it may touch.

    Attributes:
        name: unique.
        command: in the world's folder.
        owns: beginnings of the paths that it may change although they stood there before.
        needs: what must stand there.
        once: its output must not exist yet, so a second call is refused.
        serves: it goes on until Ctrl-C.
    """

    name: str
    command: Command
    owns: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: bool = False
    serves: bool = False

    def reads(self, path: str) -> bool:
        """Whether one of its arguments names the path or a folder above it."""
        return any(
            path == argument or path.startswith(f"{argument}/")
            for argument in self.command.arguments
        )

    def can_run(self, world: Path) -> bool:
        return all((world / name).exists() for name in self.needs)


def _scenario(
    name: str,
    script: str,
    *arguments: str,
    owns: Sequence[str] = (),
    needs: Sequence[str] = ("data",),
    once: bool = False,
    serves: bool = False,
) -> Scenario:
    command = Command(script, arguments)
    return Scenario(name, command, tuple(owns), tuple(needs), once, serves)


SINGLE, MULTI = ("runs/single/model.keras",), ("runs/multi/model.keras",)
ANOTHER = (*SINGLE, "runs/another/model.keras")


def data_scenario(name: str, output: str, *arguments: str, owns=()) -> Scenario:
    return _scenario(
        name,
        "img2keras.py",
        "--source",
        "photos",
        "--output",
        output,
        *FRACTIONS,
        *arguments,
        owns=owns,
        needs=("photos",),
    )


def training_scenario(name: str, script: str, run: str, *arguments: str, owns=()) -> Scenario:
    return _scenario(
        name,
        script,
        "--data",
        "data",
        "--run",
        run,
        *TRAINING,
        *arguments,
        owns=("runs/cache", *owns),
    )


def export_scenario(
    name: str, output: str, backbones: str = "CampaignNet", *arguments: str
) -> Scenario:
    return _scenario(
        name,
        "recipes/export_features.py",
        *"--data data --images test --backbones".split(),
        backbones,
        *"--weights none --image-size 32 --output".split(),
        output,
        "--no-openvino",
        *arguments,
        owns=(output,),
    )


def base_scenarios() -> list[Scenario]:
    """The commands that make the world, in their order."""
    return [
        data_scenario("data set", "data"),
        training_scenario("single", "single_model.py", "runs/single"),
        training_scenario("multi", "froze_fine_tune.py", "runs/multi"),
        training_scenario(
            "another rate", "single_model.py", "runs/another", "--frozen-learning-rate", "0.1"
        ),
        export_scenario("features", "features"),
        _scenario(
            "market",
            "img2keras.py",
            *"--source market-photos --output market".split(),
            needs=("market-photos",),
        ),
    ]


def scenarios() -> list[Scenario]:
    """The commands that come to an end by themselves; what they make new lies in `new`."""
    return [*_steps(), *_again(), *_recipes(), *_tools(), *_exports()]


def servers() -> list[Scenario]:
    """The commands that go on until Ctrl-C."""
    return [
        _scenario(
            "demo_page",
            "tools/demo_page.py",
            *"--run runs/single --data data".split(),
            needs=SINGLE,
            serves=True,
        ),
    ]


def _steps() -> list[Scenario]:
    submission = ("--images", "test", "--output", "new/predict.txt", "--no-openvino")
    return [
        data_scenario("img2keras", "new/data"),
        data_scenario("img2keras statistics", "new/data", "--statistics", "--workers", "1"),
        data_scenario("img2keras copies", "new/data", "--link", "copy"),
        training_scenario("single_model", "single_model.py", "new/single"),
        training_scenario("froze_fine_tune", "froze_fine_tune.py", "new/multi"),
        training_scenario("modern", "single_model.py", "new/modern", "--recipe", "modern"),
        training_scenario(
            "parts",
            "froze_fine_tune.py",
            "new/parts",
            *"--pair-loss triplet --ema 0.9 --clip-norm 1 --layer-decay 0.7 --neck bn".split(),
            *"--fit pad --crop-area 0.5 --erasing 0.5 --final-size 40 --final-epochs 1".split(),
        ),
        training_scenario(
            "taught",
            "single_model.py",
            "new/taught",
            *"--teacher runs/single --teacher-weight 0.5 --cutmix 1".split(),
            *"--pseudo-labels test --pseudo-threshold 0.01".split(),
        ),
        _scenario(
            "trick_tune",
            "trick_tune.py",
            *"--run runs/multi --data data --epochs 2 --no-openvino --cache runs/cache".split(),
            owns=("runs/multi", "runs/cache"),
            needs=MULTI,
        ),
        _scenario(
            "single_model_test",
            "single_model_test.py",
            "--run",
            "runs/single",
            *submission,
            needs=SINGLE,
        ),
        _scenario(
            "baidu_dog_test",
            "baidu_dog_test.py",
            "--run",
            "runs/multi",
            *submission,
            "--flip",
            "--format",
            "probabilities",
            needs=MULTI,
        ),
        _scenario(
            "sample submission",
            "single_model_test.py",
            "--run",
            "runs/single",
            *submission,
            *"--format probabilities --sample-submission sample.csv".split(),
            needs=SINGLE,
        ),
        _scenario(
            "leaderboard",
            "leaderboard.py",
            *"--photos photos --test test --output new/answer --trials 1 --no-openvino".split(),
            *"--weights CampaignNet=none --batch-size 8".split(),
            needs=("photos",),
        ),
    ]


def _again() -> list[Scenario]:
    """Commands on what is finished already."""
    return [
        data_scenario("img2keras again", "data", "--seed", "1", owns=("data",)),
        training_scenario(
            "single_model again", "single_model.py", "runs/single", owns=("runs/single",)
        ),
        training_scenario(
            "froze_fine_tune again", "froze_fine_tune.py", "runs/multi", owns=("runs/multi",)
        ),
        export_scenario("export_features again", "features"),
    ]


def _recipes() -> list[Scenario]:
    return [
        training_scenario(
            "bird_fine_tune",
            "recipes/bird_fine_tune.py",
            "new/bird",
            *"--model vgg16 --head attention".split(),
        ),
        export_scenario("export_features", "new/features", "CampaignNet,runs/single"),
        export_scenario("export_features shard", "new/shards", "CampaignNet", "--shard", "1/2"),
        _scenario(
            "merge_features",
            "recipes/merge_features.py",
            *(
                "--features features/campaignnet.h5 --output new/pred.csv --scores "
                "new/scores.json --format probabilities --epochs 3"
            ).split(),
            needs=("features/campaignnet.h5",),
        ),
        _scenario(
            "merge logistic",
            "recipes/merge_features.py",
            *(
                "--features features/campaignnet.h5 --output new/pred.csv --classifier "
                "logistic --c 1.0"
            ).split(),
            needs=("features/campaignnet.h5",),
        ),
        _scenario(
            "market1501_test",
            "recipes/market1501_test.py",
            *"--run runs/multi --data market --no-openvino --re-rank --k1 3 --k2 2".split(),
            owns=("runs/multi/re_identification",),
            needs=(*MULTI, "market"),
        ),
    ]


def _tools() -> list[Scenario]:
    return [
        _scenario(
            "report",
            "tools/report.py",
            *"--run runs/multi --data data --output new/report.html".split(),
            needs=MULTI,
        ),
        _scenario(
            "comparison",
            "tools/report.py",
            *"--run runs/multi runs/single --output new/report.html".split(),
            needs=(*MULTI, *SINGLE),
        ),
        _scenario(
            "evaluate",
            "tools/evaluate.py",
            *"--run runs/multi --data data --no-openvino".split(),
            owns=("runs/multi/predictions.csv", "runs/multi/evaluation.json"),
            needs=MULTI,
        ),
        _scenario(
            "evaluate images",
            "tools/evaluate.py",
            *"--run runs/single --images data --output new/evaluation --no-openvino".split(),
            needs=SINGLE,
        ),
        _scenario(
            "evaluate averaged",
            "tools/evaluate.py",
            *"--run runs/single runs/another --flip --crops 5 --scales 1 1.2".split(),
            *"--output new/evaluation --no-openvino".split(),
            needs=ANOTHER,
        ),
        _scenario(
            "soup",
            "tools/soup.py",
            *"--run runs/single runs/another --output new/soup --greedy --no-openvino".split(),
            needs=ANOTHER,
        ),
        _scenario(
            "calibrate",
            "tools/calibrate.py",
            *"--run runs/multi --data data --no-openvino".split(),
            owns=("runs/multi",),
            needs=MULTI,
        ),
        _scenario(
            "similar",
            "tools/similar.py",
            *"--run runs/multi --index data".split(),
            PHOTO,
            *"--k 3 --output new/similar.jpg --no-openvino".split(),
            needs=MULTI,
        ),
        _scenario(
            "explain",
            "tools/explain.py",
            *"--run runs/multi --output new/explained".split(),
            PHOTO,
            needs=MULTI,
        ),
        _scenario(
            "explain pair",
            "tools/explain.py",
            *"--run runs/multi --output new/explained --pair".split(),
            PHOTO,
            OTHER_PHOTO,
            needs=MULTI,
        ),
        _scenario(
            "show_pairs",
            "tools/show_pairs.py",
            *"--data data --output new/pairs.png --image-size 48".split(),
        ),
        _scenario(
            "compare", "tools/compare.py", "--run", "runs/single", "runs/multi", needs=SINGLE
        ),
        _scenario(
            "clear_cache",
            "tools/clear_cache.py",
            "--cache",
            "runs/cache",
            owns=("runs/cache",),
            needs=("runs/cache",),
        ),
        _scenario(
            "drawn",
            "finegrain/drawn/collection.py",
            *"--output new/drawn --per-class 1".split(),
            needs=(),
        ),
    ]


def _exports() -> list[Scenario]:
    return [
        _scenario(
            f"export {format}",
            "tools/export_model.py",
            *"--run runs/single --data data --format".split(),
            format,
            "--output",
            output,
            "--compare",
            "2",
            needs=SINGLE,
            once=True,
        )
        for format, output in (
            ("onnx", "new/m.onnx"),
            ("saved_model", "new/saved"),
            ("tflite", "new/m.tflite"),
            ("openvino", "new/m.xml"),
        )
    ]
