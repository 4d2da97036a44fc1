"""A Hub on loopback, and a fetcher that asks it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)

from hub_double import HubDouble, Repository
from hub_fetcher import UNWANTED, WANTED, Fetcher


@pytest.fixture
def start_hub() -> Iterator[Callable[..., HubDouble]]:
    """Start a Hub with one model, `org/model`; it stops when the test ends."""
    with ExitStack() as stack:

        def start(files: dict[str, bytes] | None = None, **how: Any) -> HubDouble:
            repository = Repository(files={**WANTED, **UNWANTED} if files is None else files, **how)
            return stack.enter_context(HubDouble({"org/model": repository}))

        yield start


@pytest.fixture
def hub(start_hub: Callable[..., HubDouble]) -> HubDouble:
    """A Hub whose model anybody may have."""
    return start_hub()


@pytest.fixture
def fetcher_for(tmp_path: Path) -> Callable[[str], Fetcher]:
    """A fetcher for an endpoint; its root and home are the test's own."""
    (tmp_path / "home").mkdir()
    return lambda endpoint: Fetcher(tmp_path / "root", tmp_path / "home", endpoint)


@pytest.fixture
def fetch(hub: HubDouble, fetcher_for: Callable[[str], Fetcher]) -> Fetcher:
    """A fetcher for `hub`."""
    return fetcher_for(hub.url)


@pytest.fixture
def dead_url() -> str:
    """An address where nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
