"""The lock holds what the requirement files allow, for every Python."""

import re

import pytest
from commands import REPOSITORY
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def read_requirements(name: str) -> list[Requirement]:
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def locked_versions(python: str) -> dict[str, str]:
    """What the lock installs on Linux with a Python, name -> version."""
    machine = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    locked = {}
    for row in read_requirements("requirements.lock"):
        if row.marker is None or row.marker.evaluate(machine):
            assert canonicalize_name(row.name) not in locked, f"{row.name} is locked twice"
            (pin,) = row.specifier
            assert pin.operator == "=="
            locked[canonicalize_name(row.name)] = pin.version
    return locked


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_holds_a_version_in_range_for_every_requirement(python):
    locked = locked_versions(python)
    for wanted in read_requirements("requirements.txt"):
        version = locked.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} is not locked; run tools/lock.sh"
        assert wanted.specifier.contains(version), f"{wanted} does not allow {version}"


@pytest.mark.parametrize("name", ["demo", "docs", "export", "index", "int8", "ray", "test"])
@pytest.mark.parametrize("python", PYTHONS)
def test_further_requirements_leave_the_locked_versions_alone(name, python):
    locked = locked_versions(python)
    for wanted in read_requirements(f"requirements-{name}.txt"):
        version = locked.get(canonicalize_name(wanted.name))
        assert version is None or wanted.specifier.contains(version)


def test_every_requirement_has_both_bounds():
    for path in REPOSITORY.glob("requirements*.txt"):
        for wanted in read_requirements(path.name):
            operators = {part.operator for part in wanted.specifier}
            assert operators == {">=", "<"}, f"{path.name}: {wanted}"


def test_the_lock_names_no_host():
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*--?\w", text, re.MULTILINE)
