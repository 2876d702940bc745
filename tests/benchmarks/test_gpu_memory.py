"""gpu_memory.py: a table of estimates, and measured peaks beside them."""

import re

import pytest

SMALL = ("--backbone", "mobilenet_v2_0.35", "--image-size", 64, "--classes", 5)


def test_a_row_a_stage_and_a_column_a_batch(script):
    done = script("benchmarks/gpu_memory.py", *SMALL, "--batch-sizes", 8, 256)
    assert done.returncode == 0, done.stderr
    header, _, *rows = done.stdout.splitlines()
    assert header == "| mobilenet_v2_0.35 at 64 | batch 8 | batch 256 |"
    assert len(rows) == 5
    sizes = [[float(size) for size in re.findall(r"([\d.]+) GB", row)] for row in rows]
    assert all(small <= large for small, large in sizes) and sizes[-1][0] < sizes[-1][1]


@pytest.mark.thorough
def test_measured_peaks_stand_behind_the_estimates(script):
    done = script("benchmarks/gpu_memory.py", *SMALL, "--batch-sizes", 4, "--measure")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"[\d.]+ GB, [\d.]+ GB measured", done.stdout)) == 5
