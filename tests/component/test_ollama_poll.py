"""A server that accepts and never answers costs one thread, and holds nothing up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from metahuman_core.settings import DaemonSettings, OllamaSettings, Settings
from metahuman_daemon.service.ollama_poll import OllamaPoll

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def polling() -> int:
    return sum(thread.name == "ollama" for thread in threading.enumerate())


def test_it_is_asked_again_only_when_it_has_answered(silent: str) -> None:
    before = polling()
    poll = OllamaPoll(Settings(ollama=OllamaSettings(host=silent)), lambda _: None)
    for now_s in (0.0, 20.0, 40.0, 60.0):
        poll.ask(now_s)
    assert polling() == before + 1
    assert not poll.is_known(1.0)
    assert poll.is_known(21.0)
    assert not poll.is_in_use(NOON)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(ollama=OllamaSettings(host="192.0.2.7:11434")),
        Settings(daemon=DaemonSettings(yield_to_ollama=False)),
    ],
)
def test_another_machines_server_and_one_that_nobody_makes_way_for_are_not_asked(settings: Settings) -> None:
    before = polling()
    poll = OllamaPoll(settings, lambda _: None)
    poll.ask(0.0)
    assert polling() == before
    assert poll.is_known(0.0)
