"""benchmarks/several_devices.py: each device computes its part of a step, and not all of it."""

import subprocess

import pytest
from commands import REPOSITORY, command


@pytest.mark.needs("jax")
@pytest.mark.thorough
def test_each_of_three_devices_needs_memory_for_a_third_of_the_batch():
    # 16 images are 6, 6 and 4.
    flags = "--devices 1 3 --image-size 64 --batch-size 16 --steps 1"
    done = subprocess.run(
        command("benchmarks/several_devices.py", *flags.split()),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.endswith("MB |")]
    assert [row[0] for row in rows] == ["| 1", "| 3"]
    one, third = (float(row[-1].split()[0]) for row in rows)
    assert third < 0.6 * one
    assert "overheads only" in done.stdout
