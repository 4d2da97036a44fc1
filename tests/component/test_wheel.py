"""What `etc/`, `systemd/` and `profiles/example` hold is in the wheel, where the code looks for it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(REPOSITORY)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def test_every_shipped_file_is_in_the_wheel(names: frozenset[str]) -> None:
    for folder in ("etc", "systemd", "profiles/example"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file():
                assert f"metahuman_core/shipped/{path.relative_to(REPOSITORY).as_posix()}" in names


def test_the_wheel_has_both_packages_and_the_example_config_and_no_tests(names: frozenset[str]) -> None:
    assert "metahuman_core/cycle.py" in names
    assert "metahuman_daemon/cli.py" in names
    assert "metahuman_core/shipped/config.example.toml" in names
    assert not [name for name in names if name.startswith("tests/") or "conftest" in name]
