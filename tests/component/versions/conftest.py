"""Roots with made-up versions, for all tests of what becomes of versions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)

from made_up_root import MadeUpRoot, make_up_root


@pytest.fixture
def made_up(tmp_path: Path) -> Callable[..., MadeUpRoot]:
    """`made_up(10)`: a root of its own with ten versions; see `make_up_root`."""

    def make(versions: int, name: str = "root", **how: bool | int) -> MadeUpRoot:
        return make_up_root(tmp_path / name, versions, **how)  # type: ignore[arg-type]

    return make


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`disk_of("16m")`: a disk in memory of that size."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk-of-{size}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("a small disk has to be mounted, and that is root's to do")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    """A disk of 64 KiB."""
    return disk_of("64k")
