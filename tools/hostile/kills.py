"""Commands struck down at a file operation or a moment, and called again."""

import signal
from dataclasses import replace

import numpy as np

from hostile.case import Case
from hostile.child import Strike
from hostile.fingerprint import fingerprint
from hostile.process import Outcome
from hostile.scenarios import Scenario, scenarios
from hostile.verdict import (
    INTERRUPTED,
    USER_ERROR,
    changed_inputs,
    differences,
    faults_of,
    partial_files,
)
from hostile.world import World

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT)
MOST_STRIKES = 2
# A signal before the first of these seconds only meets Python starting.
STARTED = 0.05


def attack(world: World, rng: np.random.Generator) -> Case:
    """Strike a command once or twice; the same command again must end as if nothing had been."""
    able = [scenario for scenario in scenarios() if scenario.can_run(world.base)]
    scenario = able[rng.integers(len(able))]
    undisturbed = world.undisturbed(scenario)
    world.reset()
    case = Case(str(scenario.command))
    for _ in range(rng.integers(1, MOST_STRIKES + 1)):
        outcome = _strike(world, scenario, rng, case)
        case.add(faults_of(outcome, may=(-signal.SIGKILL,)), outcome)
        if outcome.ended_by != "us":
            break
    again = world.run(scenario.command, world.limit(scenario))
    if refused_as_done(scenario, again, outcome):
        again = replace(again, status=0, stderr="")
    expected = undisturbed.outcomes[-1].status
    case.add(faults_of(again), again)
    if again.status != expected:
        case.add([f"called again it ends with {again.status}, undisturbed with {expected}"], again)
    case.add(judge_result(world, scenario), again)
    return case


def _strike(world: World, scenario: Scenario, rng: np.random.Generator, case: Case) -> Outcome:
    undisturbed, number = world.undisturbed(scenario), SIGNALS[rng.integers(len(SIGNALS))]
    name, limit = signal.Signals(number).name, world.limit(scenario)
    if rng.random() < 0.6:
        operation = int(rng.integers(1, undisturbed.operations + 1))
        case.told += f"; {name} at file operation {operation} of {undisturbed.operations}"
        running = world.start(scenario.command, Strike(operation, number))
        outcome = running.wait(limit, world.most_gigabytes)
        struck = outcome.status in (-number, INTERRUPTED)
        return replace(outcome, ended_by="us") if struck else outcome
    moment = STARTED + rng.random() * undisturbed.seconds
    case.told += f"; {name} after {moment:.2f} s"
    return world.start(scenario.command).wait(limit, world.most_gigabytes, moment, number)


def refused_as_done(scenario: Scenario, again: Outcome, struck: Outcome) -> bool:
    """Whether an output that must not exist yet was complete before the signal came."""
    return scenario.once and again.status == USER_ERROR and "exist" in again.stderr


def judge_result(world: World, scenario: Scenario) -> list[str]:
    """Faults of the world after a command, against what it makes undisturbed."""
    found = differences(world.undisturbed(scenario).result, fingerprint(world.here))
    found += partial_files(world.here)
    return found + changed_inputs(world.here, world.before, scenario.owns)
