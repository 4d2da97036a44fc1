"""A tiny base, roots to train on it, and one run that nobody disturbs, to hold all others against."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)
sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "hub"))

from workshop import Reference, Workshop, made_by


@pytest.fixture(scope="session")
def llama(tiny_base: Callable[[str], Path]) -> str:
    """The folder of a tiny base, outside every root."""
    return str(tiny_base("llama"))


@pytest.fixture
def workshop(llama: str, tmp_path: Path) -> Workshop:
    """An untrained root."""
    return Workshop.make(tmp_path / "root", llama)


@pytest.fixture(scope="session")
def reference(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What the same command makes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    workshop = Workshop.make(folder / "root", llama)
    ended = workshop.fine_tune(log=folder / "moments")
    assert ended.code == 0, f"{ended.err}\n{workshop.child_log()}"
    made = made_by(workshop)
    assert made.leftovers == ()
    moments = (folder / "moments").read_text(encoding="utf-8").splitlines()
    return Reference(made, tuple(dict.fromkeys(moments)))
