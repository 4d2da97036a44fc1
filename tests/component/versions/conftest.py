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
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk has to be mounted, and that is root's to do")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
