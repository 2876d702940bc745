"""Two commands on one folder at the same time."""

import time
from collections.abc import Callable

import numpy as np

from hostile.case import Case
from hostile.fingerprint import fingerprint
from hostile.scenarios import Scenario, data_scenario, export_scenario, scenarios, training_scenario
from hostile.verdict import USER_ERROR, differences, faults_of, partial_files
from hostile.world import World


def pairs() -> list[tuple[str, str]]:
    """Names of commands that write one folder or one file, or read what the other writes."""
    return [
        ("single_model", "other recipe"),
        ("img2keras", "other split"),
        ("export_features", "other export"),
        ("trick_tune", "evaluate"),
        ("trick_tune", "calibrate"),
        ("calibrate", "evaluate"),
        ("single_model_test", "baidu_dog_test"),
        ("single_model", "froze_fine_tune"),
        ("single_model", "clear_cache"),
        ("img2keras again", "single_model"),
        ("merge_features", "merge logistic"),
        ("report", "trick_tune"),
        ("similar", "market1501_test"),
    ]


def takes_away(chosen: tuple[Scenario, ...]) -> bool:
    """Whether one rewrites the data set that the other trains on.

    The training ends in a sentence where it misses a photograph, or well and without the measures
    that it had no photographs for any more; neither is what they make one after the other.
    """
    return {each.name for each in chosen} == {"img2keras again", "single_model"}


def everything() -> dict[str, Scenario]:
    """The scenarios of the campaign by name, and those that only stand beside another one."""
    others = [
        training_scenario("other recipe", "froze_fine_tune.py", "new/single"),
        data_scenario("other split", "new/data", "--seed", "5"),
        export_scenario("other export", "new/features", "CampaignNet,runs/multi"),
    ]
    return {each.name: each for each in [*scenarios(), *others]}


def attack(world: World, rng: np.random.Generator) -> Case:
    """The same command twice, or two that are in each other's way, started soon after another."""
    known = everything()
    able = [each.name for each in scenarios() if each.can_run(world.base)]
    if rng.random() < 0.5:
        name = able[rng.integers(len(able))]
        chosen = (known[name], known[name])
    else:
        fit = [pair for pair in pairs() if all(known[name].can_run(world.base) for name in pair)]
        names = fit[rng.integers(len(fit))]
        chosen = tuple(known[name] for name in (names if rng.random() < 0.5 else names[::-1]))
    limit = sum(world.limit(each) for each in chosen)
    delay = rng.random() * world.undisturbed(chosen[0]).seconds * 0.8
    case = Case(f"{chosen[0].command}; beside it after {delay:.2f} s: {chosen[1].command}")
    world.reset()
    first = world.start(chosen[0].command, slot=0)
    time.sleep(delay)
    second = world.start(chosen[1].command, slot=1)
    outcomes = [running.wait(limit, world.most_gigabytes) for running in (first, second)]
    for outcome in outcomes:
        case.add(faults_of(outcome), outcome)
    done = [each for each, outcome in zip(chosen, outcomes, strict=True) if outcome.status == 0]
    if not case.faults:
        if done and takes_away(chosen):
            case.add(partial_files(world.here), outcomes[1])
        elif done:
            refused = [each for each in chosen if each not in done]
            case.add(_judge(world, done, refused), outcomes[1])
        elif any(world.undisturbed(each).outcomes[-1].status == 0 for each in chosen):
            case.add(["both are refused"], outcomes[1])
    return case


def _judge(world: World, done: list[Scenario], refused: list[Scenario]) -> list[str]:
    """Faults: the world is none of those that these commands make one after the other."""

    clearing = any(each.name == "clear_cache" for each in done)

    def counts(path: str) -> bool:
        if clearing and path.startswith("runs/cache/"):
            # What is in use just then stays; which stores that are hangs on the moment.
            return False
        # A training that ends in a sentence half-way keeps what it has finished.
        left_over = any(each.reads(path) for each in refused)
        return not left_over or any(each.reads(path) for each in done)

    found, partial = _only(fingerprint(world.here), counts), partial_files(world.here)
    if len(done) == 2 and done[0].name != done[1].name:
        orders = [done, done[::-1]]
    else:
        orders = [done[:1], done]
    judged = []
    for order in orders:
        expected = world.undisturbed(*order)
        if any(outcome.status not in (0, USER_ERROR) for outcome in expected.outcomes):
            continue
        judged.append(differences(_only(expected.result, counts), found))
    # Of the order that comes closest.
    faults = min(judged, key=len, default=[])
    return partial + [f"not what they make one after the other: {fault}" for fault in faults]


def _only(digests: dict[str, str], counts: Callable[[str], bool]) -> dict[str, str]:
    return {path: digest for path, digest in digests.items() if counts(path)}
