"""A profile that is watched, and a daemon of its own; both end with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)

from running_daemon import Daemon
from watched_home import Home, Sight


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The root of a profile, anna, with an empty folder of memories."""
    home = Home(tmp_path / "root")
    home.memory.mkdir(parents=True)
    return home


@pytest.fixture
def watch_it(home: Home) -> Iterator[Callable[..., Sight]]:
    """Start looking at anna's memories. Wherever nothing else is said, only events can bring a second look."""
    with ExitStack() as stack:

        def start(**how: Any) -> Sight:
            return stack.enter_context(home.watched(**how))

        yield start


@pytest.fixture
def start_daemon(home: Home) -> Iterator[Callable[..., Daemon]]:
    """Start `metahuman run` on the root, and wait until it is ready."""
    with ExitStack() as stack:

        def start(config: str = "", **how: Any) -> Daemon:
            return stack.enter_context(Daemon(home, config, **how))

        yield start
