"""A nested systemd for each test: it boots in a fraction of a second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)

from nest import Nest, booted, why_not


@pytest.fixture(scope="session")
def _can_nest() -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture
def nest(_can_nest: None) -> Iterator[Nest]:
    """A nested systemd with the shipped unit installed, and not started."""
    with booted() as nest:
        yield nest
