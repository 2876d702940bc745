"""Runs side by side: the errors each reached.

    python tools/compare.py --run runs/dogs-single runs/dogs

Prints one row for each finished stage of each run, and before them their baseline: what logistic
regression on the embeddings of the frozen backbone reaches on the same images. Test errors are
there if the data set has labelled test images (`img2keras.py --test-fraction`): those no choice was
made on, so they are the ones to quote.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.errors import UserError

BASELINE = "baseline: logistic, frozen embeddings"
STAGE_NAMES = {
    "1-frozen": "backbone frozen",
    "2-unfrozen": "last blocks unfrozen",
    "3-retrained": "retrained without augmentation",
}
RECIPE_NAMES = {"as-first-coded": "as first coded", "modern": "modern recipe"}


@dataclass
class Settings:
    """Print the errors of one or several runs."""

    # run folders
    run: tuple[Path, ...]
    # leave out the rows of the frozen stage
    only_finished: bool = False


def main(settings: Settings) -> None:
    from finegrain.runs.run_folder import RunFolder, read_results

    rows, told = [], []
    for path in settings.run:
        run = RunFolder.open(path)
        results = read_results(run)
        # Runs of one data set and backbone share theirs.
        of = (run.config.data.digest, run.config.weights.digest, run.config.image_size)
        if results.get("baseline") and results["stages"] and of not in told:
            told.append(of)
            rows.append((path, BASELINE, results["baseline"]))
        for stage, numbers in sorted(results["stages"].items()):
            if settings.only_finished and stage == "1-frozen":
                continue
            rows.append((path, described(run.config, stage), numbers))
    if not rows:
        names = ", ".join(map(str, settings.run))
        raise UserError(f"no stage of {names} is finished yet; start its training command again")
    width = max(len(what) for _, what, _ in rows)
    print(f"{'top-1 error':<{width}}  validation    test  epochs  seconds  run")
    for path, what, numbers in rows:
        valid, test = (
            f"{numbers[f'{split}_error']:.4f}" if f"{split}_error" in numbers else "-"
            for split in ("valid", "test")
        )
        print(
            f"{what:<{width}}  {valid:>10}  {test:>6}  {numbers.get('epochs', '-'):>6}  "
            f"{numbers['seconds']:>7.0f}  {path}"
        )


def described(config, stage: str) -> str:
    """The recipe of a `RunConfig` and one of its stages in words."""
    settings = config.settings
    # Runs of bird_fine_tune.py carry the name of a model.
    name = f"{settings.model}, {config.recipe}" if settings.model else config.recipe
    if config.defaults in RECIPE_NAMES:
        name = f"{name}, {RECIPE_NAMES[config.defaults]}"
    # It has no other stage before its last.
    if config.defaults == "modern" and stage == "2-unfrozen":
        return name
    if stage == "2-unfrozen" and settings.unfreeze_from == "0":
        return f"{name}, all layers unfrozen"
    return f"{name}, {STAGE_NAMES.get(stage, stage)}"


if __name__ == "__main__":
    run_command(main, Settings)
