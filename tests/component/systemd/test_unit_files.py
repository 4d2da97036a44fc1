"""What systemd says of the shipped files, without starting anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[3] / "systemd"
HIGHEST_EXPOSURE = 1.6

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str, **environment: str) -> str:
    """What systemd-analyze prints on either stream; it must not fail."""
    command = ["systemd-analyze", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(params=["metahuman.service", "user/metahuman.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shipped unit; its program is one that this machine has, since systemd looks for it."""
    text = (SHIPPED / request.param).read_text(encoding="utf-8")
    assert text.count("/opt/metahuman/bin/metahuman") == 1
    path = tmp_path / request.param
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("/opt/metahuman/bin/metahuman", sys.executable), encoding="utf-8")
    return path


def test_systemd_has_nothing_to_say_about_a_unit(unit: Path) -> None:
    manager = "--user" if unit.parent.name == "user" else "--system"
    assert analyze("verify", manager, str(unit), XDG_RUNTIME_DIR=str(unit.parent)) == ""


def with_drop_in(name: str, tmp_path: Path) -> Path:
    """The system's unit with one of the shipped drop-ins (or none); its programs are ones that this machine has."""
    unit = tmp_path / "metahuman.service"
    text = (SHIPPED / "metahuman.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/metahuman/bin/metahuman", sys.executable), encoding="utf-8")
    if name:
        folder = tmp_path / "metahuman.service.d"
        folder.mkdir()
        text = (SHIPPED / "metahuman.service.d" / name).read_text(encoding="utf-8")
        text = text.replace("/usr/bin/nvidia-modprobe", sys.executable).replace("#Bind", "Bind")
        (folder / name).write_text(text, encoding="utf-8")
    return unit


@pytest.mark.parametrize("drop_in", ["gpu.conf", "memories.conf"])
def test_systemd_has_nothing_to_say_about_a_drop_in(drop_in: str, tmp_path: Path) -> None:
    assert analyze("verify", "--system", str(with_drop_in(drop_in, tmp_path))) == ""


@pytest.mark.parametrize("drop_in", ["", "gpu.conf", "memories.conf"])
def test_the_service_is_hardly_exposed(drop_in: str, tmp_path: Path) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(with_drop_in(drop_in, tmp_path)))
    (verdict,) = [line for line in said.splitlines() if "Overall exposure level" in line]
    assert float(verdict.split(":")[1].split()[0]) <= HIGHEST_EXPOSURE
