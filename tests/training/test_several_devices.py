"""Several devices, played by the CPU, train what one does; where they cannot, it is said."""

import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from simulated_devices import environment, trained

import single_model
from finegrain.device import Device
from finegrain.errors import UserError
from finegrain.models import several_devices
from finegrain.models.several_devices import LEAST_KERAS, use_devices
from finegrain.training.budget import print_budget
from finegrain.training.computing import Compilation, Computing, Precision
from finegrain.training.session import start_session
from finegrain.training.training_fits import memory_notice

# Of float32, whose sums are added up in another order.
ROUNDING = 3e-6
OLD_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) < LEAST_KERAS
on_jax = pytest.mark.needs("jax")
together = pytest.mark.skipif(OLD_KERAS, reason="Keras is too old for several devices")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=ROUNDING, err_msg=name)


@on_jax
@together
def test_four_devices_train_what_one_does_though_no_batch_divides(drawn_data, tmp_path):
    # Partners across devices, dropout, and a BatchNormalization that learns.
    one, four = trained(drawn_data, tmp_path, "multi-loss:1", "multi-loss:4").values()
    assert_same(four, one)


@on_jax
@together
@pytest.mark.thorough
@pytest.mark.parametrize(
    "one,several",
    [
        ("multi-loss:1", ["multi-loss:2", "multi-loss:3", "multi-loss:2+4", "multi-loss:4+1"]),
        ("multi-loss:1:frozen-norms", ["multi-loss:4:frozen-norms"]),
        ("multi-loss:1:memory", ["multi-loss:4:memory"]),
        ("softmax:1:mixed", ["softmax:2:mixed", "softmax:4+2:mixed"]),
        ("softmax:1:seldom", ["softmax:4:seldom"]),
        ("softmax:1:augmented", ["softmax:4:augmented"]),
        ("arcface:1:slow", ["arcface:4:slow"]),
        ("triplet:1", ["triplet:4"]),
        ("contrastive:1", ["contrastive:4"]),
    ],
)
def test_whatever_is_learnt_is_the_same(one, several, drawn_data, tmp_path):
    expected, *found = trained(drawn_data, tmp_path, one, *several).values()
    for each in found:
        assert_same(each, expected)


# Untrained it would not do: features vanish, and rounding decides what a ReLU lets pass.
SHORT = (
    "--backbone xception_small --weights finegrain/models/weights/xception_small.weights.h5 "
    "--image-size 48 --batch-size 7 --no-baseline --unfreeze-from block14_sepconv1_act "
    "--train-batch-norm --frozen-epochs 2 --unfrozen-epochs 4 --stop-patience 0 "
    "--unfrozen-learning-rate 0.01 --monitor last"
).split()


@on_jax
@together
@pytest.mark.thorough
def test_killed_on_two_devices_a_run_goes_on_with_four_as_if_it_had_one(
    start_script, script, drawn_data, tmp_path
):
    def start(run, devices):
        flags = ["--data", drawn_data, "--run", run, *SHORT, "--devices", devices]
        # A store of its own, which is computed by these devices too.
        flags += ["--cache", tmp_path / f"cache-{run.name}"]
        return start_script("froze_fine_tune.py", *flags, env=environment())

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    said, errors = start(whole, 1).communicate(timeout=300)
    assert "devices together" not in said
    process = start(killed, 2)
    while process.poll() is None and not (killed / "2-unfrozen" / "state.json").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start(killed, 4)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "4 devices together" in said and "going on after epoch" in said
    assert "a batch of 7 takes 4 devices as long as one of 8" in said
    # Opened here, on whatever backend and one device.
    models = [keras.saving.load_model(run / "model.keras") for run in (whole, killed)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=ROUNDING)
    flags = ["--run", killed, "--epochs", 1, "--devices", 3]
    done = script("trick_tune.py", *flags, env=environment())
    assert done.returncode == 0, done.stderr
    assert "3 devices together" in done.stdout and "3-retrained: top-1 error" in done.stdout


