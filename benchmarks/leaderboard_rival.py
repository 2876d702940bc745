"""leaderboard.py beside AutoGluon Tabular on the same embeddings, in the same minutes.

    python benchmarks/leaderboard_rival.py --source PHOTOS --output runs/rival --minutes 10 \\
        --weights mobilenet_v2=FILE --autogluon ELSEWHERE/bin/python

AutoGluon stands in an environment of its own (`pip install
"autogluon.tabular[lightgbm,xgboost,catboost]"`). It learns all labelled photographs' embeddings,
those of all backbones side by side, without what leaderboard.py holds back, and has the minutes
that are left after these embeddings. Its MultiModal part, which trains networks, begins with
weights in a format of its own, downloaded by name, so it cannot be given the same ones. The test
labels are looked at when both have answered. Stopped, the same command goes on.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from side_by_side.commands import call
from side_by_side.contest import make_contest, read_probabilities, true_score

from finegrain.command import run_command
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.errors import UserError
from finegrain.flags import Minutes, ProperShare, Seed
from finegrain.leaderboard.contest import MetricName
from finegrain.whole_files import written_whole

RIVAL = Path(__file__).parent / "side_by_side" / "rival_tabular.py"
# Least seconds that AutoGluon is worth starting for.
LEAST = 30.0


@dataclass
class Settings:
    """Let leaderboard.py and AutoGluon Tabular answer the same test images."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for the contest, the answers and the scores
    output: Path
    # weights of backbones, as for leaderboard.py
    weights: tuple[str, ...]
    # a Python with autogluon.tabular
    autogluon: Path
    # how long each may take
    minutes: Minutes = 10.0
    # of AutoGluon
    presets: str = "best_quality"
    metric: MetricName = "top1"
    seed: Seed = 0
    # share of the photographs whose labels are hidden, where the source has no split of its own
    test_fraction: ProperShare = 0.3


def main(settings: Settings) -> None:
    for path in (settings.source, settings.autogluon):
        if not path.exists():
            raise UserError(f"there is no {path}; name what is there")
    right = make_contest(settings.source, settings.output, settings.seed, settings.test_fraction)
    answer = settings.output / "answer"
    if not (answer / "report.html").is_file():
        call(
            "leaderboard.py",
            photos=settings.output / "photos",
            test=settings.output / "test",
            output=answer,
            minutes=settings.minutes,
            metric=settings.metric,
            weights=settings.weights,
            seed=settings.seed,
        )
    ids, classes, found = read_probabilities(answer / "submission.csv")
    scores = {"leaderboard.py": true_score(settings.metric, ids, classes, found, right)}
    for kept in sorted((answer / "search").glob("*/answers/*.npz")):
        with np.load(kept) as content:
            name, alone = json.loads(str(content["about"]))["name"], content["test"]
        # In the order of the folder, as the submission is where all can be decoded.
        scores[name] = true_score(settings.metric, ids, classes, alone, right)
    scores |= rival(settings, answer, ids, classes, right)
    with written_whole(settings.output / "scores.json") as file:
        file.write_text(json.dumps(scores, indent=1), encoding="utf-8")
    for name, score in scores.items():
        print(f"{score:.4f}  {name}")


def rival(
    settings: Settings, answer: Path, ids: list[str], classes: list[str], right: dict[str, str]
) -> dict[str, float]:
    """The score of AutoGluon's answers, by its name."""
    files = sorted((answer / "search").glob("*/features/*.h5"))
    answers = settings.output / f"autogluon-{settings.presets}.npz"
    seconds = 60 * settings.minutes - embedding_seconds(answer)
    if seconds < LEAST:
        raise UserError(f"the embeddings took nearly all of --minutes {settings.minutes:g}")
    if not answers.is_file():
        embeddings = settings.output / "embeddings.npz"
        tests = {path.stem: str(path) for path in (settings.output / "test").iterdir()}
        write_embeddings(files, [tests[name] for name in ids], classes, embeddings)
        models = settings.output / f"models-{settings.presets}"
        words = [embeddings, models, f"{seconds:.0f}", settings.presets, answers]
        subprocess.run([str(settings.autogluon), str(RIVAL), *map(str, words)], check=True)
    with np.load(answers) as content:
        found = content["test"]
    name = f"AutoGluon Tabular {settings.presets} on {' and '.join(file.stem for file in files)}"
    return {name: true_score(settings.metric, ids, classes, found, right)}


def embedding_seconds(answer: Path) -> float:
    """Seconds until the last regression of leaderboard.py was there, without the regressions'."""
    last, regressions = 0.0, 0.0
    for kept in (answer / "search").glob("*/answers/*.npz"):
        with np.load(kept) as content:
            about = json.loads(str(content["about"]))
        if about["settings"]["kind"] == "regression":
            last = max(last, about["finished"])
            regressions += about["seconds"]
    return last - regressions


def write_embeddings(files: list[Path], order: list[str], classes: list[str], target: Path) -> None:
    """The plain views' embeddings of all labelled images and the test ones, side by side."""
    known, test, labels = [], [], np.empty(0, np.int64)
    for file in files:
        with FeatureFile(file) as features:
            by_path = {}
            for split, rows in features.splits.items():
                values = features.read(split, np.arange(len(rows.paths)))
                plain = rows.views == 0
                by_path |= dict(zip(rows.paths[plain], values[plain], strict=True))
        labelled = sorted(path for path in by_path if path not in set(order))
        known.append(np.stack([by_path[path] for path in labelled]))
        test.append(np.stack([by_path[path] for path in order]))
        labels = np.array([classes.index(Path(path).parent.name) for path in labelled])
    with written_whole(target) as beside, beside.open("wb") as opened:
        np.savez(
            opened, known=np.concatenate(known, 1), labels=labels, test=np.concatenate(test, 1)
        )


if __name__ == "__main__":
    run_command(main, Settings)
