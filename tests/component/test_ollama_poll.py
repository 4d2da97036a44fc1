"""A server that accepts and never answers costs one thread, and holds nothing up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from metahuman_core.ollama.shown import Listed
from metahuman_core.settings import DaemonSettings, OllamaSettings, Settings, StudySettings
from metahuman_daemon.service.ollama_poll import Loaded, OllamaPoll

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


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


class Watched:
    """A poll that is told every fifteen seconds what is loaded."""

    def __init__(self) -> None:
        self.poll = OllamaPoll(Settings(study=StudySettings(ollama_model="Qwen3")), lambda _: None)
        self.now = NOON

    def sees(self, name: str = "", kept_for: timedelta = 60 * SECOND, *, studies: bool = True) -> bool:
        """Whether it is in use when, next time, only this is loaded (or nothing)."""
        self.now += 15 * SECOND
        loaded = Loaded((Listed(name, "digest", 1, expires_at=self.now + kept_for),) if name else ())
        self.poll.answered(loaded, self.now, 0.0, studies=studies)
        return self.poll.is_in_use(self.now)


def test_the_model_that_a_cycle_of_ours_asks_is_not_in_use_by_anybody() -> None:
    watched = Watched()
    assert [watched.sees("qwen3:latest", left) for left in (60 * SECOND, 50 * SECOND, -30 * SECOND)] == [False] * 3
    assert not watched.sees("qwen3:latest", studies=False), "our last request may show when the next step has begun"
    assert not watched.sees(studies=False)


@pytest.mark.parametrize(("name", "kept_for"), [("anna:latest", 60 * SECOND), ("qwen3:latest", 300 * SECOND)])
def test_another_model_or_one_that_is_kept_longer_than_for_us_is_somebodys(name: str, kept_for: timedelta) -> None:
    watched = Watched()
    assert not watched.sees("qwen3:latest")
    assert watched.sees(name, kept_for)


def test_when_nothing_is_studied_that_model_is_used_like_any_other() -> None:
    watched = Watched()
    watched.sees(studies=False)
    assert watched.sees("qwen3:latest", studies=False)