ASKING = """
import sys
from finegrain.errors import UserError
from finegrain.training.computing import set_up_computing
for devices, jit in (0, "auto"), (1, "off"), (3, "auto"), (2, "off"):
    try:
        print(set_up_computing("float32", jit, 0, devices=devices).devices)
    except UserError as error:
        print(error)
"""


@on_jax
@together
def test_more_than_there_are_or_step_by_step_are_refused():
    done = subprocess.run(
        [sys.executable, "-c", ASKING], capture_output=True, text=True, env=environment(2)
    )
    assert done.returncode == 0, done.stderr
    everything, one, too_many, step_by_step = done.stdout.splitlines()
    assert (everything, one) == ("2", "1")
    found = "more than JAX finds on this machine (cpu:0, cpu:1)"
    assert too_many == f"--devices 3 is {found}; give at most 2, or 0 for all"
    assert step_by_step.startswith("--jit off computes step by step, on one device")


@pytest.fixture
def backend(monkeypatch):
    """Says that Keras runs on a backend, and finds devices there."""

    def pretend(name, *names):
        monkeypatch.setattr(keras.backend, "backend", lambda: name)
        found = Device(name, "gpu" if names else "cpu", names)
        monkeypatch.setattr(several_devices, "find_device", lambda: found)

    return pretend


@pytest.mark.parametrize("name", ["tensorflow", "torch"])
def test_other_backends_say_how_to_start_on_jax(name, backend, monkeypatch):
    words = ["single_model.py", "--data", "photos of dogs", "--devices", "2"]
    monkeypatch.setattr(sys, "argv", words)
    backend(name, "A GPU", "A GPU")
    start = r"KERAS_BACKEND=jax python single_model.py --data 'photos of dogs' --devices 2$"
    for asked in (2, 0):
        with pytest.raises(UserError, match=f"--devices {asked} needs Keras on JAX.*{start}"):
            use_devices(asked)
    assert use_devices(1) == 1
    backend(name, "A GPU")
    assert use_devices(0) == 1


def test_a_keras_that_is_too_old_is_told_of(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.9.2")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1"])
    with pytest.raises(UserError, match=r"needs Keras 3\.10 or later, and this is 3\.9\.2"):
        use_devices(2)


@pytest.mark.parametrize(
    "backend,names,used,words",
    [
        ("jax", ["A", "A", "A"], 1, "2 of 3 devices stand idle; --devices 0 takes all"),
        ("tensorflow", ["A", "A"], 1, "with KERAS_BACKEND=jax before the command"),
        ("jax", ["A", "A"], 2, None),
        ("jax", [], 1, None),
    ],
)
def test_devices_that_stand_idle_are_told_of(backend, names, used, words):
    device = Device(backend, "gpu" if names else "cpu", tuple(names))
    computing = Computing(device, Precision("float32", ""), Compilation(True, ""), used)
    assert (words in computing.idle) if words else computing.idle is None
    assert ("2 devices together" in str(computing)) == (used == 2)


def test_each_device_needs_memory_for_its_part_of_a_batch(drawn_data, tmp_path, capsys):
    settings = single_model.Settings(
        drawn_data,
        tmp_path / "run",
        backbone="mobilenet_v2_0.35",
        weights="none",
        image_size=192,
        batch_size=24,
        unfreeze_from="0",
        frozen_epochs=0,
    )
    session = start_session(settings, "softmax")
    stage = session.stages[-1]
    told = [
        memory_notice(session.model, stage, session.feed, 1.2, devices) for devices in (1, 2, 3)
    ]
    assert "--batch-size 9 would take 1.2 GB" in told[0]
    assert "--batch-size 18 would take 1.2 GB" in told[1]
    assert told[2] is None
    session.computing = session.computing._replace(devices=5)
    print_budget(session, [stage])
    assert "a batch of 24 takes 5 devices as long as one of 25" in capsys.readouterr().out
