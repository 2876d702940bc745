"""The table of backbones: its numbers, and that it goes on where it was stopped."""

import json
import subprocess
import sys

import pytest
from commands import REPOSITORY

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone


def table(output, *flags):
    script = str(REPOSITORY / "benchmarks" / "backbone_table.py")
    command = [sys.executable, script, "--output", str(output), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.thorough
def test_a_row_is_measured_once(tmp_path):
    flags = ("--only", "xception_small", "--batch-size", "2", "--batches", "1")
    done = table(tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "xception_small.json"
    row = json.loads(file.read_text())
    spec = find_backbone("xception_small")
    backbone = build_backbone(spec, "none", (128, 128))
    assert row["side"] == 128 and row["width"] == backbone.output_shape[-1]
    assert row["parameters"] == backbone.count_params()
    assert row["training"] > 0 and all(rate > 0 for rate in row["forward"].values())
    assert "Keras" in row["forward"] and row["memory"] > 1e8
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[-1].startswith("| `xception_small` | 128 | 1.4 M | 512 | ")
    assert "cores; CPU" in lines[0]
    row["training"] = 12345.0
    file.write_text(json.dumps(row))
    again = table(tmp_path, *flags)
    assert again.returncode == 0 and "12,345" in again.stdout, again.stderr
    file.write_text("{")
    broken = table(tmp_path, *flags)
    assert broken.returncode == 2 and "is damaged" in broken.stderr
